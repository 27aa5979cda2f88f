"""A server of `CallHandler` inside the test, stepped by it; see tests/support/inprocess.py."""

import socket
from typing import Any, cast

from drawbar.exchange.exchange import Handler
from drawbar.exchange.http1 import Http1Connector
from drawbar.exchange.policy import Policy
from drawbar.net.listener import listen
from tests.support.inprocess import Client, Site, Stepped
from tests.support.raw import Response


class Doors(Stepped):
    """A stepped reactor with as many listeners as `open` was called."""

    def __init__(self) -> None:
        super().__init__()
        self._sockets: list[socket.socket] = []
        self._clients: list[Client] = []

    def open(self, handler: Handler, **policy: Any) -> "Door":
        """Listens for `handler` on a port of its own."""
        return self.open_with(handler, Policy(**policy))

    def open_with(self, handler: Handler, policy: Policy) -> "Door":
        """The same with a policy that is made already."""
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)
        self._sockets.append(listener)
        address = listener.getsockname()
        listen(self.reactor, listener, Http1Connector(policy, handler, "http", address), exclusive=False)
        return Door(self, listener)

    def close(self) -> None:
        """Closes both sides."""
        for client in self._clients:
            client.socket.close()
        super().close()
        for listener in self._sockets:
            listener.close()


class Door:
    """One listener of `Doors`."""

    def __init__(self, doors: Doors, listener: socket.socket) -> None:
        self._doors = doors
        self.socket = listener
        self.address = listener.getsockname()
        # What a Client asks of its site.
        self.turn, self.settle, self.until = doors.turn, doors.settle, doors.until

    def connect(self, receive_buffer: int = 0) -> Client:
        """A new connection."""
        client = Client(cast(Site, self), receive_buffer)
        # Else the kernel keeps a small write until the one before is acknowledged, which takes a clock.
        client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._doors._clients.append(client)
        return client

    def request(self, data: bytes) -> Response:
        """The response to one request on a connection of its own."""
        client = self.connect()
        client.send(data)
        return client.response(data.split(b" ", 1)[0].decode("ascii"))


def message(start: str, *fields: str, body: bytes | None = None) -> bytes:
    """A request: `message("GET /", "Accept: text/html")`."""
    sized = [] if body is None else [f"Content-Length: {len(body)}"]
    host = [] if any(field.startswith("Host:") for field in fields) else ["Host: localhost"]
    head = "\r\n".join([f"{start} HTTP/1.1", *host, *fields, *sized, "", ""])
    return head.encode("latin-1") + (body or b"")
