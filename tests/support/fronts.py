"""A front inside the test: clients on one side, scripted workers on the other, all stepped by the test.

A worker is a plain socket that asked for the upgrade and got its 101: what it is sent, and what it answers, is written
out in the test byte by byte.
"""

import socket
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from drawbar.exchange.http1 import Http1Connector
from drawbar.exchange.policy import Policy
from drawbar.net.listener import listen
from drawbar.pull.attach import AttachHandler
from drawbar.pull.front import Front
from drawbar.pull.queue import AppQueue
from drawbar.pull.routes import Route
from tests.support.inprocess import Client, Stepped
from tests.support.raw import Response

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Public:
    """One of a front's listeners, as `Client` wants it."""

    def __init__(self, front: "FrontSite", handler: Any, send_buffer: int, policy: Policy) -> None:
        self.front = front
        self.socket = socket.socket()
        if send_buffer:
            # Accepted sockets inherit it.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, send_buffer)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(100)
        self.socket.setblocking(False)
        self.address = self.socket.getsockname()
        listen(front.reactor, self.socket, Http1Connector(policy, handler, "http", self.address), exclusive=False)

    def turn(self) -> None:
        """Handles what is there."""
        self.front.turn()

    def settle(self) -> None:
        """Takes turns until there is nothing left to do."""
        self.front.settle()

    def until(self, done: Callable[[], bool], also: int | None = None) -> None:
        """Takes turns until `done()`."""
        self.front.until(done, also)


class Worker(Client):
    """An attached worker. It reads requests and writes responses itself."""

    def request(self) -> bytes:
        """The next head it was sent, with the empty line."""
        return self.read_until(b"\r\n\r\n")

    def body(self, size: int) -> bytes:
        """Exactly so many bytes."""
        while len(self.received) < size:
            self._more()
        taken, self.received = self.received[:size], self.received[size:]
        return taken

    def serve(self, answer: bytes = OK) -> bytes:
        """Answers one request; its head."""
        head = self.request()
        self.send(answer)
        return head


def field(head: bytes, name: str) -> str | None:
    """The one value of a field of a head, None without it; AssertionError when it comes more than once."""
    found = [
        value.strip().decode("latin-1")
        for key, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
        if key.decode("latin-1").lower() == name.lower()
    ]
    assert len(found) <= 1, f"{name} comes {len(found)} times"
    return found[0] if found else None


class FrontSite(Stepped):
    """A front with the app "app".

    queue: arguments of AppQueue. policy: arguments of Policy. routes: of the app. front: arguments of Front.
    `refused` holds what the policy's callback was told; `completed` what became of each exchange: (status, whole).
    """

    def __init__(
        self,
        *,
        queue: dict[str, Any] | None = None,
        policy: dict[str, Any] | None = None,
        routes: list[Route] | None = None,
        send_buffer: int = 0,
        **front: Any,
    ) -> None:
        super().__init__()
        self.refused: list[tuple[Any, int, str, bytes]] = []
        self.completed: list[tuple[int, bool]] = []
        self.on_complete: Callable[[Any], object] = lambda exchange: None
        self.policy = Policy(
            on_refused=lambda *what: self.refused.append(what[:4]),
            on_complete=self._complete,
            **(policy or {}),
        )
        self.front = Front(self.reactor, **front)
        self.queue = AppQueue("app", **(queue or {}))
        self.front.add_app("app", self.queue, routes)
        self.public = Public(self, self.front, send_buffer, self.policy)
        self.private = Public(self, AttachHandler(self.front), send_buffer, Policy())
        self._clients: list[Client] = []
        self._send_buffer = send_buffer

    def _complete(self, exchange: Any) -> None:
        self.completed.append((exchange.status_code, exchange.complete))
        self.on_complete(exchange)

    def connect(self, receive_buffer: int = 0) -> Client:
        """A client's connection."""
        client = Client(self.public, receive_buffer)
        self._prepare(client)
        return client

    def _prepare(self, client: Client) -> None:
        self._clients.append(client)
        # Else what is sent in pieces would wait for acknowledgements, and so for a clock.
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._send_buffer:
            # The kernel's own would grow to megabytes.
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._send_buffer)

    def worker(self, label: str = "v1", app: str = "app", receive_buffer: int = 0) -> Worker:
        """A connection of a worker, attached."""
        worker = Worker(self.private, receive_buffer)
        self._prepare(worker)
        worker.send(
            f"GET /api/v2/attach?app={app}&label={label} HTTP/1.1\r\nHost: front\r\n"
            "Connection: Upgrade\r\nUpgrade: PTTH/1.0\r\n\r\n".encode()
        )
        assert worker.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
        return worker

    def exchange(self, answer: bytes, request: bytes = GET) -> Response:
        """What a client gets when a worker answers like that."""
        worker = self.worker()
        client = self.connect()
        client.send(request)
        worker.request()
        worker.send(answer)
        return client.response(request.split(b" ", 1)[0].decode())

    def close(self) -> None:
        """Closes all sides."""
        for client in self._clients:
            client.socket.close()
        super().close()
        self.public.socket.close()
        self.private.socket.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if kind is None:
            queue = self.queue
            ended = queue.answered + queue.abandoned + queue.queued_too_long + queue.past_deadline + queue.broken
            assert queue.accepted == queue.queued + queue.leased + ended

    def __enter__(self) -> Self:
        return self
