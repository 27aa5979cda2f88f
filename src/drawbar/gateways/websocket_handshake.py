"""The opening handshake of a WebSocket (RFC 6455 section 4.2), as functions of one to the other.

Law: no I/O and no state. The head of the request was parsed once, by the HTTP codec; what it says is taken from the
scope. Whether it is a good handshake, and what answers it, is for the `websockets` library to say; what an
application may add to the answer is checked here.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Final

from websockets.datastructures import Headers
from websockets.exceptions import InvalidHeader
from websockets.extensions import ServerExtensionFactory
from websockets.headers import parse_subprotocol
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from drawbar.exchange.errors import AppError

VERSION: Final = "13"
"""Of the protocol, the only one there is (RFC 6455 section 11.6)."""

# RFC 9110 section 5.6.2:  token = 1*tchar
_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# RFC 9110 section 5.5:  field-content, without what RFC 9112 section 2.2 makes dangerous
_VALUE: Final = re.compile(rb"[\t \x21-\x7e\x80-\xff]*")
# They say where the response ends or what comes after it, which is the server's business.
_SERVERS_OWN: Final = frozenset({b"connection", b"upgrade", b"content-length", b"transfer-encoding", b"trailer"})


@dataclass(frozen=True)
class Handshake:
    """What the library made of a request: the 101 to send once the application agrees, or the refusal to send now."""

    protocol: ServerProtocol
    response: Response
    subprotocols: list[Subprotocol]
    """Those the client offers, in its order of preference."""

    def is_good(self) -> bool:
        """The application may accept it."""
        return self.response.status_code == HTTPStatus.SWITCHING_PROTOCOLS


def shake(scope: dict[str, Any], extensions: list[ServerExtensionFactory], max_message_bytes: int) -> Handshake:
    """Judges the request of a websocket scope."""
    # OPEN from the start: the head is behind us, so the first byte the protocol sees belongs to a frame.
    protocol = ServerProtocol(extensions=extensions, state=State.OPEN, max_size=max_message_bytes)
    fields = Headers((name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"])
    response = protocol.accept(Request(scope["raw_path"].decode("latin-1"), fields))
    handshake = Handshake(protocol, response, [])
    if handshake.is_good():
        return replace(handshake, subprotocols=_offered(fields))
    return replace(handshake, response=_refusal(protocol, response))


def _offered(fields: Headers) -> list[Subprotocol]:
    return [name for value in fields.get_all("Sec-WebSocket-Protocol") for name in parse_subprotocol(value)]


def _refusal(protocol: ServerProtocol, response: Response) -> Response:
    """The library's refusal with the fields that mean something here; those on framing are the server's own."""
    status = response.status_code
    fields = Headers(
        (name, value)
        for name, value in response.headers.raw_items()
        if name.lower() in {"content-type", "allow", "upgrade"}
    )
    error = protocol.handshake_exc
    if isinstance(error, InvalidHeader) and error.name == "Sec-WebSocket-Version" and error.value is not None:
        # RFC 6455 section 4.2.2:  "the server MUST abort the handshake and send an appropriate HTTP error code (such as
        # 426 Upgrade Required) and a |Sec-WebSocket-Version| header field indicating the version(s) the server is
        # capable of understanding"
        status = HTTPStatus.UPGRADE_REQUIRED
        fields["Upgrade"] = "websocket"
        fields["Sec-WebSocket-Version"] = VERSION
    return Response(status, HTTPStatus(status).phrase, fields, response.body)


def accepted(handshake: Handshake, subprotocol: object, headers: Iterable[tuple[object, object]]) -> bytes:
    """The head of the 101 response with what the application adds to it.

    Raises AppError for a subprotocol the client did not offer, and for a field that is malformed or not the
    application's to set.
    """
    fields = handshake.response.headers.copy()
    if subprotocol is not None:
        # RFC 6455 section 4.2.2:  the value "MUST be" one of those the client sent, or the client fails the connection.
        if subprotocol not in handshake.subprotocols:
            offered = ", ".join(handshake.subprotocols) or "none"
            raise AppError(
                f"websocket.accept: subprotocol {subprotocol!r} is not one the client offers; it offers: {offered}"
            )
        fields["Sec-WebSocket-Protocol"] = str(subprotocol)
    for name, value in headers:
        _check_field(name, value)
        assert isinstance(name, bytes)
        assert isinstance(value, bytes)
        if name.lower() == b"date":
            del fields["Date"]
        fields[name.decode("ascii")] = value.decode("latin-1").strip()
    return replace(handshake.response, headers=fields).serialize()


def _check_field(name: object, value: object) -> None:
    if not isinstance(name, bytes) or not isinstance(value, bytes):
        kinds = f"{type(name).__name__} and {type(value).__name__}"
        raise AppError(f"websocket.accept: header name and value must be bytes, not {kinds}: {(name, value)!r}")
    if not _TOKEN.fullmatch(name):
        raise AppError(f"websocket.accept: {name!r} is no header name")
    if not _VALUE.fullmatch(value):
        raise AppError(f"websocket.accept: the value of {name!r} has a control character: {value[:80]!r}")
    lower = name.lower()
    if lower.startswith(b"sec-websocket-"):
        raise AppError(f"websocket.accept: {name!r} is the handshake's own; a subprotocol goes in 'subprotocol'")
    if lower in _SERVERS_OWN:
        raise AppError(f"websocket.accept: {name!r} is the server's to set")
