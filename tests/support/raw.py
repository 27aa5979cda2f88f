"""A client that sends exactly the bytes it is given and reads responses with h11, which shares no code with ours."""

import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import h11

from tests.support.server import PATIENCE_S

READ_BYTES = 65536


@dataclass
class Response:
    """One response as h11 understood it. Header names are lower case."""

    status: int
    version: str
    reason: str
    headers: list[tuple[str, str]]
    body: bytes
    trailers: list[tuple[str, str]] = field(default_factory=list)
    informational: list[tuple[int, list[tuple[str, str]]]] = field(default_factory=list)

    def header(self, name: str) -> str | None:
        """The one value of header `name`, None when it is absent; AssertionError when it comes more than once."""
        values = [value for known, value in self.headers if known == name.lower()]
        assert len(values) <= 1, f"{name} comes {len(values)} times: {values}"
        return values[0] if values else None


class RawClient:
    """One connection. `received` holds bytes read that belong to no response yet."""

    def __init__(self, address: tuple[str, int] | str) -> None:
        family = (
            socket.AF_UNIX if isinstance(address, str) else socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        )
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        self.socket.settimeout(PATIENCE_S)
        self.socket.connect(address)
        self.received = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Closes both directions."""
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Sends all of `data`."""
        self.socket.sendall(data)

    def end(self) -> None:
        """Half-closes: the server reads an end, and can still answer."""
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self) -> None:
        """Closes with a reset instead of an end."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self.socket.close()

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes; EOFError when the server closes before."""
        while len(self.received) < size:
            self._more()
        taken, self.received = self.received[:size], self.received[size:]
        return taken

    def read_until(self, end: bytes) -> bytes:
        """All bytes up to and with `end`; EOFError when the server closes before."""
        while end not in self.received:
            self._more()
        at = self.received.index(end) + len(end)
        taken, self.received = self.received[:at], self.received[at:]
        return taken

    def read_to_end(self) -> bytes:
        """All bytes until the server closes. ConnectionResetError when it cuts its last words by a reset."""
        while data := self.socket.recv(READ_BYTES):
            self.received += data
        taken, self.received = self.received, b""
        return taken

    def response(self, method: str = "GET", *, upgrade: bool = False) -> Response:
        """The next response, to a request of `method`."""
        parser = h11.Connection(h11.CLIENT)
        headers = [("Host", "test")] + [("Connection", "upgrade"), ("Upgrade", "any")] * upgrade
        parser.send(h11.Request(method=method, target="/", headers=headers))
        parser.send(h11.EndOfMessage())
        if self.received:
            parser.receive_data(self.received)
        response = self._parse(parser)
        self.received = parser.trailing_data[0]
        return response

    def request(self, data: bytes) -> Response:
        """Sends one whole request, given as bytes, and reads its response."""
        self.send(data)
        return self.response(data.split(b" ", 1)[0].decode("ascii"))

    def _parse(self, parser: h11.Connection) -> Response:
        informational: list[tuple[int, list[tuple[str, str]]]] = []
        response: Response | None = None
        while True:
            event = parser.next_event()
            if event is h11.NEED_DATA:
                parser.receive_data(self.socket.recv(READ_BYTES))
            elif isinstance(event, h11.InformationalResponse):
                informational.append((event.status_code, _text(event.headers)))
                if event.status_code == 101:
                    return Response(101, "1.1", event.reason.decode(), _text(event.headers), b"", [], informational)
            elif isinstance(event, h11.Response):
                version, reason = event.http_version.decode(), event.reason.decode("latin-1")
                response = Response(event.status_code, version, reason, _text(event.headers), b"", [], informational)
            elif isinstance(event, h11.Data):
                assert response is not None
                response.body += bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                assert response is not None
                response.trailers = _text(event.headers)
                return response
            else:
                raise EOFError(f"the server closed before its response: {event!r}")

    def _more(self) -> None:
        data = self.socket.recv(READ_BYTES)
        if not data:
            raise EOFError(f"the server closed after {self.received!r}")
        self.received += data


def _text(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
    return [(name.decode("ascii"), value.decode("latin-1")) for name, value in headers]
