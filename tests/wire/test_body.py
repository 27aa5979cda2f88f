"""The body decoder: limits at their exact boundary, sizes, trailers, ends."""

import pytest

from drawbar.wire import h1
from drawbar.wire.events import Data, End, Event, Refused
from tests.wire.cases import joined

CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


def chunked(body: bytes, **limits: int) -> list[Event]:
    """What follows the head, the same whole and byte by byte."""
    whole = h1.Parser("request", **limits)  # type: ignore[arg-type]
    events = joined(whole.feed(CHUNKED + body))[1:]
    by_byte = h1.Parser("request", **limits)  # type: ignore[arg-type]
    assert (
        joined(
            [
                each
                for at in range(len(body))
                for each in by_byte.feed((CHUNKED if at == 0 else b"") + body[at : at + 1])
            ]
        )[1:]
        == events
    )
    return events


def refused(events: list[Event]) -> tuple[int, str]:
    event = events[-1]
    assert isinstance(event, Refused)
    return event.status, event.why


def with_length(body: bytes, **limits: int) -> list[Event]:
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
    return h1.Parser("request", **limits).feed(head + body)[1:]  # type: ignore[arg-type]


def test_content_length_of_exactly_the_limit() -> None:
    assert with_length(b"12345", body_bytes=5) == [Data(b"12345"), End(())]


def test_content_length_past_the_limit_is_refused_before_any_byte_of_it() -> None:
    assert refused(with_length(b"123456", body_bytes=5)) == (413, "Content-Length is past the limit of a body")


def test_chunks_of_exactly_the_limit() -> None:
    assert chunked(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", body_bytes=5) == [Data(b"abcde"), End(())]


def test_chunks_past_the_limit_are_refused_at_the_size_line() -> None:
    events = chunked(b"3\r\nabc\r\n3\r\n", body_bytes=5)
    assert events[0] == Data(b"abc")
    assert refused(events) == (413, "the chunks add up to more than the limit of a body")


def test_a_body_until_close_of_exactly_the_limit() -> None:
    parser = h1.Parser("response", body_bytes=5)
    assert parser.feed(b"HTTP/1.1 200 OK\r\n\r\n12345")[1:] + parser.eof() == [Data(b"12345"), End(())]


@pytest.mark.parametrize("piece", [1, 2, 100])
def test_a_body_until_close_past_the_limit_gives_the_bytes_up_to_it(piece: int) -> None:
    parser = h1.Parser("response", body_bytes=5)
    events = parser.feed(b"HTTP/1.1 200 OK\r\n\r\n")[1:]
    for at in range(0, 8, piece):
        events += parser.feed(b"12345678"[at : at + piece])
    assert joined(events) == [Data(b"12345"), Refused(502, "the body is past the limit", 24)]


def test_chunk_size_of_15_and_16_digits() -> None:
    assert chunked(b"000000000000001\r\na\r\n0\r\n\r\n") == [Data(b"a"), End(())]
    assert refused(chunked(b"0000000000000001\r\n")) == (400, "a chunk size of more than 15 hexadecimal digits")


def test_the_largest_chunk_size_is_a_size() -> None:
    assert chunked(b"fffffffffffffff\r\nabc") == [Data(b"abc")]


def test_extensions_of_exactly_the_limit_over_all_chunks() -> None:
    body = b"1;ab\r\nx\r\n1;cd\r\ny\r\n0\r\n\r\n"
    assert chunked(body, extension_bytes=6) == [Data(b"xy"), End(())]
    assert refused(chunked(body, extension_bytes=5)) == (400, "chunk extensions longer than the limit")


def test_no_extensions_at_all() -> None:
    assert refused(chunked(b"1;", extension_bytes=0))[0] == 400


@pytest.mark.parametrize(
    "extension", [b";a", b";a=b", b';a="b"', b' ; a = "b" ;c', b";a;b;c=d", b'\t;a=""', b';a="\\"\t\xff"']
)
def test_extensions_that_are_valid(extension: bytes) -> None:
    assert chunked(b"1" + extension + b"\r\nx\r\n0" + extension + b"\r\n\r\n") == [Data(b"x"), End(())]


@pytest.mark.parametrize(
    "extension",
    [
        b" ",
        b";",
        b";a ",
        b";a=",
        b";a= ",
        b";=b",
        b";a==b",
        b";a=b c",
        b';a="b',
        b';a="b"c',
        b';a="\\',
        b";a\x00",
        b";a=\x80",
        b"=b",
    ],
)
def test_extensions_that_are_not(extension: bytes) -> None:
    assert refused(chunked(b"1" + extension + b"\r\nx\r\n0\r\n\r\n"))[0] == 400


def test_trailers_are_given_with_the_end() -> None:
    assert chunked(b"0\r\nA: 1\r\nb:\t2 \t\r\nC:\r\n\r\n") == [End(((b"A", b"1"), (b"b", b"2"), (b"C", b"")))]


def test_trailers_of_exactly_the_limit() -> None:
    # "A: 1\r\n" is 6 bytes; the empty line that ends the section does not count.
    assert chunked(b"0\r\nA: 1\r\nB: 2\r\n\r\n", trailer_bytes=12) == [End(((b"A", b"1"), (b"B", b"2")))]
    assert refused(chunked(b"0\r\nA: 1\r\nB: 2\r\n\r\n", trailer_bytes=11)) == (
        431,
        "the trailer section is larger than the limit",
    )


def test_as_many_trailers_as_the_limit() -> None:
    assert chunked(b"0\r\nA: 1\r\nB: 2\r\n\r\n", trailer_fields=2) == [End(((b"A", b"1"), (b"B", b"2")))]
    assert refused(chunked(b"0\r\nA: 1\r\nB: 2\r\n\r\n", trailer_fields=1)) == (
        431,
        "more trailer fields than the limit",
    )


@pytest.mark.parametrize(
    "name",
    [
        b"Host",
        b"CONTENT-LENGTH",
        b"transfer-encoding",
        b"Connection",
        b"Keep-Alive",
        b"Proxy-Connection",
        b"Upgrade",
        b"TE",
        b"Trailer",
        b"Expect",
        b"Content-Type",
        b"Proxy",
    ],
)
def test_fields_that_belong_into_the_head_are_refused_in_trailers(name: bytes) -> None:
    assert refused(chunked(b"0\r\n" + name + b": x\r\n\r\n")) == (
        400,
        "a field in the trailers that belongs into the head",
    )


def test_a_slice_is_the_whole_of_what_is_there() -> None:
    size = 1 << 20
    events = h1.Parser("request").feed(CHUNKED + b"%x\r\n" % size + b"x" * size + b"\r\n0\r\n\r\n")
    assert events[1:] == [Data(b"x" * size), End(())]


@pytest.mark.parametrize("cut", range(1, len(b"5\r\nhello\r\n0\r\nA: b\r\n\r\n")))
def test_a_chunked_body_cut_anywhere_is_never_complete(cut: int) -> None:
    parser = h1.Parser("request")
    events = parser.feed(CHUNKED + b"5\r\nhello\r\n0\r\nA: b\r\n\r\n"[:cut])
    assert not any(isinstance(event, End) for event in events)
    assert refused(parser.eof())[0] == 400


@pytest.mark.parametrize("status", [100, 103, 204, 304])
def test_responses_without_a_body_whatever_their_fields_say(status: int) -> None:
    parser = h1.Parser("response")
    events = parser.feed(b"HTTP/1.1 %d X\r\nContent-Length: 5\r\n\r\n" % status)
    assert events[1:] == [End(())]
