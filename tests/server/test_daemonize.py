"""--daemonize: the command waits until the server serves, and tells when it does not."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.supervisor.harness import readable
from tests.support.raw import RawClient
from tests.support.server import PATIENCE_S, ROOT

SITES = Path(__file__).parent / "sites"
GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


class Daemons:
    """Starts daemons in a directory; `stop` ends the one that its pid file names."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.pid_file = directory / "drawbar.pid"
        self.log = directory / "error.log"

    def start(self, target: str = "plain:app", *options: str) -> subprocess.CompletedProcess[str]:
        """Runs the command to its end; with it ends the pipe it prints to, which no daemon may keep."""
        command = [sys.executable, "-m", "drawbar", "run", target, "--daemonize", "--chdir", str(SITES)]
        files = ["--error-log", str(self.log), "--pid-file", str(self.pid_file)]
        return subprocess.run(
            [*command, *files, *options], capture_output=True, text=True, cwd=ROOT, timeout=PATIENCE_S, check=False
        )

    @property
    def pid(self) -> int:
        return int(self.pid_file.read_text())

    def port(self) -> int:
        found = re.search(r"http://127\.0\.0\.1:(\d+)", self.log.read_text())
        assert found is not None
        return int(found[1])

    def stop(self) -> None:
        """Returns when it has gone."""
        pidfd = os.pidfd_open(self.pid)
        signal.pidfd_send_signal(pidfd, signal.SIGTERM)
        assert readable(pidfd, PATIENCE_S)
        os.close(pidfd)


@pytest.fixture
def daemons(tmp_path: Path) -> Iterator[Daemons]:
    made = Daemons(tmp_path)
    yield made
    if made.pid_file.exists():
        made.stop()


def test_a_daemon_serves_when_its_command_returns(daemons: Daemons) -> None:
    done = daemons.start("plain:app", "--bind", "127.0.0.1:0", "--workers", "2")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    with RawClient(("127.0.0.1", daemons.port())) as client:
        assert client.request(GET).body == b"ok"
    # Nobody's child, and of no terminal's session.
    assert os.getsid(daemons.pid) not in (os.getsid(0), daemons.pid)
    daemons.stop()
    assert not daemons.pid_file.exists()
    assert "drawbar stopped by SIGTERM" in daemons.log.read_text()


def test_an_address_in_use_is_told_by_the_command(daemons: Daemons) -> None:
    daemons.start("plain:app", "--bind", "127.0.0.1:0")
    address = f"127.0.0.1:{daemons.port()}"
    other = ("--pid-file", str(daemons.directory / "other.pid"), "--bind-tries", "1", "--bind", address)
    second = daemons.start("plain:app", *other)
    assert second.returncode == 2
    assert second.stderr.startswith(f"drawbar: error: --bind {address}: the address is in use")
    assert not (daemons.directory / "other.pid").exists()


def test_an_application_that_does_not_start_is_told_by_the_command(daemons: Daemons) -> None:
    done = daemons.start("plain:nothing", "--bind", "127.0.0.1:0")
    assert done.returncode == 2
    assert done.stderr.startswith("drawbar: error: ")
    assert "nothing" in done.stderr
    assert not daemons.pid_file.exists()


def test_a_second_server_of_that_pid_file_is_refused(daemons: Daemons) -> None:
    daemons.start("plain:app", "--bind", "127.0.0.1:0")
    second = daemons.start("plain:app", "--bind", "127.0.0.1:0")
    assert second.returncode == 2
    assert f"names a running server (pid {daemons.pid}); stop that server or name another file" in second.stderr


def test_a_mistake_is_told_before_anything_is_forked(daemons: Daemons) -> None:
    done = daemons.start("plain:app", "--error-log", "-")
    assert done.returncode == 2
    assert "--daemonize needs --error-log PATH" in done.stderr
