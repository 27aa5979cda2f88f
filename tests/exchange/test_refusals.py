"""Lines on what went wrong: one line each, bounded, with nothing of a client's in the raw."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from drawbar.exchange.refusals import app_error_line, describe, refusal_line

PEER = ("127.0.0.1", 53412)


@dataclass
class Request:
    """What a line says of a request."""

    method: str = "GET"
    target: str = "/path"
    remote: tuple[str, int] | None = PEER


def test_a_refusal_says_who_what_why_and_where() -> None:
    assert refusal_line(PEER, 400, "a line ends with a bare LF", b"Host: a\n\x1b[31m\"'") == (
        "400 from 127.0.0.1:53412: a line ends with a bare LF; near b'Host: a\\n\\x1b[31m\"\\''"
    )


def test_a_refusal_without_offending_bytes_names_none() -> None:
    assert refusal_line(("::1", 5), 408, "too slow", b"") == "408 from [::1]:5: too slow"
    assert refusal_line(None, 413, "too large", b"") == "413 from a Unix socket: too large"


def test_offending_bytes_are_cut() -> None:
    assert refusal_line(PEER, 400, "why", b"x" * 1000).endswith(f"b'{'x' * 120}' and 880 bytes more")


def test_an_applications_error_names_its_request() -> None:
    assert app_error_line(Request(), ValueError("no such thing")) == (
        "GET /path from 127.0.0.1:53412: ValueError: no such thing"
    )
    assert app_error_line(Request("", ""), KeyError()) == "a request from 127.0.0.1:53412: KeyError"


class Unspeakable(Exception):
    """Fails when it is shown."""

    def __str__(self) -> str:
        raise RuntimeError("not this one")


def test_an_exception_that_cannot_be_shown_is_named() -> None:
    assert describe(Unspeakable()) == "Unspeakable: (its text cannot be had: RuntimeError)"


@given(target=st.text(max_size=500), message=st.text(max_size=1000), offending=st.binary(max_size=500))
def test_a_line_is_one_line_of_bounded_length(target: str, message: str, offending: bytes) -> None:
    for line in (
        app_error_line(Request(target=target), ValueError(message)),
        refusal_line(PEER, 400, "why", offending),
    ):
        assert not [character for character in line if ord(character) < 32 or 127 <= ord(character) < 160]
        assert len(line) < 2500
