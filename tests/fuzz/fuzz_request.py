"""Requests: pieces never matter, and what is accepted means the same when written and parsed again."""

import sys

import atheris

from drawbar.wire import h1
from drawbar.wire.events import Request
from tests.fuzz.fuzzing import check_events, check_pieces, meaning, written
from tests.fuzz.guide import guide

REFUSALS = {400, 413, 414, 417, 431, 501, 505}


def one_input(raw: bytes) -> None:
    """Holds one input against the invariants."""
    events = check_pieces("request", raw)
    guide(events)
    check_events(events, REFUSALS.__contains__)
    for event in events:
        # A 1.0 request may come without the Host that 1.1 asks for.
        if isinstance(event, Request) and event.version == "1.1":
            again = h1.Parser("request").feed(written(event))[0]
            assert isinstance(again, Request), (event, again)
            assert meaning(again) == meaning(event), (event, again)
            assert (again.flags, again.content_length) == (event.flags, event.content_length), (event, again)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
