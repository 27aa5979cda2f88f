"""Chunked bodies: pieces never matter, and a body that is accepted is the same when written and parsed again."""

import sys

import atheris

from drawbar.wire import h1
from drawbar.wire.events import Data, End
from tests.fuzz.fuzzing import check_events, check_pieces
from tests.fuzz.guide import guide
from tests.wire.cases import joined

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"


def one_input(raw: bytes) -> None:
    """Holds one input, taken as what follows a head, against the invariants."""
    # A seed of the corpus is a whole message: what matters here is its body.
    body = raw.partition(b"\r\n\r\n")[2] if raw.startswith((b"POST ", b"HTTP/")) else raw
    events = check_pieces("request", HEAD + body)
    guide(events)
    check_events(events, {400, 413, 431}.__contains__)
    end = events[-1]
    if isinstance(end, End):
        data = b"".join(event.data for event in events if isinstance(event, Data))
        again = HEAD + (h1.chunk(data) if data else b"") + h1.last_chunk(end.trailers)
        # Without limits: the writer puts a space after each colon, which the trailers read may not have had.
        assert joined(h1.Parser("request").feed(again)) == events, (events, again)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
