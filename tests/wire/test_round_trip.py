"""Hypothesis: what the writers write, the parser reads back; and pieces never matter, whatever the input."""

from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from drawbar.wire import h1
from drawbar.wire.events import Data, End, Event, Refused, Request, Response
from tests.wire.cases import joined

Fields = list[tuple[bytes, bytes]]

# The same examples every run, and no clock: the fuzz targets are what searches on.
STABLE = settings(derandomize=True, deadline=None)

TOKEN = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
VALUE = bytes([0x09, *range(0x20, 0x7F), *range(0x80, 0x100)])
TARGET = bytes(byte for byte in range(0x21, 0x7F) if byte != ord("#"))
# Fields that frame the message, route it or are judged: the tests set those themselves.
JUDGED = {b"host", b"content-length", b"transfer-encoding", b"connection", b"expect", b"upgrade", b"te"}


def of(alphabet: bytes, smallest: int = 0, largest: int = 40) -> st.SearchStrategy[bytes]:
    return st.lists(st.sampled_from(alphabet), min_size=smallest, max_size=largest).map(bytes)


names = of(TOKEN, 1).filter(lambda name: h1.known_name(name) == 0)
values = of(VALUE).map(lambda value: value.strip(b" \t"))
field_lists = st.lists(st.tuples(names, values), max_size=8)
bodies = st.lists(st.binary(min_size=1, max_size=50), max_size=5)
methods = of(TOKEN, 1, 12).filter(lambda method: method != b"CONNECT")


def fed(role: Literal["request", "response"], raw: bytes, cuts: list[int]) -> list[Event]:
    parser = h1.Parser(role)
    places = sorted(min(cut, len(raw)) for cut in cuts)
    events = [
        event
        for start, stop in zip([0, *places], [*places, len(raw)], strict=True)
        for event in parser.feed(raw[start:stop])
    ]
    return joined(events + parser.eof())


cut_lists = st.lists(st.integers(0, 2000), max_size=8)


def body_events(chunks: list[bytes], trailers: Fields) -> list[Event]:
    body = b"".join(chunks)
    return [*([Data(body)] if body else []), End(tuple(trailers))]


@STABLE
@given(methods, of(TARGET), field_lists, bodies, st.booleans(), field_lists, cut_lists)
def test_requests(
    method: bytes, rest: bytes, fields: Fields, chunks: list[bytes], is_chunked: bool, trailers: Fields, cuts: list[int]
) -> None:
    framing, body, trailers = framed(chunks, is_chunked, trailers)
    sent = [(b"Host", b"example.com"), *fields, *framing]
    raw = h1.request_head(method, b"/" + rest, sent) + body
    head, *after = fed("request", raw, cuts)
    assert isinstance(head, Request)
    assert (head.method, head.target, list(head.fields)) == (method, b"/" + rest, sent)
    assert head.path + (b"?" + head.query if b"?" in head.target else b"") == head.target
    assert after == body_events(chunks, trailers)


@STABLE
@given(st.integers(200, 999), values, field_lists, bodies, st.booleans(), field_lists, cut_lists)
def test_responses(
    status: int, reason: bytes, fields: Fields, chunks: list[bytes], is_chunked: bool, trailers: Fields, cuts: list[int]
) -> None:
    framing, body, trailers = framed(chunks, is_chunked, trailers)
    if status in (204, 304):
        chunks, trailers, body = [], [], b""
    raw = h1.response_head(status, [*fields, *framing], reason=reason) + body
    head, *after = fed("response", raw, cuts)
    assert isinstance(head, Response)
    assert (head.status, head.reason, list(head.fields)) == (status, reason, [*fields, *framing])
    assert after == body_events(chunks, trailers)


def framed(chunks: list[bytes], is_chunked: bool, trailers: Fields) -> tuple[Fields, bytes, Fields]:
    """The fields that frame this body, its bytes on the wire, and the trailers that go with it."""
    if is_chunked:
        wire = b"".join(h1.chunk(chunk) for chunk in chunks) + h1.last_chunk(trailers)
        return [(b"Transfer-Encoding", b"chunked")], wire, trailers
    body = b"".join(chunks)
    return [(b"Content-Length", b"%d" % len(body))], body, []


# Pieces of protocol, valid and not, strung together: far more often nearly valid than random bytes would be.
FRAGMENTS = [
    b"GET ",
    b"POST / ",
    b"OPTIONS * ",
    b"/ ",
    b"http://h",
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"HTTP/2.0",
    b" 200 OK",
    b" 204 ",
    b"\r\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\n",
    b"\r",
    b" ",
    b"\t",
    b":",
    b"Host: h\r\n",
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"Expect: 100-continue\r\n",
    b"X: y\r\n",
    b"3\r\nabc\r\n",
    b"0\r\n\r\n",
    b"0\r\nA: b\r\n\r\n",
    b"abc",
    b";a=b",
    b'"',
    b"\x00",
    b"\xff",
    b"a" * 30,
]
nonsense = st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=4), max_size=25).map(b"".join)


@settings(STABLE, max_examples=400)
@given(st.sampled_from(["request", "response"]), nonsense, cut_lists)
def test_pieces_never_matter(role: Literal["request", "response"], raw: bytes, cuts: list[int]) -> None:
    whole = fed(role, raw, [])
    assert fed(role, raw, cuts) == whole
    assert fed(role, raw, list(range(len(raw)))) == whole


@STABLE
@given(nonsense)
def test_nothing_follows_a_refusal(raw: bytes) -> None:
    events = fed("request", raw, [])
    assert not any(isinstance(event, Refused) for event in events[:-1])
