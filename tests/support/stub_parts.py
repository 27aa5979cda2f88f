"""What the stub front's lanes share: a message read whole, and a request on its way to an answer."""

import socket
from dataclasses import dataclass, field

import h11

READ_BYTES = 65536
ATTEMPTS = 3
SAFE = {b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"}
# RFC 9110 section 7.6.1, and what the pull protocol drops with them.
HOP_BY_HOP = {b"connection", b"keep-alive", b"proxy-connection", b"te", b"transfer-encoding", b"upgrade"}

# In the last words of a worker on an idle connection: whatever was on its way there was not begun.
RELEASED = b"\r\nDrawbar-Released: 1\r\n"

Fields = list[tuple[bytes, bytes]]


@dataclass
class Message:
    """A request, whole."""

    method: bytes
    target: bytes
    fields: Fields
    body: bytes = b""

    def header(self, name: bytes) -> bytes:
        """The first value of a field, empty when there is none."""
        return next((value for known, value in self.fields if known.lower() == name), b"")

    @property
    def chunked(self) -> bool:
        return self.header(b"transfer-encoding") == b"chunked"

    @property
    def is_upgrade(self) -> bool:
        return bool(self.header(b"upgrade"))


@dataclass
class Answer:
    """A response, whole."""

    status: int
    fields: Fields
    body: bytes


@dataclass
class Reply:
    """What the API says to a worker."""

    status: int
    body: bytes = b""
    kind: str = "application/json"
    fields: list[tuple[str, str]] = field(default_factory=list)


@dataclass(eq=False)
class Job:
    """A request, and what became of it."""

    id: str
    message: Message
    client: socket.socket
    attempts: int = 0
    begun: bool = False
    slot: object = None
    answer: Answer | None = None


def receive(sock: socket.socket, connection: h11.Connection) -> Message | None:
    """The next request, whole; None at the end. h11.RemoteProtocolError for anything that is none."""
    message: Message | None = None
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            if connection.they_are_waiting_for_100_continue:
                sock.sendall(connection.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
            connection.receive_data(sock.recv(READ_BYTES))
        elif isinstance(event, h11.Request):
            message = Message(event.method, event.target, list(event.headers.raw_items()))
        elif isinstance(event, h11.Data):
            assert message is not None
            message.body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            return message
        else:
            return None
