"""Connections this process dialled and serves: what keeps one open, what ends it, and who hears of it when."""

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from drawbar.exchange.forwarded import Proxies
from drawbar.exchange.policy import Policy
from drawbar.executors.inline import InlineExecutor
from drawbar.executors.threads import ThreadsExecutor
from drawbar.gateways.wsgi import WsgiHandler
from drawbar.pull.attached import AttachedConnector, attach, open_door
from drawbar.pull.handshake import RELEASED
from tests.support.front import GET
from tests.support.inprocess import Stepped
from tests.support.server import PATIENCE_S

FORWARDED = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-prefix")


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answers with its client and scheme."""
    start_response("200 OK", [])
    return [f"{environ.get('REMOTE_ADDR')} {environ['wsgi.url_scheme']}".encode()]


class Attached(Stepped):
    """A reactor that serves connections to a front, which the test is."""

    def __init__(self, application: Any = app, **policy: Any) -> None:
        super().__init__()
        self.ended: list[tuple[int, int]] = []
        policy = {"proxies": Proxies(lambda address: False, FORWARDED), "keepalive_timeout": 5, **policy}
        handler = WsgiHandler(application, InlineExecutor(), server=("front", 4242))
        self.connector = AttachedConnector(
            Policy(**policy), handler, "http", ("front", 4242), lambda *figures: self.ended.append(figures)
        )
        self.fronts: list[socket.socket] = []

    def attach(self, *, releases: bool = True, first: bytes = b"") -> socket.socket:
        """A new connection, from the front's end."""
        return self.serve(*socket.socketpair(), releases=releases, first=first)

    def serve(
        self, worker: socket.socket, front: socket.socket, *, releases: bool = True, first: bytes = b""
    ) -> socket.socket:
        """Serves `worker`, the other end of `front`."""
        worker.setblocking(False)
        front.settimeout(PATIENCE_S)
        attach(self.reactor, worker.detach(), self.connector, releases, first)
        self.fronts.append(front)
        self.settle()
        return front

    def ask(self, front: socket.socket, data: bytes = GET) -> bytes:
        """What comes back for a request."""
        front.sendall(data)
        self.settle()
        return front.recv(65536)

    def close(self) -> None:
        """Closes both sides."""
        for front in self.fronts:
            front.close()
        super().close()


@pytest.fixture
def attached() -> Iterator[Attached]:
    with Attached() as serving:
        yield serving


def test_an_idle_connection_stays(attached: Attached) -> None:
    front = attached.attach()
    attached.advance(86_400)
    assert attached.ask(front).startswith(b"HTTP/1.1 200 OK\r\n")
    attached.advance(86_400)
    assert attached.ask(front).startswith(b"HTTP/1.1 200 OK\r\n")
    assert attached.ended == []


def test_half_a_head_does_not_stay(attached: Attached) -> None:
    front = attached.attach()
    front.sendall(GET[:10])
    attached.advance(86_400)
    assert front.recv(100).startswith(b"HTTP/1.1 408 ")


def test_the_front_is_believed(attached: Attached) -> None:
    front = attached.attach()
    fields = b"X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n\r\n"
    assert attached.ask(front, GET[:-2] + fields).endswith(b"\r\n\r\n192.0.2.7 https")


def test_a_client_without_an_address_is_not_given_the_fronts(attached: Attached) -> None:
    """Over TCP the peer has one, which is that of the API: 127.0.0.1 in the eyes of an application that lets it in."""
    with socket.create_server(("127.0.0.1", 0)) as api:
        worker = socket.create_connection(api.getsockname())
        front = api.accept()[0]
    answer = attached.ask(attached.serve(worker, front))
    assert answer.endswith(b"\r\n\r\n http")


def test_a_request_that_was_read_already_is_served(attached: Attached) -> None:
    front = attached.attach(first=GET)
    attached.settle()
    assert front.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")
    assert attached.ask(front).startswith(b"HTTP/1.1 200 OK\r\n")


def test_the_beginning_of_a_request_that_was_read_already_is_gone_on_with(attached: Attached) -> None:
    front = attached.attach(first=GET[:10])
    assert attached.ask(front, GET[10:]).startswith(b"HTTP/1.1 200 OK\r\n")


def test_its_end_is_told_once_with_what_it_was_good_for(attached: Attached) -> None:
    front = attached.attach()
    attached.ask(front)
    attached.ask(front)
    attached.advance(60)
    front.close()
    attached.settle()
    ((requests, lived_ms),) = attached.ended
    assert requests == 2
    assert 60_000 <= lived_ms < 120_000


def test_a_front_that_asks_it_to_leave_is_obeyed(attached: Attached) -> None:
    front = attached.attach()
    answer = attached.ask(front, GET[:-2] + b"Connection: close\r\n\r\n")
    assert b"\r\nConnection: close\r\n" in answer
    assert front.recv(1) == b""
    assert [requests for requests, _ in attached.ended] == [1]


def test_an_idle_one_that_leaves_says_that_nothing_was_begun(attached: Attached) -> None:
    front = attached.attach()
    attached.reactor.drain()
    # A request that was on its way.
    front.sendall(GET)
    attached.settle()
    assert front.recv(1000) == RELEASED
    assert front.recv(1) == b""
    front.close()
    attached.settle()
    assert len(attached.ended) == 1


def test_an_idle_one_that_leaves_answers_what_is_there_already(attached: Attached) -> None:
    front = attached.attach()
    front.sendall(GET)
    attached.reactor.drain()
    attached.settle()
    answer = front.recv(1000)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nConnection: close\r\n" in answer


def test_a_front_that_takes_nothing_back_has_a_moment_for_one_more_request(attached: Attached) -> None:
    front, other = attached.attach(releases=False), attached.attach(releases=False)
    attached.reactor.drain()
    assert b"\r\nConnection: close\r\n" in attached.ask(front)
    attached.advance(1)
    assert other.recv(1) == b""


def test_one_that_comes_when_everything_stops_leaves(attached: Attached) -> None:
    attached.reactor.drain()
    front = attached.attach()
    assert front.recv(1000) == RELEASED


def test_a_pause_closes_what_is_idle(attached: Attached) -> None:
    front = attached.attach()
    attached.connector.leave(attached.reactor, True)
    assert front.recv(1000) == RELEASED
    front.close()
    attached.settle()
    attached.connector.leave(attached.reactor, False)
    assert attached.ask(attached.attach()).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_socket_that_broke_on_its_way_stays_the_callers(attached: Attached) -> None:
    lone = socket.socket()
    with pytest.raises(OSError, match="not connected"):
        attach(attached.reactor, lone.fileno(), attached.connector, True)
    lone.close()
    assert attached.reactor.connections == 0


def test_a_child_that_an_app_forks_tells_nobody(attached: Attached) -> None:
    front = attached.attach()
    attached.reactor.abandon()
    assert front.recv(1) == b""
    assert attached.ended == []


def test_room_is_not_there_again_before_the_call_is_over() -> None:
    entered, go_on = threading.Event(), threading.Event()
    closed = threading.Event()
    told_early: list[bool] = []

    def slow(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        entered.set()
        go_on.wait(PATIENCE_S)
        told_early.append(closed.is_set())
        start_response("200 OK", [])
        return [b"late"]

    serving = Attached(slow)
    executor = ThreadsExecutor(serving.reactor, 1, 2)
    serving.connector = AttachedConnector(
        Policy(), WsgiHandler(slow, executor), "http", ("front", 1), lambda *figures: closed.set()
    )
    noticed = threading.Event()
    reader, writer = socket.socketpair()

    def notice() -> None:
        reader.recv(1)
        noticed.set()

    open_door(serving.reactor, reader.fileno(), notice, lambda: None)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        worker = socket.create_connection(listener.getsockname())
        front, _ = listener.accept()
    worker.setblocking(False)
    attach(serving.reactor, worker.detach(), serving.connector, True)
    front.sendall(GET)
    runner = threading.Thread(target=executor.run)
    runner.start()
    assert entered.wait(PATIENCE_S)
    # A reset: the connection is closed at once, and its call runs on.
    front.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    front.close()
    writer.send(b"x")
    assert noticed.wait(PATIENCE_S)
    go_on.set()
    assert closed.wait(PATIENCE_S)
    serving.reactor.stop()
    runner.join()
    serving.close()
    reader.close()
    writer.close()
    assert told_early == [False]
    assert serving.errors == []
