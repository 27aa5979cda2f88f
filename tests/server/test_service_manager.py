"""A server that a service manager starts: with sockets it opened, and a socket on which it wants to hear. The test is
the manager."""

import json
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.raw import RawClient
from tests.support.server import PATIENCE_S, Activation, Server, Servers

SITES = Path(__file__).parent / "sites"
WAYS = {"wsgi": "single:app", "asgi": "single:asgi"}

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


class Manager:
    """Hears what a server notifies."""

    def __init__(self, directory: Path) -> None:
        self.address = str(directory / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.address)
        self._socket.settimeout(PATIENCE_S)

    def hears(self, state: str) -> dict[str, str]:
        """The next message of this state; those before it are passed over."""
        while True:
            message = dict(line.split("=", 1) for line in self._socket.recv(4096).decode().splitlines())
            if state in message:
                return message

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path)
    yield made
    made.close()


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    """Two listening sockets, as socket units have them."""
    made = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    yield made
    for listener in made:
        listener.close()


def ask(address: Any) -> dict[str, Any]:
    with RawClient(address) as client:
        facts: dict[str, Any] = json.loads(client.request(GET).body)
        return facts


def warnings(server: Server) -> list[str]:
    return [line for line in server.log.lines if line.startswith("drawbar: warning: ")]


@pytest.mark.parametrize("target", WAYS.values(), ids=WAYS.keys())
def test_passed_sockets_are_served(server: Servers, sockets: list[socket.socket], target: str) -> None:
    # Who connects before the server starts waits in the queue: that is what the manager's sockets are for.
    with RawClient(sockets[0].getsockname()) as early:
        early.send(GET)
        running = server(target, bind=None, chdir=SITES, activation=Activation(sockets))
        assert early.response().status == 200
    assert running.ports == [listener.getsockname()[1] for listener in sockets]
    for listener in sockets:
        facts = ask(listener.getsockname())
        assert facts["manager"] == []
    assert warnings(running) == []


def test_a_name_says_which(server: Servers, sockets: list[socket.socket]) -> None:
    running = server(
        "single:app", bind="fd://web", chdir=SITES, activation=Activation(sockets, "admin:web"), ready=True
    )
    assert running.ports == [sockets[1].getsockname()[1]]
    assert warnings(running) == [
        "drawbar: warning: LISTEN_FDS: passed and not used, as other addresses are bound: fd://3 (admin)"
    ]


def test_addresses_go_before_passed_sockets(server: Servers, sockets: list[socket.socket]) -> None:
    running = server("single:app", chdir=SITES, activation=Activation(sockets[:1]))
    assert running.port != sockets[0].getsockname()[1]
    assert warnings(running) == [
        "drawbar: warning: LISTEN_FDS: passed and not used, as other addresses are bound: fd://3"
    ]


def test_the_file_of_a_passed_socket_is_the_managers(server: Servers, tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        running = server("single:app", bind=None, chdir=SITES, activation=Activation([listener]))
        assert ask(str(path))["uid"] == os.getuid()
        running.stop()
        assert path.is_socket()


def test_what_is_no_stream_socket_is_refused(server: Servers) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(("127.0.0.1", 0))
        refused = server("single:app", bind=None, chdir=SITES, activation=Activation([datagrams]), ready=False)
        assert refused.wait() == 2
        assert refused.log.lines[-1].startswith("drawbar: error: --bind fd://3: the descriptor is no stream socket")


def test_the_manager_hears_of_start_and_end(server: Servers, manager: Manager) -> None:
    environ = {**os.environ, "NOTIFY_SOCKET": manager.address}
    running = server("single:app", chdir=SITES, env=environ)
    assert manager.hears("READY")["READY"] == "1"
    assert ask((running.host, running.port))["manager"] == []
    running.process.send_signal(signal.SIGTERM)
    assert manager.hears("STOPPING")["STOPPING"] == "1"
    assert running.wait() == 0


def test_the_manager_hears_of_reloads_and_that_the_master_moves(server: Servers, manager: Manager) -> None:
    environ = {**os.environ, "NOTIFY_SOCKET": manager.address, "WATCHDOG_USEC": "200000"}
    running = server("single:app", chdir=SITES, env=environ)
    manager.hears("READY")
    manager.hears("WATCHDOG")
    manager.hears("WATCHDOG")
    running.process.send_signal(signal.SIGHUP)
    assert int(manager.hears("RELOADING")["MONOTONIC_USEC"]) > 0
    manager.hears("READY")


def test_the_manager_hears_of_another_master(server: Servers, manager: Manager, sockets: list[socket.socket]) -> None:
    environ = {**os.environ, "NOTIFY_SOCKET": manager.address}
    activation = Activation(sockets[:1], "web")
    running = server("single:app", bind="fd://web", chdir=SITES, env=environ, activation=activation)
    manager.hears("READY")
    old = os.pidfd_open(running.process.pid)
    running.process.send_signal(signal.SIGUSR2)
    new = os.pidfd_open(int(manager.hears("MAINPID")["MAINPID"]))
    running.process.wait(PATIENCE_S)
    os.close(old)
    # The sockets are passed on with their names, and the next master reads its settings as the first did.
    assert ask(sockets[0].getsockname())["manager"] == []
    signal.pidfd_send_signal(new, signal.SIGHUP)
    manager.hears("RELOADING")
    manager.hears("READY")
    assert ask(sockets[0].getsockname())["manager"] == []
    signal.pidfd_send_signal(new, signal.SIGTERM)
    manager.hears("STOPPING")
    os.close(new)
    assert running.wait() == 0
