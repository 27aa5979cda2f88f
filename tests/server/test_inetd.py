"""One connection on the standard streams, as inetd and socket units with Accept=yes pass it: the test is the inetd."""

import json
import os
import pwd
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.raw import RawClient, Response
from tests.support.server import PATIENCE_S, ROOT, Log

SITES = Path(__file__).parent / "sites"
WAYS = {"wsgi": ("single:app",), "asgi": ("single:asgi", "--loop", "asyncio")}

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


class Inetd:
    """Accepts one connection and starts the server for it."""

    def __init__(self, *options: str, unix: Path | None = None, stderr_too: bool = False, **environ: str) -> None:
        listener = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        with listener:
            listener.bind(str(unix) if unix else ("127.0.0.1", 0))
            listener.listen()
            self.address = listener.getsockname()
            self.client = RawClient(self.address)
            connection, _ = listener.accept()
        with connection:
            command = [sys.executable, "-m", "drawbar", "run", "--inetd", "--chdir", str(SITES), *options]
            self.process = subprocess.Popen(
                command,
                stdin=connection.fileno(),
                stdout=connection.fileno(),
                stderr=connection.fileno() if stderr_too else subprocess.PIPE,
                cwd=ROOT,
                env={**os.environ, **environ},
                text=True,
            )
        self.log = Log(self.process.stderr) if self.process.stderr is not None else None

    def ask(self, data: bytes = GET) -> Response:
        """The answer to one request."""
        self.client.send(data)
        return self.client.response(data.split(b" ", 1)[0].decode())

    def facts(self, data: bytes = GET) -> dict[str, Any]:
        """What the application says."""
        answer = self.ask(data)
        assert answer.status == 200
        said: dict[str, Any] = json.loads(answer.body)
        return said

    def ended(self) -> int:
        """The server's exit code, when it ends by itself."""
        status = self.process.wait(PATIENCE_S)
        if self.log is not None:
            # A second time it does nothing.
            self.log.close()
        return status

    def close(self) -> None:
        self.client.close()
        self.process.kill()
        self.ended()


@pytest.fixture
def started() -> Iterator[list[Inetd]]:
    """Servers to end with the test."""
    servers: list[Inetd] = []
    yield servers
    for server in servers:
        server.close()


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_a_connection_is_served_until_it_closes(started: list[Inetd], way: tuple[str, ...]) -> None:
    inetd = Inetd(*way, LISTEN_FDS="1", NOTIFY_SOCKET="/nowhere")
    started.append(inetd)
    host, port = inetd.client.socket.getsockname()
    first = inetd.facts()
    assert first["client"] == [host, str(port) if way == WAYS["wsgi"] else port]
    assert first["server"] == [host, str(inetd.address[1]) if way == WAYS["wsgi"] else inetd.address[1]]
    assert first["manager"] == []
    post = b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nabc"
    assert inetd.facts(post)["size"] == 3
    inetd.client.end()
    assert inetd.client.read_to_end() == b""
    assert inetd.ended() == 0
    assert inetd.log is not None
    assert inetd.log.lines.count("printed on standard error") == 2
    assert "printed on standard output" not in inetd.log.text
    if way == WAYS["asgi"]:
        assert inetd.log.lines[-1] == "shut down"


def test_the_application_knows_that_others_run_beside_it(started: list[Inetd]) -> None:
    inetd = Inetd("single:app", "--threads", "4", "--workers", "3")
    started.append(inetd)
    # One connection brings one request at a time.
    assert inetd.facts()["multi"] == [False, True]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_the_client_asks_for_the_end(started: list[Inetd], way: tuple[str, ...]) -> None:
    inetd = Inetd(*way)
    started.append(inetd)
    assert inetd.ask(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").status == 200
    assert inetd.client.read_to_end() == b""
    inetd.client.close()
    assert inetd.ended() == 0


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_nothing_is_printed_into_a_response(started: list[Inetd], way: tuple[str, ...]) -> None:
    """inetd makes the connection standard error, too."""
    inetd = Inetd(*way, "--log-level", "debug", stderr_too=True)
    started.append(inetd)
    inetd.facts()
    inetd.facts(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
    assert inetd.client.read_to_end() == b""
    inetd.client.close()
    assert inetd.ended() == 0


def test_a_unix_connection(started: list[Inetd], tmp_path: Path) -> None:
    inetd = Inetd("single:app", unix=tmp_path / "site")
    started.append(inetd)
    assert inetd.facts()["client"] == ["", None]
    inetd.client.close()
    assert inetd.ended() == 0


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
def test_a_stop_ends_an_idle_connection(started: list[Inetd], way: tuple[str, ...]) -> None:
    inetd = Inetd(*way)
    started.append(inetd)
    inetd.facts()
    inetd.process.send_signal(signal.SIGTERM)
    assert inetd.client.read_to_end() == b""
    inetd.client.close()
    assert inetd.ended() == 0


def test_an_idle_connection_has_its_time(started: list[Inetd]) -> None:
    inetd = Inetd("single:app", "--keepalive-timeout", "0.2")
    started.append(inetd)
    inetd.facts()
    assert inetd.client.read_to_end() == b""
    inetd.client.close()
    assert inetd.ended() == 0


def test_the_access_log_is_a_file(started: list[Inetd], tmp_path: Path) -> None:
    inetd = Inetd("single:app", "--access-log", str(tmp_path / "access.log"))
    started.append(inetd)
    inetd.facts()
    inetd.client.close()
    assert inetd.ended() == 0
    assert (tmp_path / "access.log").read_text().startswith("127.0.0.1 - - [")


def run(stdin: Any, *options: str) -> tuple[int, str]:
    """Exit code and last line of a server with this standard input."""
    command = [sys.executable, "-m", "drawbar", "run", "--inetd", "--chdir", str(SITES), "single:app", *options]
    done = subprocess.run(command, stdin=stdin, capture_output=True, text=True, cwd=ROOT)
    return done.returncode, (done.stderr.splitlines() or [""])[-1]


RIGHT = "have inetd (nowait) or a socket unit (Accept=yes, StandardInput=socket) start it"


def test_what_is_no_connection() -> None:
    assert run(subprocess.DEVNULL) == (2, f"drawbar: error: --inetd: standard input is no connection; {RIGHT}")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        said = f"drawbar: error: --inetd: standard input is a listening socket; {RIGHT}, or listen on it with --bind fd://0"
        assert run(listener) == (2, said)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        assert run(datagrams) == (2, f"drawbar: error: --inetd: standard input is no stream socket; {RIGHT}")


def test_a_client_that_has_gone_is_no_trouble() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        connection, _ = listener.accept()
    # A reset: the connection is no more.
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    with connection:
        assert run(connection) == (0, "")


def test_an_application_that_cannot_be_loaded_is_told_in_the_log() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        code, line = run(theirs, "--factory")
        assert code == 2
        assert line.startswith("drawbar: error: ")
        theirs.close()
        assert ours.recv(100) == b""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_it_runs_as_another_user(started: list[Inetd]) -> None:
    # The group alone is changed: the interpreter's own files may be for root's eyes.
    inetd = Inetd("single:app", "--user", "root", "--group", "nogroup")
    started.append(inetd)
    assert inetd.facts()["uid"] == 0
    groups = Path(f"/proc/{inetd.process.pid}/status").read_text()
    assert f"Gid:\t{pwd.getpwnam('nobody').pw_gid}\t" in groups


def test_messages_go_to_the_system_log_when_the_connection_is_standard_error(tmp_path: Path) -> None:
    """A socket of the test stands in for /dev/log."""
    program = (
        "import sys\n"
        "from drawbar.supervisor import inetd\n"
        "from drawbar.supervisor.logs import Log\n"
        "inetd.SYSTEM_LOG = sys.argv[1]\n"
        "inetd.take_connection()\n"
        "Log().error('a message')\n"
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as system_log:
        system_log.bind(str(tmp_path / "log"))
        system_log.settimeout(PATIENCE_S)
        ours, theirs = socket.socketpair()
        with ours, theirs:
            command = [sys.executable, "-c", program, str(tmp_path / "log")]
            end = theirs.fileno()
            assert subprocess.run(command, stdin=end, stdout=end, stderr=end, cwd=ROOT).returncode == 0
            assert system_log.recv(1000).endswith(b"error: a message\n")
            theirs.close()
            assert ours.recv(100) == b""
