"""A WebSocket client's side of the wire in bytes, by the `websockets` library's own frame code."""

from collections.abc import Iterable

from websockets.client import ClientProtocol
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import State
from websockets.uri import parse_uri

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 section 1.3
FIELDS = [
    ("Host", "test"),
    ("Connection", "keep-alive, Upgrade"),
    ("Upgrade", "websocket"),
    ("Sec-WebSocket-Key", KEY),
    ("Sec-WebSocket-Version", "13"),
]


def frame(opcode: Opcode, data: bytes = b"", fin: bool = True) -> bytes:
    """A frame as a client sends it."""
    return Frame(opcode, data, fin).serialize(mask=True)


def text(data: str) -> bytes:
    return frame(Opcode.TEXT, data.encode())


def binary(data: bytes) -> bytes:
    return frame(Opcode.BINARY, data)


def close(code: int | None = None, reason: str = "") -> bytes:
    return frame(Opcode.CLOSE, b"" if code is None else Close(code, reason).serialize())


def head(fields: Iterable[tuple[str, str]] = FIELDS, target: str = "/") -> bytes:
    """A handshake request."""
    return "".join([f"GET {target} HTTP/1.1\r\n", *(f"{name}: {value}\r\n" for name, value in fields), "\r\n"]).encode()


class Reader:
    """What a server sent after its 101, as frames."""

    def __init__(self) -> None:
        self._protocol = ClientProtocol(parse_uri("ws://test/"), state=State.OPEN, max_size=None)

    def feed(self, data: bytes) -> list[tuple[str, bytes]]:
        """The frames that are whole now: their opcode's name and payload."""
        self._protocol.receive_data(data)
        assert self._protocol.parser_exc is None, self._protocol.parser_exc
        frames = self._protocol.events_received()
        return [(item.opcode.name, bytes(item.data)) for item in frames if isinstance(item, Frame)]


def closed(code: int, reason: str = "") -> tuple[str, bytes]:
    """The close frame as `Reader.feed` gives it."""
    return ("CLOSE", Close(code, reason).serialize())
