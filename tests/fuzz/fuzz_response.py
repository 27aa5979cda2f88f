"""Responses to three methods: pieces never matter, and what is accepted means the same when written and read again."""

import sys

import atheris

from drawbar.wire import h1
from drawbar.wire.events import Response
from tests.fuzz.fuzzing import check_events, check_pieces, meaning, written
from tests.fuzz.guide import guide


def one_input(raw: bytes) -> None:
    """Holds one input against the invariants."""
    for method in (b"GET", b"HEAD", b"CONNECT"):
        events = check_pieces("response", raw, method)
        guide(events)
        check_events(events, (502).__eq__)
        for event in events:
            if isinstance(event, Response) and event.version == "1.1":
                again = h1.Parser("response").feed(written(event))[0]
                assert isinstance(again, Response), (event, again)
                assert meaning(again) == meaning(event), (event, again)
                assert (again.flags, again.content_length) == (event.flags, event.content_length), (event, again)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
