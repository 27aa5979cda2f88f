"""Lines of the access log in a form of the operator's: what each letter comes to.

The letters are those of the Apache HTTP server (mod_log_config), read by `drawbar.config.log_format`. Pure. Whatever a
client sent is escaped, so that it neither ends a line nor looks like another part of it within quotes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from drawbar.exchange.log_lines import Record, Values, escape, json_stamp, shown, stamp
from drawbar.exchange.seen import Logged

Part = Callable[[Record, Logged, Values], str]

NOTHING: Final = "-"


def _path(target: str) -> str:
    return target.partition("?")[0]


def _query(target: str) -> str:
    return target[len(_path(target)) :]


PARTS: Final[dict[str, Part]] = {
    "a": lambda record, exchange, values: record.remote or NOTHING,
    "b": lambda record, exchange, values: str(record.bytes or NOTHING),
    "h": lambda record, exchange, values: record.remote or NOTHING,
    "l": lambda record, exchange, values: NOTHING,
    "m": lambda record, exchange, values: escape(record.method),
    "q": lambda record, exchange, values: escape(_query(record.target)),
    "r": lambda record, exchange, values: escape(f"{record.method} {record.target} HTTP/{record.version}"),
    "s": lambda record, exchange, values: str(record.status or NOTHING),
    "t": lambda record, exchange, values: f"[{stamp(int(record.time))}]",
    "u": lambda record, exchange, values: NOTHING,
    "B": lambda record, exchange, values: str(record.bytes),
    "D": lambda record, exchange, values: str(round(record.duration_ms * 1000)),
    "H": lambda record, exchange, values: f"HTTP/{record.version}",
    "T": lambda record, exchange, values: str(int(record.duration_ms / 1000)),
    "U": lambda record, exchange, values: escape(_path(record.target)),
}
"""What stands alone."""


def _literal(text: str) -> Part:
    return lambda record, exchange, values: text


def _field(name: bytes) -> Part:
    return lambda record, exchange, values: escape(exchange.header(name) or NOTHING)


def _value(name: str) -> Part:
    if name == "time":
        return lambda record, exchange, values: json_stamp(record.time)
    if name in Record.__struct_fields__:
        return lambda record, exchange, values: shown(getattr(record, name))
    return lambda record, exchange, values: shown(values.get(name))


def line_of(pieces: Iterable[tuple[str, str]]) -> Callable[[Record, Logged, Values], bytes]:
    """The function that writes a line, of (letter, text in its braces); the letter "" is text as it is."""
    made = {"": _literal, "i": lambda text: _field(text.encode("ascii")), "x": _value}
    parts = [made[letter](text) if letter in made else PARTS[letter] for letter, text in pieces]

    def line(record: Record, exchange: Logged, values: Values) -> bytes:
        text = "".join([part(record, exchange, values) for part in parts])
        return f"{text}\n".encode("ascii", "backslashreplace")

    return line
