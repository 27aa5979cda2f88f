"""What answers a handshake, and what an application may add to it."""

from typing import Any

import pytest
from websockets.http11 import Response

from drawbar.exchange.errors import AppError
from drawbar.gateways.websocket_handshake import accepted, shake
from tests.support.frames import FIELDS, KEY


def without(*names: str) -> list[tuple[str, str]]:
    return [pair for pair in FIELDS if pair[0] not in names]


def scope_of(fields: list[tuple[str, str]]) -> dict[str, Any]:
    return {"raw_path": b"/", "headers": [(name.lower().encode(), value.encode()) for name, value in fields]}


def answer(fields: list[tuple[str, str]]) -> Response:
    return shake(scope_of(fields), [], 1_000).response


@pytest.mark.parametrize(
    ("fields", "status", "names"),
    [
        (without("Sec-WebSocket-Key"), 400, b"Sec-WebSocket-Key"),
        ([*FIELDS, ("Sec-WebSocket-Key", KEY)], 400, b"multiple values"),
        ([*without("Sec-WebSocket-Key"), ("Sec-WebSocket-Key", "c2hvcnQ=")], 400, b"Sec-WebSocket-Key"),
        ([*without("Sec-WebSocket-Key"), ("Sec-WebSocket-Key", "no base64")], 400, b"Sec-WebSocket-Key"),
        (without("Sec-WebSocket-Version"), 400, b"Sec-WebSocket-Version"),
        ([*without("Sec-WebSocket-Version"), ("Sec-WebSocket-Version", "8")], 426, b"Sec-WebSocket-Version"),
        ([*FIELDS, ("Sec-WebSocket-Extensions", ";;")], 101, b""),  # nobody asks for what nobody offers
        ([*FIELDS, ("Sec-WebSocket-Protocol", "a b")], 400, b"Sec-WebSocket-Protocol"),
    ],
)
def test_bad_handshakes_are_answered(fields: list[tuple[str, str]], status: int, names: bytes) -> None:
    response = answer(fields)
    assert response.status_code == status
    assert names in response.body


def test_wrong_version_names_the_right_one() -> None:
    response = answer([*without("Sec-WebSocket-Version"), ("Sec-WebSocket-Version", "8")])
    assert response.headers["Sec-WebSocket-Version"] == "13"
    assert response.headers["Upgrade"] == "websocket"


def test_refusal_leaves_framing_to_the_server() -> None:
    names = {name.lower() for name, _ in answer(without("Sec-WebSocket-Key")).headers.raw_items()}
    assert names == {"content-type"}


def accept(*headers: tuple[object, object], subprotocol: object = None) -> bytes:
    handshake = shake(scope_of([*FIELDS, ("Sec-WebSocket-Protocol", "chat, superchat")]), [], 1_000)
    return accepted(handshake, subprotocol, headers)


def test_accept_adds_fields_as_they_are() -> None:
    head = accept((b"set-cookie", b"a=1"), (b"set-cookie", b"b=\xe9"), subprotocol="superchat")
    assert b"\r\nset-cookie: a=1\r\nset-cookie: b=\xe9\r\n" in head
    assert b"\r\nSec-WebSocket-Protocol: superchat\r\n" in head
    assert head.endswith(b"\r\n\r\n")


def test_date_of_the_application_stands_alone() -> None:
    head = accept((b"Date", b"Thu, 01 Jan 1970 00:00:00 GMT"))
    assert head.lower().count(b"\r\ndate:") == 1
    assert b"01 Jan 1970" in head


@pytest.mark.parametrize(
    ("name", "value", "names"),
    [
        (b"x-a", b"1\r\nx-b: 2", "control character"),
        (b"x-a", b"1\nx-b: 2", "control character"),
        (b"x-a", b"\x00", "control character"),
        (b"x-a", b"1\n", "control character"),
        (b"x-a\r\nx-b", b"1", "is no header name"),
        (b"x a", b"1", "is no header name"),
        (b"", b"1", "is no header name"),
        (b":status", b"1", "is no header name"),
        ("x-a", b"1", "must be bytes, not str and bytes"),
        (b"x-a", "1", "must be bytes, not bytes and str"),
        (b"Sec-WebSocket-Accept", b"forged", "the handshake's own"),
        (b"sec-websocket-extensions", b"permessage-deflate", "the handshake's own"),
        (b"sec-websocket-protocol", b"chat", "goes in 'subprotocol'"),
        (b"Connection", b"close", "the server's to set"),
        (b"content-length", b"5", "the server's to set"),
        (b"transfer-encoding", b"chunked", "the server's to set"),
        (b"upgrade", b"h2c", "the server's to set"),
    ],
)
def test_fields_that_break_or_forge_the_handshake_are_refused(name: object, value: object, names: str) -> None:
    with pytest.raises(AppError, match=names):
        accept((name, value))


@pytest.mark.parametrize("subprotocol", ["other", "Chat", "", b"chat", 1, "chat, superchat"])
def test_subprotocol_must_be_one_the_client_offers(subprotocol: object) -> None:
    with pytest.raises(AppError, match="it offers: chat, superchat"):
        accept(subprotocol=subprotocol)
