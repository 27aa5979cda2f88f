"""Limits of the head at their exact boundary, and what a parser says before a line or a head is complete."""

import pytest

from drawbar.wire import h1
from drawbar.wire.events import End, Event, Form, Refused, Request, Response

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def request(line: bytes = b"GET / HTTP/1.1", *fields: bytes) -> bytes:
    return b"\r\n".join((line, b"Host: x", *fields, b"", b""))


def refusal(events: list[Event]) -> tuple[int, str]:
    (event,) = events
    assert isinstance(event, Refused)
    return event.status, event.why


def head(events: list[Event]) -> Request:
    event = events[0]
    assert isinstance(event, Request)
    return event


def test_target_of_exactly_the_limit() -> None:
    events = h1.Parser("request", target_bytes=10).feed(request(b"GET /123456789 HTTP/1.1"))
    assert head(events).target == b"/123456789"


def test_target_one_byte_past_the_limit() -> None:
    events = h1.Parser("request", target_bytes=10).feed(request(b"GET /1234567890 HTTP/1.1"))
    assert refusal(events) == (414, "the request-target is longer than the limit")


def test_target_too_long_shows_before_its_line_is_complete() -> None:
    parser = h1.Parser("request", target_bytes=10)
    assert parser.feed(b"GET /123456789") == []
    assert refusal(parser.feed(b"0"))[0] == 414


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"", b" HTTP/2.0\r\n", b"\x00\r\n"])
def test_target_too_long_goes_before_all_else_that_is_wrong_with_its_line(end: bytes) -> None:
    assert refusal(h1.Parser("request", target_bytes=10).feed(b"G@T /1234567890" + end))[0] == 414


def test_the_line_end_does_not_count_as_target() -> None:
    parser = h1.Parser("request", target_bytes=2)
    assert parser.feed(b"GET /1\r") == []
    assert refusal(parser.feed(b"\n")) == (400, "the request line must end with an HTTP version")


def test_head_of_exactly_the_limit() -> None:
    assert [type(event) for event in h1.Parser("request", head_bytes=len(HEAD)).feed(HEAD)] == [Request, End]


@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_head_one_byte_past_the_limit(piece: int) -> None:
    parser = h1.Parser("request", head_bytes=len(HEAD) - 1)
    events = [event for at in range(0, len(HEAD), piece) for event in parser.feed(HEAD[at : at + piece])]
    assert events == [Refused(431, "the head is larger than the limit", len(HEAD) - 1)]


def test_head_too_large_shows_before_its_line_is_complete() -> None:
    parser = h1.Parser("request", head_bytes=50)
    assert parser.feed(b"GET / HTTP/1.1\r\nX: " + b"a" * 30) == []
    assert refusal(parser.feed(b"a"))[0] == 431


def test_an_endless_method_is_stopped_by_the_size_of_the_head() -> None:
    assert refusal(h1.Parser("request", head_bytes=50).feed(b"A" * 51))[0] == 431


def test_bytes_after_the_head_do_not_count_as_head() -> None:
    events = h1.Parser("request", head_bytes=len(HEAD)).feed(HEAD + HEAD)
    assert [type(event) for event in events] == [Request, End, Request, End]


def test_as_many_fields_as_the_limit() -> None:
    events = h1.Parser("request", fields=3).feed(request(b"GET / HTTP/1.1", b"A: 1", b"B: 2"))
    assert head(events).fields == ((b"Host", b"x"), (b"A", b"1"), (b"B", b"2"))


def test_one_field_past_the_limit() -> None:
    events = h1.Parser("request", fields=2).feed(request(b"GET / HTTP/1.1", b"A: 1", b"B: 2"))
    assert refusal(events) == (431, "more fields than the limit")


def test_the_field_table_is_full_at_256() -> None:
    parser = h1.Parser("request", fields=256)
    assert len(head(parser.feed(request(b"GET / HTTP/1.1", *[b"A: 1"] * 255))).fields) == 256
    assert refusal(parser.feed(request(b"GET / HTTP/1.1", *[b"A: 1"] * 256)))[0] == 431


def test_more_fields_than_the_table_holds_cannot_be_asked_for() -> None:
    with pytest.raises(ValueError, match="fields is 257; it must be at most 256"):
        h1.Parser("request", fields=257)


def test_longest_field_name() -> None:
    parser = h1.Parser("request", head_bytes=200_000)
    assert len(head(parser.feed(request(b"GET / HTTP/1.1", b"n" * 65535 + b": v"))).fields[1][0]) == 65535
    events = parser.feed(request(b"GET / HTTP/1.1", b"n" * 65536 + b": v"))
    assert refusal(events) == (431, "a field name longer than 65535 bytes")


def test_content_length_of_18_and_19_digits() -> None:
    event = head(h1.Parser("request").feed(request(b"POST / HTTP/1.1", b"Content-Length: " + b"9" * 18)))
    assert event.content_length == 10**18 - 1
    assert refusal(h1.Parser("request").feed(request(b"POST / HTTP/1.1", b"Content-Length: " + b"0" * 19)))[0] == 400


def test_a_handshake_of_another_protocol_is_refused_at_its_first_byte() -> None:
    assert refusal(h1.Parser("request").feed(b"\x16")) == (400, "the method must be a token")


def test_a_refused_parser_stays_refused() -> None:
    parser = h1.Parser("request")
    parser.feed(b"\x00")
    assert parser.feed(HEAD) == []
    assert parser.eof() == []


@pytest.mark.parametrize("pending", [b"", b"\r", b"\r\n"])
def test_closing_between_requests_is_no_error(pending: bytes) -> None:
    parser = h1.Parser("request")
    parser.feed(HEAD)
    assert parser.feed(pending) == []
    assert parser.eof() == []


def test_forms_of_the_target() -> None:
    forms = {
        b"GET /a?b": (Form.ORIGIN, b"/a", b"b", b"", False),
        b"OPTIONS *": (Form.ASTERISK, b"", b"", b"", False),
        b"CONNECT [::1]:1": (Form.AUTHORITY, b"", b"", b"[::1]:1", False),
        b"GET HTTPS://h:1/a?b": (Form.ABSOLUTE, b"/a", b"b", b"h:1", True),
    }
    for line, expected in forms.items():
        event = head(h1.Parser("request").feed(request(line + b" HTTP/1.1")))
        assert (event.form, event.path, event.query, event.authority, event.https) == expected


@pytest.mark.parametrize("byte", range(256))
def test_each_byte_in_a_target(byte: int) -> None:
    event = h1.Parser("request").feed(request(b"GET /a" + bytes([byte]) + b"b HTTP/1.1"))[0]
    assert isinstance(event, Request) == (0x21 <= byte <= 0x7E and byte != ord("#"))


@pytest.mark.parametrize("byte", range(256))
def test_each_byte_in_a_host(byte: int) -> None:
    event = h1.Parser("request").feed(b"GET / HTTP/1.1\r\nHost: a" + bytes([byte]) + b"b\r\n\r\n")[0]
    plain = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;="
    assert isinstance(event, Request) == (byte in plain)


@pytest.mark.parametrize("byte", range(256))
def test_each_byte_in_a_field_name(byte: int) -> None:
    events = h1.Parser("request").feed(request(b"GET / HTTP/1.1", b"a" + bytes([byte]) + b"b: v"))
    token = bytes([byte]).isalnum() or byte in b"!#$%&'*+-.^_`|~"
    # A colon ends the name early: "a", with the value "b: v".
    assert isinstance(events[0], Request) == (token or byte == ord(":"))


@pytest.mark.parametrize("fault", [b"HTTP/1.1 200 OK\r\nX\r\n", b"HTTP/3.0 200 OK\r\n", b"x" * 100])
def test_whatever_is_wrong_with_a_response_is_a_bad_gateway(fault: bytes) -> None:
    assert refusal(h1.Parser("response", head_bytes=100).feed(fault))[0] == 502


def test_a_role_must_be_one_of_two() -> None:
    with pytest.raises(ValueError, match="role is 'client'; it must be 'request' or 'response'"):
        h1.Parser("client")  # type: ignore[arg-type]


def test_status_and_reason_of_a_response() -> None:
    event = h1.Parser("response").feed(b"HTTP/1.1 404 Not here\r\n\r\n")[0]
    assert isinstance(event, Response)
    assert (event.status, event.reason) == (404, b"Not here")
