"""Daemons, and the commands that started them: real processes on pipes."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drawbar.supervisor.host.daemon import Teller
from tests.supervisor.harness import PATIENCE_S, Lines, ends

PROGRAM = Path(__file__).with_name("daemonized.py")


class Start:
    """One start: the command's end, and the daemon it leaves."""

    def __init__(self, ending: str, cwd: Path) -> None:
        events, events_writer = os.pipe()
        life, self._life = os.pipe()
        command = [sys.executable, str(PROGRAM), str(events_writer), str(life), ending]
        environ = {**os.environ, "LISTEN_PID": "1"}
        self._command = subprocess.Popen(
            command,
            pass_fds=(events_writer, life),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd,
            env=environ,
        )
        os.close(events_writer)
        os.close(life)
        self._events = events
        self.facts: dict[str, Any] = json.loads(Lines(events).until(lambda line: True))

    def command(self) -> tuple[int, str, str]:
        """Its exit code and what it printed. Its streams end: the daemon does not have them."""
        output, errors = self._command.communicate(timeout=PATIENCE_S)
        return self._command.returncode, output, errors

    def close(self) -> None:
        os.close(self._life)
        os.close(self._events)
        self._command.kill()
        self._command.wait()


@pytest.fixture
def starts(tmp_path: Path) -> Iterator[Any]:
    made: list[Start] = []

    def start(ending: str) -> Start:
        made.append(Start(ending, tmp_path))
        return made[-1]

    yield start
    for start_ in made:
        start_.close()


def test_the_command_ends_well_when_the_server_serves(starts: Any, tmp_path: Path) -> None:
    start = starts("serves")
    pidfd = os.pidfd_open(start.facts["pid"])
    assert start.command() == (0, "before\n", "")
    assert start.facts["streams"] == ["/dev/null"] * 3
    assert start.facts["cwd"] == str(tmp_path)
    # Of a session of its own, which it does not lead: no terminal can become its own.
    assert not start.facts["leads"]
    assert start.facts["session"] != os.getsid(0)
    assert start.facts["listen_pid"] == str(start.facts["pid"])
    assert start.facts["descriptors"] == 1
    os.close(start._life)
    assert ends(pidfd)
    start._life = os.open(os.devnull, os.O_RDONLY)


def test_the_command_tells_why_the_server_does_not_serve(starts: Any) -> None:
    code, _, errors = starts("fails").command()
    assert code == 2
    assert errors == "drawbar: error: --bind :80: the address is in use; choose another\n"


@pytest.mark.parametrize("ending", ["gives up", "dies"])
def test_the_command_names_the_log_when_nothing_was_said(starts: Any, ending: str) -> None:
    code, _, errors = starts(ending).command()
    assert code == 1
    assert errors == "drawbar: error: the server ended before it served; /var/log/site.log says why\n"


def test_without_a_command_nobody_is_told() -> None:
    teller = Teller()
    assert teller.descriptors() == ()
    teller.ready()
    teller.close()


def test_a_command_that_was_ended_does_not_matter() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    Teller(writer).ready()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(writer)
