"""What a command is given, seen by a program that became one."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from drawbar.supervisor.command.launch import environment, filled_in
from tests.supervisor.harness import PATIENCE_S

TOLD = str(Path(__file__).with_name("told.py"))
LAUNCHED = str(Path(__file__).with_name("launched.py"))


def launch(*command: str, chdir: str = "") -> dict[str, Any]:
    """What the program said, or why there was none."""
    environ = {**os.environ, "DRAWBAR_PID_FILE": "/run/drawbar.pid", "SITE_B": "inherited"}
    line = [sys.executable, LAUNCHED, json.dumps(command), chdir]
    # An open pipe: who read it would wait.
    reader, writer = os.pipe()
    try:
        done = subprocess.run(line, stdin=reader, capture_output=True, check=True, env=environ, timeout=PATIENCE_S)
    finally:
        os.close(reader)
        os.close(writer)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_a_command_is_told_where_to_dial_and_as_what(tmp_path: Path) -> None:
    facts = launch(sys.executable, TOLD, "--from={from}", "{app}-{label}", "{slots}", "{other} {}", chdir=str(tmp_path))
    assert facts["arguments"] == ["--from=unix:/run/shop.sock", "shop-v8", "4", "{other} {}"]
    assert facts["directory"] == str(tmp_path)
    # Nothing of the master's own settings, and what the application has of its own goes before everything.
    assert facts["variables"] == {
        "DRAWBAR_FROM": "unix:/run/shop.sock",
        "DRAWBAR_APP": "shop",
        "DRAWBAR_LABEL": "v8",
        "DRAWBAR_SLOTS": "4",
        "DRAWBAR_CONFIG": "own",
        "SITE_A": "own",
        "SITE_B": "inherited",
    }


def test_it_begins_as_programs_expect_to() -> None:
    facts = launch(sys.executable, TOLD)
    assert facts["leads"]
    assert facts["input"] == ""
    assert facts["blocked"] == []


def test_no_signal_is_ignored_that_the_interpreter_ignores() -> None:
    facts = launch("sh", "-c", """sed -n 's/^SigIgn:\\s*\\(.*\\)/{"ignored": "\\1"}/p' /proc/self/status""")
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        assert not int(facts["ignored"], 16) >> number - 1 & 1


def test_what_cannot_be_started_is_told_with_its_place() -> None:
    assert launch("no-such-program")["refused"] == (
        "apps.shop.command: cannot start no-such-program (No such file or directory); "
        "name a program that is installed, and that its user may run"
    )
    assert launch("sh", chdir="/no/such")["refused"] == (
        "apps.shop.chdir: cannot change to '/no/such': No such file or directory"
    )


def test_only_what_stands_for_something_is_filled_in() -> None:
    told = {"from": "unix:{app}", "app": "a"}
    # What is filled in may hold a mark itself only where nobody fills that in afterwards.
    assert filled_in(("{from", "{{app}}", "app"), told) == ["{from", "{a}", "app"]


def test_an_application_s_variables_go_before_what_is_told() -> None:
    found = environment({"A": "1", "DRAWBAR_BIND": "x"}, {"slots": "4"}, {"DRAWBAR_SLOTS": "9"})
    assert found == {"A": "1", "DRAWBAR_SLOTS": "9"}
