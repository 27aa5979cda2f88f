"""`drawbar ctl`, as an operator meets it, against a desk that answers as a server does."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from drawbar.cli.commands import program
from tests.support.desk import Desked


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desked]:
    with Desked(control={"socket": str(tmp_path_factory.mktemp("ctl") / "c.sock")}) as running:
        yield running


def ctl(master: Desked, *arguments: str) -> Result:
    return CliRunner().invoke(program, ["ctl", "--control", master.path, *arguments])


def test_status(master: Desked) -> None:
    result = ctl(master, "status")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0].startswith("drawbar 1.2.3")
    assert "shop:app (wsgi), serving" in lines[0]
    assert any(line.split()[:3] == ["1", str(master.pid), "ready"] for line in lines)


def test_status_as_json(master: Desked) -> None:
    found = json.loads(ctl(master, "status", "--json").stdout)
    assert found["pid"] == master.pid
    assert found["workers"][1]["phase"] == "starting"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["reload", "--no-wait"], 'reload {"wait": false}'),
        (["workers", "+1"], 'workers {"change": 1}'),
        (["workers", "-1"], 'workers {"change": -1}'),
        (["workers", "4"], 'workers {"count": 4}'),
        (["logs", "reopen"], "reopen-logs {}"),
        (["pause"], "pause {}"),
        (["resume"], "resume {}"),
        (["pause", "blog"], 'pause {"app": "blog"}'),
        (["resume", "blog"], 'resume {"app": "blog"}'),
        (["split", "blog", "v8=10%", "=90"], 'split {"app": "blog", "shares": {"": 90.0, "v8": 10.0}}'),
        (["split", "blog", "off"], 'split {"app": "blog", "shares": null}'),
        (
            ["deploy", "blog", "--label", "v8", "--timeout", "5", "--judged"],
            'deploy {"app": "blog", "judge": true, "judged": true, "label": "v8", "timeout": 5.0, "wait": true}',
        ),
        (
            ["deploy", "blog", "--label", "v8", "--command", "ruby 'my worker.rb'", "--workers", "2", "--no-judge"],
            'deploy {"app": "blog", "command": ["ruby", "my worker.rb"], "judge": false, "judged": false, '
            '"label": "v8", "wait": true, "workers": 2}',
        ),
        (["rollback", "blog", "--no-wait"], 'rollback {"app": "blog", "wait": false}'),
    ],
)
def test_verbs(master: Desked, arguments: list[str], told: str) -> None:
    result = ctl(master, *arguments)
    assert result.exit_code == 0
    assert result.stdout == f"{told.split()[0]} is done\n"
    master.events.wait_for(re.escape(f"command {told}"))


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["upgrade"], "an upgrade is under way"),
        (["kill", "77"], "no worker has process id 77"),
        (["stacks", "77"], "no worker has process id 77"),
        (["restart", "--no-wait"], "the master did not answer within 2 s"),
    ],
)
def test_what_the_server_does_not_do(master: Desked, arguments: list[str], why: str) -> None:
    result = ctl(master, *arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr == f"drawbar: error: {why}\n"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["workers", "many"], "'many' is no number of workers; write +1, -1, or a number such as 4"),
        (
            ["workers", "9999999"],
            "'9999999' is no number of workers; write +1, -1, or a number such as 4 (1024 at most)",
        ),
        (["deploy", "blog", "--label", "v8", "--timeout", "soon"], "Invalid value for '--timeout': 'soon' is not a"),
        (["deploy", "blog", "--label", "v8", "--timeout", "0"], "Invalid value for '--timeout': there is nothing to"),
        (["workers", "+-1"], "'+-1' is no number of workers; write +1, -1, or a number such as 4"),
        (["kill", "x"], "Invalid value for 'PID': 'x' is not a valid integer range; see drawbar ctl kill --help"),
        (["stat"], "there is no command 'stat'; did you mean drawbar ctl status?"),
        (["stop", "--message", "soon"], "a message is for the clients of an application"),
        (["stop", "blog", "--now"], "--now is for the whole server"),
        (["split", "blog"], "Missing argument 'LABEL=N%... | off'"),
        (["split", "blog", "v8"], "'v8' is no share; write LABEL=N% such as v8=10%"),
        (["split", "blog", "v8=110%"], "'v8=110%' is no share"),
        (["split", "blog", "v8=nan"], "'v8=nan' is no share"),
        (["deploy", "blog"], "Missing option '--label'"),
        (
            ["deploy", "blog", "--label", "v8", "--target", "a:b", "--command", "c"],
            "--target is imported, --command is",
        ),
        (["deploy", "blog", "--label", "v8", "--judged", "--no-judge"], "--judged waits for the verdict"),
        (["deploy", "blog", "--label", "v8", "--command", "'"], "--command: no closing quotation"),
        (["deploy", "blog", "--label", "v8", "--command", " "], "--command is empty"),
    ],
)
def test_what_makes_no_sense(master: Desked, arguments: list[str], why: str) -> None:
    result = ctl(master, *arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"drawbar: error: {why}")
    assert result.stderr.count("\n") == 1


def test_a_reload_that_is_waited_for_ends_when_the_server_says_so(master: Desked) -> None:
    command = [sys.executable, "-m", "drawbar", "ctl", "--control", master.path, "reload"]
    waiting = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    master.events.wait_for('command reload {"wait": true}')
    assert waiting.poll() is None
    assert ctl(master, "resume").exit_code == 0
    assert waiting.communicate(timeout=60)[0] == "reloaded at last\n"
    assert waiting.returncode == 0


def test_stacks(master: Desked) -> None:
    result = ctl(master, "stacks", str(master.pid))
    assert result.stdout.splitlines()[0] == f"worker 1 (pid {master.pid})"
    assert "File app.py, line 7 in view" in result.stdout
    assert json.loads(ctl(master, "stacks", str(master.pid), "--json").stdout)["workers"][0]["slot"] == 1


def test_config(master: Desked) -> None:
    assert ctl(master, "config").stdout.splitlines()[-1] == "workers = 2  # from drawbar.toml"
    assert "backlog = 2048  # default" in ctl(master, "config", "--all").stdout
    assert json.loads(ctl(master, "config", "--json").stdout)["file"] == "drawbar.toml"


def test_stop_returns_when_the_server_has_ended(tmp_path: Path) -> None:
    with Desked(control={"socket": str(tmp_path / "c.sock")}) as master:
        result = ctl(master, "stop", "--now")
        assert (result.exit_code, result.stdout) == (0, "stop is done\n")
        # Its end was waited for: it is a zombie of this test, if it is anything.
        assert Path(f"/proc/{master.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        assert 'command stop {"now": true}' in master.events.text


def test_without_a_server(tmp_path: Path) -> None:
    env = {**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "drawbar", "ctl", "--control", str(tmp_path / "none"), "status"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == f"drawbar: error: there is no control socket at {tmp_path}/none; is the server running?\n"


def test_help_needs_no_server() -> None:
    result = CliRunner().invoke(program, ["ctl", "--help"])
    assert result.exit_code == 0
    for verb in (
        "status",
        "reload",
        "restart",
        "upgrade",
        "stop",
        "workers",
        "stacks",
        "logs",
        "config",
        "kill",
        "pause",
    ):
        assert f"\n  {verb} " in result.stdout


def test_a_serving_process_imports_none_of_it() -> None:
    code = (
        "import sys, drawbar.cli, drawbar.supervisor.master\n"
        "print([name for name in sys.modules if 'cli.control' in name or name == 'http.client'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"
