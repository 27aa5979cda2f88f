"""A WSGI application that makes the mistake its path names, each a function of `start_response`."""

import sys
from collections.abc import Callable, Iterator
from typing import Any

Start = Callable[..., Any]
MISTAKES: dict[str, Callable[[Start], Any]] = {}
TEXT = [("Content-Type", "text/plain")]


def mistake(function: Callable[[Start], Any]) -> Callable[[Start], Any]:
    MISTAKES[function.__name__] = function
    return function


def answering(name: str, status: Any, headers: Any, body: Any) -> None:
    """A mistake that lies in these values alone."""

    def answer(start: Start) -> Any:
        start(status, headers)
        return body

    MISTAKES[name] = answer


class Closing:
    """A body of pieces that calls `close` at its end."""

    def __init__(self, pieces: list[bytes], close: Callable[[], None]) -> None:
        self._pieces = iter(pieces)
        self.close = close

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces


def broken() -> None:
    raise LookupError("close is broken")


@mistake
def raises(start: Start) -> Any:
    raise ValueError("broken before the head")


@mistake
def raises_after_start(start: Start) -> Any:
    start("200 OK", TEXT)
    raise ValueError("broken behind start_response")


@mistake
def raises_base_exception(start: Start) -> Any:
    raise KeyboardInterrupt("not yours")


@mistake
def exits(start: Start) -> Any:
    sys.exit(3)


@mistake
def generator_raises_first(start: Start) -> Any:
    start("200 OK", TEXT)
    yield from (int("broken before a byte") for _ in range(1))


@mistake
def recurses(start: Start) -> Any:
    return recurses(start)


@mistake
def no_memory(start: Start) -> Any:
    start("200 OK", TEXT)
    return [b"x" * (1 << 62)]


@mistake
def no_start(start: Start) -> Any:
    return [b"body"]


@mistake
def no_start_and_no_body(start: Start) -> Any:
    return []


@mistake
def starts_twice(start: Start) -> Any:
    start("200 OK", TEXT)
    start("201 Created", TEXT)
    return [b"x"]


@mistake
def returns_none(start: Start) -> Any:
    start("200 OK", TEXT)


@mistake
def returns_number(start: Start) -> Any:
    start("200 OK", TEXT)
    return 42


@mistake
def close_raises(start: Start) -> Any:
    start("200 OK", [("Content-Length", "2")])
    return Closing([b"ok"], broken)


@mistake
def close_raises_without_an_end(start: Start) -> Any:
    start("200 OK", TEXT)
    return Closing([b"ok"], broken)


@mistake
def write_str(start: Start) -> Any:
    start("200 OK", TEXT)("text")
    return []


# What begins like a good response, and then breaks.


@mistake
def late_raise(start: Start) -> Any:
    start("200 OK", TEXT)
    yield b"first"
    raise ValueError("broken in the middle")


@mistake
def late_raise_of_a_length(start: Start) -> Any:
    start("200 OK", [("Content-Length", "100")])
    yield b"first"
    raise ValueError("broken in the middle")


@mistake
def late_raise_at_the_end_of_a_length(start: Start) -> Any:
    start("200 OK", [("Content-Length", "5")])
    yield b"first"
    raise ValueError("broken behind the end")


@mistake
def late_start(start: Start) -> Any:
    start("200 OK", TEXT)
    yield b"first"
    start("500 Oh", TEXT)
    yield b"second"


@mistake
def late_error(start: Start) -> Any:
    start("200 OK", TEXT)
    yield b"first"
    try:
        raise ValueError("behind the head")
    except ValueError:
        start("500 Oh", TEXT, sys.exc_info())
    yield b"second"


@mistake
def late_str(start: Start) -> Any:
    start("200 OK", TEXT)
    yield b"first"
    yield "second"


@mistake
def late_too_short(start: Start) -> Any:
    start("200 OK", [("Content-Length", "100")])
    yield b"first"


@mistake
def late_too_long(start: Start) -> Any:
    start("200 OK", [("Content-Length", "7")])
    yield b"first"
    yield b"second"


@mistake
def late_write(start: Start) -> Any:
    write = start("200 OK", TEXT)
    write(b"first")
    raise ValueError("broken behind write")


answering("too_long", "200 OK", [("Content-Length", "1")], [b"ok"])
answering("too_short", "200 OK", [("Content-Length", "3")], [b"ok"])
answering("length_of_nothing", "200 OK", [("Content-Length", "3")], [])
answering("length_not_a_number", "200 OK", [("Content-Length", "2;")], [b"ok"])
answering("length_negative", "200 OK", [("Content-Length", "-2")], [b"ok"])
answering("two_lengths", "200 OK", [("Content-Length", "2"), ("Content-Length", "3")], [b"ok"])
answering("transfer_encoding", "200 OK", [("Transfer-Encoding", "gzip")], [b"ok"])
answering("header_name_crlf", "200 OK", [("A\r\nB", "c")], [b"ok"])
answering("header_name_space", "200 OK", [("A B", "c")], [b"ok"])
answering("header_name_colon", "200 OK", [("A:", "c")], [b"ok"])
answering("header_name_nul", "200 OK", [("A\0", "c")], [b"ok"])
answering("header_name_empty", "200 OK", [("", "c")], [b"ok"])
answering("header_value_crlf", "200 OK", [("A", "b\r\nSet-Cookie: c=d")], [b"ok"])
answering("header_value_lf", "200 OK", [("A", "b\nSet-Cookie: c=d")], [b"ok"])
answering("header_value_cr", "200 OK", [("A", "b\rc")], [b"ok"])
answering("header_value_nul", "200 OK", [("A", "b\0c")], [b"ok"])
answering("header_value_control", "200 OK", [("A", "b\x07c")], [b"ok"])
answering("header_value_wide", "200 OK", [("A", "\u20ac")], [b"ok"])
answering("header_name_bytes", "200 OK", [(b"A", "b")], [b"ok"])
answering("header_value_bytes", "200 OK", [("A", b"b")], [b"ok"])
answering("header_value_number", "200 OK", [("Content-Length", 2)], [b"ok"])
answering("header_value_none", "200 OK", [("A", None)], [b"ok"])
answering("header_alone", "200 OK", ["A: b"], [b"ok"])
answering("header_of_three", "200 OK", [("A", "b", "c")], [b"ok"])
answering("headers_dict", "200 OK", {"A": "b"}, [b"ok"])
answering("headers_tuple", "200 OK", (("A", "b"),), [b"ok"])
answering("status_crlf", "200 OK\r\nA: b", TEXT, [b"ok"])
answering("status_nul", "200 \0", TEXT, [b"ok"])
answering("status_number", 200, TEXT, [b"ok"])
answering("status_bytes", b"200 OK", TEXT, [b"ok"])
answering("status_words", "OK", TEXT, [b"ok"])
answering("status_four_digits", "2000 OK", TEXT, [b"ok"])
answering("status_interim", "101 Switching Protocols", TEXT, [b"ok"])
answering("status_wide", "200 \u20ac", TEXT, [b"ok"])
answering("body_str", "200 OK", TEXT, ["text"])
answering("body_str_alone", "200 OK", TEXT, "text")
answering("body_numbers", "200 OK", TEXT, [1, 2])
answering("body_str_second", "200 OK", TEXT, [b"", "text"])
answering("body_for_204", "204 No Content", [], [b"ok"])
answering("body_for_304", "304 Not Modified", [], [b"ok"])
answering("fine", "200 OK", TEXT, [b"fine"])


def app(environ: dict[str, Any], start_response: Start) -> Any:
    return MISTAKES[environ["PATH_INFO"][1:]](start_response)
