"""A server's command line, read in a child."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from drawbar.cli.aside import read_aside
from drawbar.cli.serving import Serving


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test starts in an empty directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def process(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """A real process, started the way operators do."""
    return subprocess.run(
        [sys.executable, "-m", "drawbar", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_what_it_says_reaches_the_parent_as_it_was_written() -> None:
    said = read_aside(["run", "site:app", "--bind", ":1", "--bind", "unix:/ä", "--reload", "--config", "x.toml"])
    options = {"app.target": "site:app", "server.bind": ":1,unix:/ä", "server.reload": True}
    assert said == Serving("drawbar run", options, "x.toml")
    assert read_aside(["dev"]) == Serving("drawbar dev", {})


def test_a_mistake_is_told_by_the_child(capfd: pytest.CaptureFixture[str]) -> None:
    assert read_aside(["run", "--bindd", "x"]) == 2
    shown = capfd.readouterr()
    assert shown.out == ""
    assert shown.err.startswith("drawbar: error: No such option '--bindd'")


def test_the_child_says_what_a_front_is_and_what_to_type_instead(capfd: pytest.CaptureFixture[str]) -> None:
    assert read_aside(["serve", "site:app", "--bind", ":1"]) == 2
    what, right, help_ = capfd.readouterr().err.removeprefix("drawbar: error: ").split("; ")
    assert what == "site:app: drawbar serve is a front without an application and takes no TARGET"
    assert right == (
        "write drawbar run site:app, drawbar run site:app --split for a front with workers of its own, "
        "or drawbar work site:app --from URL beside this front"
    )
    assert help_ == "see drawbar serve --help\n"


def test_help_is_shown_by_the_child(capfd: pytest.CaptureFixture[str]) -> None:
    assert read_aside(["run", "--help"]) == 0
    assert capfd.readouterr().out.startswith("Usage: drawbar run [OPTIONS] [TARGET]")


def test_a_child_that_is_killed_is_told_by_its_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr("drawbar.cli.commands.program.read", kill)
    assert read_aside(["run"]) == 128 + signal.SIGKILL


def test_a_reader_who_has_seen_enough_is_no_fault() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "drawbar", "run", "--help"]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    os.close(writer)
    assert "Traceback" not in done.stderr


def test_the_process_that_serves_tells_its_own_mistakes() -> None:
    done = process("run", "nothing_of_that_name", "--bind", "x")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "drawbar: error: --bind: 'x' has no port; write x:8000\n"
    assert "Traceback" in process("run", "site", "--bind", "x", "--log-level", "debug").stderr


def test_a_server_without_an_application_is_refused() -> None:
    done = process("run")
    assert done.returncode == 2
    assert "write drawbar run module:app" in done.stderr
