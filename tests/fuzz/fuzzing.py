"""What the fuzz targets share: how to feed, how to split, and the invariants they hold every input against."""

import random
from collections.abc import Callable
from typing import Literal

from drawbar.wire import h1
from drawbar.wire.events import Event, Flag, Form, Refused, Request, Response
from tests.wire.cases import joined

Role = Literal["request", "response"]

# Small, so that the fuzzer meets them, and body_bytes so that a huge size costs nothing.
LIMITS = {
    "head_bytes": 600,
    "target_bytes": 100,
    "fields": 12,
    "body_bytes": 1000,
    "extension_bytes": 30,
    "trailer_bytes": 80,
    "trailer_fields": 3,
}


def feed(role: Role, pieces: list[bytes], request_method: bytes = b"GET") -> list[Event]:
    """All events, the end of the stream's included, with neighbouring pieces of a body joined."""
    parser = h1.Parser(role, request_method=request_method, **LIMITS)
    events: list[Event] = []
    for piece in pieces:
        events += parser.feed(piece)
    return joined(events + parser.eof())


def check_pieces(role: Role, raw: bytes, request_method: bytes = b"GET") -> list[Event]:
    """The events of the whole; fails when the same bytes in pieces give others."""
    whole = feed(role, [raw], request_method)
    by_byte = feed(role, [raw[at : at + 1] for at in range(len(raw))], request_method)
    assert by_byte == whole, (whole, by_byte)
    # The bytes themselves choose the cuts, so that a finding can be repeated.
    source = random.Random(raw)
    cuts = sorted(source.choices(range(len(raw) + 1), k=3))
    pieces = [raw[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    split = feed(role, pieces, request_method)
    assert split == whole, (whole, pieces, split)
    return whole


def check_events(events: list[Event], status: Callable[[int], bool]) -> None:
    """A refusal comes last, with an answer the role may give; what was accepted keeps its promises."""
    for event in events[:-1]:
        assert not isinstance(event, Refused), events
    for event in events:
        if isinstance(event, Refused):
            assert status(event.status), event
            assert event.why, event
        elif isinstance(event, Request):
            _check_request(event)
        elif isinstance(event, Response):
            _check_fields(event)


def _check_request(head: Request) -> None:
    _check_fields(head)
    hosts = [value for name, value in head.fields if name.lower() == b"host"]
    assert len(hosts) == 1 or (not hosts and head.version == "1.0"), head
    assert all(0x21 <= byte <= 0x7E for byte in head.target), head
    if head.form is Form.ORIGIN:
        assert head.target.startswith(b"/"), head
    if head.form in (Form.ORIGIN, Form.ABSOLUTE):
        tail = head.path + (b"?" + head.query if b"?" in head.target else b"")
        assert head.target.endswith(tail), head


def _check_fields(head: Request | Response) -> None:
    for name, value in head.fields:
        assert name, head
        assert not set(name) & set(b" \t\r\n\x00:"), head
        assert not set(value) & set(b"\r\n\x00"), head
        assert value == value.strip(b" \t"), head
    names = [name.lower() for name, _ in head.fields]
    assert names.count(b"content-length") == (head.content_length is not None), head
    assert names.count(b"transfer-encoding") == (Flag.CHUNKED in head.flags), head
    assert head.content_length is None or Flag.CHUNKED not in head.flags, head


def written(head: Request | Response) -> bytes:
    """The head as the writers write it."""
    if isinstance(head, Request):
        return h1.request_head(head.method, head.target, head.fields)
    return h1.response_head(head.status, head.fields, reason=head.reason)


def meaning(head: Request | Response) -> tuple[object, ...]:
    """What must survive writing and parsing again. The version does not: the writers write 1.1, and flags follow it."""
    if isinstance(head, Request):
        return head.method, head.target, head.form, head.path, head.query, head.authority, head.https, head.fields
    return head.status, head.reason, head.fields
