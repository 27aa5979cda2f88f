"""The access log: one line for each exchange, when its last byte is handed on.

Law: `combined` and `json` are pure functions from a record to a line, and nothing a client sends can end that line or
look like another field of it. `AccessLog` writes each line with one write(2) to a descriptor opened with O_APPEND, so
processes share a file without mixing lines. The line goes to the file that was open when the request began, where its
other lines are too (`log_files`). A log that cannot be written costs lines and one message, never a request.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec

from drawbar.exchange.log_files import LogFile, RotatedFile
from drawbar.exchange.seen import Logged

Form = Literal["combined", "json"]
STANDARD: Final = "-"
"""Destination that is standard output."""

_STDOUT: Final = 1
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


def escape(text: str) -> str:
    r"""`text` as one field of a line: quotes, backslashes, controls and what is not ASCII become \xNN."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text
    return text.translate(_ESCAPED)


def combined(record: Record) -> bytes:
    """The Combined Log Format of the Apache HTTP server, which every log tool reads (mod_log_config, "combined")."""
    return (
        f"{record.remote or '-'} - - [{_stamp(int(record.time))}] "
        f'"{escape(record.method)} {escape(record.target)} HTTP/{record.version}" '
        f'{record.status or "-"} {record.bytes or "-"} "{escape(record.referer or "-")}" '
        f'"{escape(record.user_agent or "-")}"\n'
    ).encode("ascii", "backslashreplace")


def json(record: Record) -> bytes:
    """One JSON object on a line; JSON itself escapes what could end it."""
    stamp = datetime.fromtimestamp(record.time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    fields = {"time": stamp} | {name: getattr(record, name) for name in _REST}
    return _encode(fields) + b"\n"


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


_stamp: Final = _Stamps()
_FORMS: Final[dict[str, Callable[[Record], bytes]]] = {"combined": combined, "json": json}


class AccessLog:
    """Writes the lines of one process to `destination`: a path, or "-" for standard output.

    report: told once, in words, when lines are lost, and again only after some could be written in between.
    clock: seconds since the epoch. Survives a fork: parent and child then share the file.
    """

    def __init__(
        self,
        destination: str,
        form: Form,
        report: Callable[[str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = None if destination == STANDARD else os.path.abspath(destination)
        self._name = "standard output" if self._path is None else self._path
        self._format = _FORMS[form]
        self._report = report
        self._clock = clock
        self._failing = False
        self._rotated: RotatedFile | None = None
        self._standard = LogFile(_STDOUT, owned=False) if self._path is None else None
        self.reopen()

    @property
    def file(self) -> LogFile | None:
        """Where lines of requests that begin now go; None while there is no file."""
        return self._rotated.file if self._rotated is not None else self._standard

    def is_standard(self) -> bool:
        """Lines go to standard output, which has no name to follow."""
        return self._path is None

    def write(self, exchange: Logged) -> None:
        """Writes the line of a finished exchange."""
        files = exchange.log_files
        file = self.file if files is None else files.access
        if file is None:
            return
        line = self._format(record_of(exchange, self._clock()))
        try:
            written = file.write(line)
        except OSError as error:
            self._lost(error)
            return
        if written < len(line):
            # A file system that is full takes the first part; the rest would land behind other processes' lines.
            self._lost(OSError(0, "only part of a line could be written"))
        else:
            self._failing = False

    def reopen(self) -> None:
        """Opens the file by its name again, after it was rotated away; the old one is kept when that fails."""
        if self._path is None:
            return
        try:
            if self._rotated is None:
                self._rotated = RotatedFile(self._path)
            else:
                self._rotated.reopen()
        except OSError as error:
            if self._rotated is not None:
                self._report(f"cannot reopen {self._name}: {error.strerror}; the old file is kept")
                return
            self._failing = False
            self._lost(error)
            return
        self._failing = False

    def close(self) -> None:
        """Lets go of the file; lines of requests that do not hold it are dropped."""
        self._rotated = self._standard = None

    def _lost(self, error: OSError) -> None:
        if not self._failing:
            self._failing = True
            self._report(f"the access log loses lines: cannot write {self._name}: {error.strerror}")
