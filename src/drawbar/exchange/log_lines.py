"""What a line of the access log says of an exchange, and the two forms that need no description.

Law: pure functions from a record to a line, and nothing a client sends can end that line or look like another field of
it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec

from drawbar.exchange.seen import Logged

Values = Mapping[str, object]
"""What else is known of an exchange, by the names of the json form."""

# Quotes end a field and backslashes start an escape; bytes above 126 are whatever the reader's terminal makes of them.
_ESCAPED: Final = {code: f"\\x{code:02x}" for code in (*range(32), ord('"'), ord("\\"), *range(127, 256))}
# Not strftime's %b: an application may have called setlocale().
_MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Record(msgspec.Struct, frozen=True):
    """One exchange. `time`: seconds since the epoch at which its request was there. `status` 0: none was sent."""

    time: float
    remote: str | None
    method: str
    target: str
    version: str
    status: int
    bytes: int
    duration_ms: float
    referer: str | None
    user_agent: str | None
    complete: bool


_REST: Final = Record.__struct_fields__[1:]
_encode: Final = msgspec.json.Encoder().encode


def record_of(exchange: Logged, now: float) -> Record:
    """The record of an exchange that ended at `now` (seconds since the epoch)."""
    duration_ns = exchange.duration_ns
    remote = exchange.remote
    return Record(
        now - duration_ns / 1e9,
        remote[0] if remote is not None else None,
        exchange.method,
        exchange.target,
        exchange.http_version,
        exchange.status_code,
        exchange.body_bytes,
        round(duration_ns / 1e6, 3),
        exchange.header(b"referer"),
        exchange.header(b"user-agent"),
        exchange.complete,
    )


def times_of(exchange: Logged) -> dict[str, object]:
    """Where the time of an exchange went; `app_ms` is None when its application had no part in the answer."""
    app_ns = exchange.app_ns
    return {
        "client_ms": round(exchange.client_ns / 1e6, 3),
        "queue_ms": round(exchange.queue_ns / 1e6, 3),
        "app_ms": None if app_ns is None else round(app_ns / 1e6, 3),
    }


def escape(text: str) -> str:
    r"""`text` as one field of a line: quotes, backslashes, controls and what is not ASCII become \xNN."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return text.translate(_ESCAPED)


def combined(record: Record) -> bytes:
    """The Combined Log Format of the Apache HTTP server, which every log tool reads (mod_log_config, "combined")."""
    return (
        f"{record.remote or '-'} - - [{stamp(int(record.time))}] "
        f'"{escape(record.method)} {escape(record.target)} HTTP/{record.version}" '
        f'{record.status or "-"} {record.bytes or "-"} "{escape(record.referer or "-")}" '
        f'"{escape(record.user_agent or "-")}"\n'
    ).encode("ascii", "backslashreplace")


def json(record: Record, values: Values) -> bytes:
    """One JSON object on a line; JSON itself escapes what could end it."""
    fields = {"time": json_stamp(record.time)} | {name: getattr(record, name) for name in _REST}
    return _encode({**fields, **values}) + b"\n"


def json_stamp(time: float) -> str:
    """As RFC 3339 has it, in UTC."""
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def shown(value: object) -> str:
    """A value as part of a line: what is not known is a dash, and text escaped."""
    if value is None or value == "":
        return "-"
    return escape(value) if isinstance(value, str) else _encode(value).decode()


class _Stamps:
    """Local times as the combined form writes them; the last one is kept, as most lines share a second."""

    def __init__(self) -> None:
        self._last = (-1, "")

    def __call__(self, second: int) -> str:
        known, text = self._last
        if known != second:
            local = time.localtime(second)
            text = (
                f"{local.tm_mday:02d}/{_MONTHS[local.tm_mon - 1]}/{local.tm_year}:"
                f"{local.tm_hour:02d}:{local.tm_min:02d}:{local.tm_sec:02d} {time.strftime('%z', local)}"
            )
            # One store: other threads see the old pair or the new one.
            self._last = (second, text)
        return text


stamp: Final = _Stamps()
