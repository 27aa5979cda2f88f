"""As whom a server's processes run, and what that means for its files."""

import json
import os
import pwd
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.raw import RawClient
from tests.support.server import Server, Servers

SITES = Path(__file__).parent / "sites"
GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
NOBODY = pwd.getpwnam("nobody")

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def interpreter_is_for_everybody() -> bool:
    """User nobody can import from the library this Python has: not so where it was built in root's home."""
    program = (
        "import os, sys; os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[1]));"
        "sys.exit(not os.access(os.__file__, os.R_OK))"
    )
    command = [sys.executable, "-c", program, str(NOBODY.pw_uid), str(NOBODY.pw_gid)]
    return subprocess.run(command, check=False).returncode == 0


def ask(running: Server) -> dict[str, Any]:
    with RawClient((running.host, running.port)) as client:
        facts: dict[str, Any] = json.loads(client.request(GET).body)
        return facts


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A directory everybody can get to."""
    for directory in (tmp_path, *tmp_path.parents):
        if directory.stat().st_uid == os.getuid() and directory.stat().st_mode & 0o005 != 0o005:
            directory.chmod(directory.stat().st_mode | 0o055)
    return tmp_path


@as_root
@pytest.mark.parametrize("target", ["single:app", "single:asgi"])
def test_workers_run_as_the_user_and_the_master_stays_root(server: Servers, home: Path, target: str) -> None:
    # The group when the interpreter is in root's home: what the user would import lazily, it could not read.
    who = ("--user", "nobody") if interpreter_is_for_everybody() else ("--group", "nogroup")
    logs = {name: home / f"{name}.log" for name in ("access", "error")}
    running = server(target, *who, "--access-log", str(logs["access"]), chdir=SITES)
    uid = NOBODY.pw_uid if who[0] == "--user" else 0
    assert ask(running)["uid"] == uid
    assert os.stat(f"/proc/{running.process.pid}").st_uid == 0
    running.stop()
    assert logs["access"].stat().st_uid == uid
    assert logs["access"].read_text().startswith("127.0.0.1 - - [")


@as_root
def test_a_worker_that_cannot_work_as_the_user_is_told(server: Servers, home: Path) -> None:
    (home / "spill").mkdir(mode=0o700)
    refused = server("single:app", "--user", "nobody", "--temp-dir", str(home / "spill"), chdir=SITES, ready=False)
    assert refused.wait() == 2
    assert refused.log.lines[-1] == (
        f"drawbar: error: --temp-dir: the workers cannot write to {home / 'spill'}; "
        "name a directory that the user of --user can write to"
    )


@as_root
@pytest.mark.parametrize("preload", [(), ("--preload",)])
def test_a_python_that_the_user_cannot_read_stops_the_start(server: Servers, preload: tuple[str, ...]) -> None:
    if interpreter_is_for_everybody():
        pytest.skip("user nobody can read this Python")
    refused = server("single:app", "--user", "nobody", *preload, chdir=SITES, ready=False)
    assert refused.wait() == 2
    assert refused.log.lines[-1].startswith("drawbar: error: --user: user nobody cannot read Python's library in ")


def test_an_unknown_user_is_told_at_once(server: Servers) -> None:
    refused = server("single:app", "--user", "no-such-user", chdir=SITES, ready=False)
    assert refused.wait() == 2
    assert refused.log.lines == [
        "drawbar: error: --user: there is no user 'no-such-user'; name a user of this machine, or give its number"
    ]


def test_the_mask_holds_for_sockets_and_files(server: Servers, tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("web.sock", "access.log", "drawbar.pid")]
    bind, files = f"unix:{paths[0]}", ("--access-log", str(paths[1]), "--pid-file", str(paths[2]))
    server("single:app", "--umask", "077", *files, bind=bind, chdir=SITES)
    assert [stat.S_IMODE(path.stat().st_mode) for path in paths] == [0o700, 0o600, 0o600]


@as_root
def test_the_user_can_write_to_logs_that_were_rotated(server: Servers, home: Path) -> None:
    who = ("--user", "nobody") if interpreter_is_for_everybody() else ("--group", "nogroup")
    log = home / "access.log"
    running = server("single:app", *who, "--access-log", str(log), chdir=SITES)
    ask(running)
    log.rename(home / "access.log.1")
    running.process.send_signal(signal.SIGUSR1)
    running.log.wait_for("logs reopened")
    # The worker hears of it a moment later; a request that had begun by then has its line in the old file.
    asked = 0
    while asked < 1000 and not (log.exists() and log.read_text()):
        ask(running)
        asked += 1
    assert log.read_text().startswith("127.0.0.1 - - [")
    assert log.stat().st_uid == (NOBODY.pw_uid if who[0] == "--user" else 0)
    assert "cannot" not in running.log.text
