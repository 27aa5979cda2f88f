"""An ASGI application that makes the mistake its path names: a list of what it sends, or of exceptions it raises."""

import asyncio
from typing import Any

TEXT = [(b"content-type", b"text/plain")]


def start(status: Any = 200, headers: Any = TEXT, **more: Any) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": headers, **more}


def body(data: Any = b"ok", more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


def length(size: bytes) -> dict[str, Any]:
    return start(headers=[(b"content-length", size)])


def header(name: Any, value: Any) -> list[Any]:
    return [start(headers=[(name, value)]), body()]


MISTAKES: dict[str, list[Any]] = {
    "raises": [ValueError("broken before the head")],
    "raises_after_start": [start(), ValueError("broken behind the start")],
    "exits": [SystemExit(3)],
    "cancels": [asyncio.CancelledError("cancelled itself")],
    "no_start": [body()],
    "nothing": [],
    "start_only": [start()],
    "starts_twice": [start(), start(201), body()],
    "wrong_type": [{"type": "http.response.stop"}],
    "no_type": [{}],
    "websocket_type": [{"type": "websocket.accept"}],
    "not_a_message": [42],
    "trailers_unannounced": [start(), {"type": "http.response.trailers", "headers": []}],
    "too_long": [length(b"1"), body()],
    "too_short": [length(b"3"), body()],
    "length_not_a_number": [length(b"2;"), body()],
    "two_lengths": [start(headers=[(b"content-length", b"2"), (b"content-length", b"3")]), body()],
    "transfer_encoding": header(b"transfer-encoding", b"gzip"),
    "header_name_crlf": header(b"a\r\nb", b"c"),
    "header_name_space": header(b"a b", b"c"),
    "header_name_nul": header(b"a\0", b"c"),
    "header_name_empty": header(b"", b"c"),
    "header_value_crlf": header(b"a", b"b\r\nset-cookie: c=d"),
    "header_value_lf": header(b"a", b"b\nset-cookie: c=d"),
    "header_value_nul": header(b"a", b"b\0c"),
    "header_name_str": header("a", b"b"),
    "header_value_str": header(b"a", "b"),
    "header_value_number": header(b"content-length", 2),
    "header_alone": [start(headers=[b"a: b"]), body()],
    "header_of_three": [start(headers=[(b"a", b"b", b"c")]), body()],
    "headers_bytes": [start(headers=b"a: b"), body()],
    "headers_none": [start(headers=None), body()],
    "status_str": [start("200"), body()],
    "status_missing": [{"type": "http.response.start"}, body()],
    "status_interim": [start(101), body()],
    "status_huge": [start(1000), body()],
    "body_str": [start(), body("text")],
    "body_for_204": [start(204, []), body()],
    "body_for_304": [start(304, []), body()],
    "late_raise": [start(), body(b"first", True), ValueError("broken in the middle")],
    "late_raise_of_a_length": [length(b"100"), body(b"first", True), ValueError("broken in the middle")],
    "late_raise_at_the_end_of_a_length": [length(b"5"), body(b"first", True), ValueError("broken behind the end")],
    "late_return": [start(), body(b"first", True)],
    "late_start": [start(), body(b"first", True), start(500), body()],
    "late_str": [start(), body(b"first", True), body("second")],
    "late_too_short": [length(b"100"), body(b"first", True), body(b"")],
    "late_too_long": [length(b"7"), body(b"first", True), body(b"second")],
    "after_the_end": [start(), body(b"whole"), body(b"more")],
    "raises_after_the_end": [start(), body(b"whole"), ValueError("broken behind the end")],
    "fine": [start(), body(b"fine")],
}


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        return
    if scope["path"] == "/recurses":
        await app(scope, receive, send)
    for item in MISTAKES[scope["path"][1:]]:
        if isinstance(item, BaseException):
            raise item
        await send(item)
