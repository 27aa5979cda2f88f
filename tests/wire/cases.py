"""The corpus: messages as plain files, and what the codec makes of them as text a person can review.

A case is one file of raw bytes in `corpus/{request,response}/{valid,invalid}/`; what is expected of it stands beside it
in `expected.toml`, rendered by `told`. A response whose name begins with `head-` or `connect-` answers that method.
"""

import random
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from drawbar.wire import h1
from drawbar.wire.events import Data, End, Event, Form, Refused, Request, Response, Tunnel

CORPUS = Path(__file__).parent / "corpus"
GROUPS = ("request/valid", "request/invalid", "response/valid", "response/invalid")
SPLITS_PER_CASE = 20


@dataclass(frozen=True)
class Case:
    """One file of the corpus."""

    group: str
    name: str

    @property
    def raw(self) -> bytes:
        """The bytes to feed."""
        return (CORPUS / self.group / f"{self.name}.http").read_bytes()

    @property
    def role(self) -> Literal["request", "response"]:
        """Which parser reads it."""
        return "request" if self.group.startswith("request/") else "response"

    @property
    def request_method(self) -> bytes:
        """The method a response answers."""
        first = self.name.partition("-")[0]
        return first.upper().encode() if first in ("head", "connect") else b"GET"

    def __str__(self) -> str:
        return f"{self.group}/{self.name}"


def all_cases() -> list[Case]:
    """Every case, in a stable order."""
    return [Case(group, path.stem) for group in GROUPS for path in sorted((CORPUS / group).glob("*.http"))]


def expectations(group: str) -> dict[str, str]:
    """The reviewed text of every case of a group."""
    with (CORPUS / group / "expected.toml").open("rb") as file:
        return tomllib.load(file)


def splits(raw: bytes, seed: str) -> Iterator[list[bytes]]:
    """The bytes whole, byte by byte, and in seeded random pieces."""
    yield [raw]
    yield [raw[at : at + 1] for at in range(len(raw))]
    source = random.Random(seed)
    for _ in range(SPLITS_PER_CASE):
        cuts = sorted(source.choices(range(len(raw) + 1), k=source.randint(1, 6)))
        yield [raw[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(raw)], strict=True)]


def events_of(pieces: list[bytes], role: Literal["request", "response"], request_method: bytes = b"GET") -> list[Event]:
    """All events these pieces and the end of the stream make, neighbouring pieces of a body joined."""
    parser = h1.Parser(role, request_method=request_method)
    events: list[Event] = []
    for piece in pieces:
        events += parser.feed(piece)
    return joined(events + parser.eof())


def joined(events: list[Event]) -> list[Event]:
    """The same events with neighbouring Data, and neighbouring Tunnel, made one."""
    result: list[Event] = []
    for event in events:
        last = result[-1] if result else None
        if isinstance(event, Data) and isinstance(last, Data):
            result[-1] = Data(last.data + event.data)
        elif isinstance(event, Tunnel) and isinstance(last, Tunnel):
            result[-1] = Tunnel(last.data + event.data)
        else:
            result.append(event)
    return result


def told(events: list[Event]) -> str:
    """The events as lines of text; bytes as in a Python literal, without its quotes."""
    return "".join(f"{line}\n" for event in events for line in _lines(event))


def _text(data: bytes) -> str:
    return data.decode("latin-1").encode("unicode_escape").decode()


def _lines(event: Event) -> Iterator[str]:
    match event:
        case Request():
            yield f"request {_text(event.method)} {_text(event.target)} HTTP/{event.version}"
            yield from _target_lines(event)
            yield from _head_lines(event)
        case Response():
            yield f"response HTTP/{event.version} {event.status} {_text(event.reason)}".rstrip()
            yield from _head_lines(event)
        case Data():
            yield f"data {_text(event.data)}"
        case End():
            yield "end"
            yield from (f"  {_text(name)}: {_text(value)}" for name, value in event.trailers)
        case Tunnel():
            yield f"tunnel {_text(event.data)}"
        case Refused():
            yield f"refused {event.status} at {event.offset}: {event.why}"


def _target_lines(event: Request) -> Iterator[str]:
    if event.form is not Form.ORIGIN or event.query:
        yield f"  [{event.form.name.lower()} path={_text(event.path)} query={_text(event.query)}]"
    if event.authority:
        yield f"  [authority={_text(event.authority)} https={event.https}]"


def _head_lines(event: Request | Response) -> Iterator[str]:
    for name, value in event.fields:
        yield f"  {_text(name)}: {_text(value)}".rstrip()
    flags = ", ".join(str(flag.name).lower().replace("_", "-") for flag in event.flags)
    length = "" if event.content_length is None else f"length={event.content_length}"
    yield f"  ({', '.join(filter(None, (flags, length)))})"
