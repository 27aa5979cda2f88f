"""Coverage for libFuzzer from native code that has none.

libFuzzer keeps an input when it reaches an edge no other did. atheris makes edges of Python bytecode only, so an input
that takes the C parser somewhere new would look like any other. Here each kind of outcome is made to reach an edge of
its own: a function with a tree of branches, one leaf for each number, is instrumented and called with the number of the
outcome.
"""

import zlib
from collections.abc import Callable

import atheris

from drawbar.wire.events import Data, End, Event, Refused, Request, Response, Tunnel

# A power of two. Some hundred outcomes are met: few of them share a leaf, and instrumenting takes no noticeable time.
LEAVES = 512
# Of a list of events, the outcomes of the first few are told apart by their place.
PLACES = 3


def _branches(bit: int, indent: str) -> list[str]:
    if bit == LEAVES:
        return [f"{indent}return"]
    # A test of a bit and no comparison: libFuzzer would take compared numbers for words of the protocol.
    return [
        f"{indent}if number & {bit}:",
        *_branches(bit * 2, indent + " "),
        *_branches(bit * 2, indent),
    ]


def _make_tree() -> Callable[[int], None]:
    names: dict[str, Callable[[int], None]] = {}
    exec("\n".join(["def reach(number):", *_branches(1, " ")]), names)
    reach: Callable[[int], None] = atheris.instrument_func(names["reach"])
    return reach


_reach = _make_tree()


def guide(events: list[Event]) -> None:
    """Reaches the edges that belong to these events."""
    for place, event in enumerate(events):
        for outcome in _outcomes(event):
            reach(min(place, PLACES), outcome)


def reach(*outcome: object) -> None:
    """Reaches the edge that belongs to an outcome of another kind."""
    _reach(zlib.crc32(repr(outcome).encode()) % LEAVES)


def _outcomes(event: Event) -> list[tuple[object, ...]]:
    match event:
        case Request():
            return [
                ("request", event.form, event.version, event.flags),
                ("target", event.method, bool(event.query), event.https, len(event.authority).bit_length()),
                ("fields", len(event.fields), any(not value for _, value in event.fields)),
                ("length", event.content_length and event.content_length.bit_length()),
            ]
        case Response():
            return [
                ("response", event.status // 100, event.version, event.flags),
                ("reason", bool(event.reason), len(event.fields)),
                ("length", event.content_length and event.content_length.bit_length()),
            ]
        case Data() | Tunnel():
            return [(type(event).__name__, len(event.data).bit_length())]
        case End():
            return [("end", len(event.trailers), any(value for _, value in event.trailers))]
        case Refused():
            return [("refused", event.status, event.why), ("refused at", event.offset.bit_length())]
