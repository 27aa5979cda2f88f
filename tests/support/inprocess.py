"""A server inside the test: its reactor takes a turn when the test says so, on the test's own thread.

So there is neither a second thread nor a sleep. Whoever waits for bytes takes turns until they are there; when nothing
can be read on either side, it waits for the kernel to deliver, and not for a clock. Deadlines are reached by moving the
reactor's clock.
"""

import select
import socket
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import h11

from drawbar.exchange.exchange import Executor
from drawbar.exchange.http1 import Http1Connector
from drawbar.exchange.policy import Policy
from drawbar.exchange.proxied import ProxiedConnector
from drawbar.executors.inline import InlineExecutor
from drawbar.gateways.wsgi import WsgiHandler
from drawbar.net.listener import listen
from drawbar.net.reactor import Reactor
from tests.support.raw import READ_BYTES, Response
from tests.support.server import PATIENCE_S

# Loopback delivers within the sender's call, so a few turns without an event mean that there will be none.
QUIET_TURNS = 3


class Stepped:
    """A reactor that the test steps. `errors`: exceptions nobody else took; the test must clear those it expects."""

    def __init__(self, connections: int = 1000, temp_dir: str | None = None) -> None:
        self.errors: list[BaseException] = []
        self.reactor = Reactor(connections, temp_dir, self.errors.append)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if kind is None:
            assert self.errors == []

    def close(self) -> None:
        """Ends all connections."""
        self.reactor.close()

    def turn(self) -> None:
        """Handles what is there."""
        self.reactor.drain_ready()

    def settle(self) -> None:
        """Takes turns until there is nothing left to do."""
        quiet = 0
        while quiet < QUIET_TURNS:
            ready = select.select([self.reactor.epoll_fd], [], [], 0)[0] or self.reactor.next_timeout_ms() == 0
            quiet = 0 if ready else quiet + 1
            self.turn()

    def advance(self, seconds: float) -> None:
        """Moves the clock ahead, and handles what is due then."""
        self.settle()
        self.reactor.advance(round(seconds * 1000))
        # The first turn reads the clock.
        self.turn()
        self.settle()

    def until(self, done: Callable[[], bool], also: int | None = None) -> None:
        """Takes turns until `done()`; meanwhile waits for the reactor or the descriptor `also` to be ready."""
        watched = [self.reactor.epoll_fd] if also is None else [self.reactor.epoll_fd, also]
        while True:
            self.turn()
            if done():
                return
            if self.reactor.next_timeout_ms() == 0:
                continue
            assert select.select(watched, [], [], PATIENCE_S)[0], "nothing happens any more"


class Site(Stepped):
    """Serves the WSGI application `app`, one call at a time.

    executor: makes another caller, of the reactor. policy: arguments of Policy. handler: arguments of WsgiHandler.
    proxied: trusted proxies send PROXY headers.
    `refused`, `failed` and `completed` hold what the policy's callbacks were told; `completed` needs log=True.
    """

    def __init__(
        self,
        app: Any,
        *,
        policy: dict[str, Any] | None = None,
        connections: int = 1000,
        unix: Path | None = None,
        log: bool = False,
        send_buffer: int = 0,
        temp_dir: str | None = None,
        proxied: bool = False,
        executor: Callable[[Reactor], Executor] | None = None,
        **handler: Any,
    ) -> None:
        super().__init__(connections, temp_dir)
        self.refused: list[tuple[Any, int, str, bytes]] = []
        self.failed: list[BaseException] = []
        self.failed_requests: list[str] = []
        self.completed: list[Any] = []
        self._clients: list[Client] = []
        self.socket = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        if send_buffer:
            # Accepted sockets inherit it.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        if not unix:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.bind(str(unix) if unix else ("127.0.0.1", 0))
        self.socket.listen(100)
        self.socket.setblocking(False)
        self.address = self.socket.getsockname()
        name = (self.address, None) if unix else self.address
        self.policy = Policy(
            on_refused=lambda *what: self.refused.append(what[:4]),
            on_app_error=self._app_error,
            on_complete=self.completed.append if log else None,
            temp_dir=temp_dir,
            **(policy or {}),
        )
        caller = executor(self.reactor) if executor is not None else InlineExecutor()
        self.handler = WsgiHandler(app, caller, server=name, **handler)
        connector = Http1Connector(self.policy, self.handler, "http", name)
        listen(self.reactor, self.socket, ProxiedConnector(connector) if proxied else connector, exclusive=False)

    def _app_error(self, exchange: Any, error: BaseException) -> None:
        self.failed.append(error)
        self.failed_requests.append(f"{exchange.method} {exchange.target}")

    def connect(self, receive_buffer: int = 0) -> "Client":
        """A new connection. receive_buffer: bytes its kernel takes ahead of the test's reading."""
        client = Client(self, receive_buffer)
        self._clients.append(client)
        return client

    def request(self, data: bytes) -> Response:
        """The response to one request on a connection of its own."""
        client = self.connect()
        client.send(data)
        return client.response(data.split(b" ", 1)[0].decode("ascii"))

    def get(self, path: str = "/", *fields: str) -> Response:
        """The response to a GET."""
        return self.request("\r\n".join([f"GET {path} HTTP/1.1", "Host: test", *fields, "", ""]).encode("latin-1"))

    def close(self) -> None:
        """Closes both sides."""
        for client in self._clients:
            client.socket.close()
        super().close()
        self.socket.close()


class Served(Protocol):
    """What a client needs of the server it is a client of."""

    socket: socket.socket
    address: Any

    def turn(self) -> None: ...
    def settle(self) -> None: ...
    def until(self, done: Callable[[], bool], also: int | None = None) -> None: ...


class Client:
    """A connection to a Site, or another server that the test steps.

    `received`: bytes read that belong to no response yet; `ended`: "", "end" or "reset".
    """

    def __init__(self, site: Served, receive_buffer: int = 0) -> None:
        self.site = site
        self.socket = socket.socket(site.socket.family)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(site.address)
        self.socket.setblocking(False)
        self.received = b""
        self.ended = ""

    def send(self, data: bytes) -> None:
        """Sends all of it, with the server taking turns while the kernel takes no more, and as long as it has work."""
        view = memoryview(data)
        while view:
            try:
                view = view[self.socket.send(view) :]
            except BlockingIOError:
                self.site.turn()
        self.site.settle()

    def end(self) -> None:
        """Half-closes."""
        self.socket.shutdown(socket.SHUT_WR)
        self.site.settle()

    def reset(self) -> None:
        """Breaks the connection."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self.socket.close()
        self.site.settle()

    def close(self) -> None:
        """Closes both directions."""
        self.socket.close()
        self.site.settle()

    def poll(self) -> bool:
        """Reads what is there; whether there was anything."""
        if self.ended:
            return False
        try:
            data = self.socket.recv(READ_BYTES)
        except BlockingIOError:
            return False
        except ConnectionResetError:
            self.ended = "reset"
            return True
        self.ended = "" if data else "end"
        self.received += data
        return True

    def _more(self) -> None:
        """Takes turns until something was read."""
        assert not self.ended, f"the connection is at its {self.ended} after {self.received[-300:]!r}"
        self.site.until(self.poll, self.socket.fileno())

    def read_until(self, end: bytes) -> bytes:
        """All bytes up to and with `end`."""
        while end not in self.received:
            self._more()
        at = self.received.index(end) + len(end)
        taken, self.received = self.received[:at], self.received[at:]
        return taken

    def read_to_end(self) -> bytes:
        """All bytes until the server closes; AssertionError when it resets."""
        while not self.ended:
            self._more()
        assert self.ended == "end", f"reset after {self.received[-300:]!r}"
        taken, self.received = self.received, b""
        return taken

    def available(self) -> bytes:
        """All the server has to say now, which may be nothing."""
        self.site.settle()
        while self.poll():
            self.site.settle()
        taken, self.received = self.received, b""
        return taken

    def response(self, method: str = "GET") -> Response:
        """The next response, as h11 reads it."""
        parser = h11.Connection(h11.CLIENT)
        parser.send(h11.Request(method=method, target="/", headers=[("Host", "test")]))
        parser.send(h11.EndOfMessage())
        interim: list[tuple[int, list[tuple[str, str]]]] = []
        response: Response | None = None
        pending, self.received = self.received, b""
        if pending:
            parser.receive_data(pending)
        while True:
            event = parser.next_event()
            if event is h11.NEED_DATA:
                if not self.received:
                    self._more()
                parser.receive_data(self.received)
                self.received = b""
            elif isinstance(event, h11.InformationalResponse):
                interim.append((event.status_code, _text(event.headers)))
            elif isinstance(event, h11.Response):
                version, reason = event.http_version.decode(), event.reason.decode("latin-1")
                response = Response(event.status_code, version, reason, _text(event.headers), b"", [], interim)
            elif isinstance(event, h11.Data):
                assert response is not None
                response.body += bytes(event.data)
            else:
                assert isinstance(event, h11.EndOfMessage)
                assert response is not None
                response.trailers = _text(event.headers)
                self.received = parser.trailing_data[0]
                return response


def _text(headers: Any) -> list[tuple[str, str]]:
    return [(name.decode("ascii"), value.decode("latin-1")) for name, value in headers]
