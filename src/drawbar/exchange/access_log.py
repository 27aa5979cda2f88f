"""The access log: one line for each exchange, when its last byte is handed on.

Law: `AccessLog` writes each line with one write(2) to a descriptor opened with O_APPEND, so processes share a file
without mixing lines; what it says is `log_lines`' affair, or in a form of the operator's `log_format`'s. The line goes
to the file that was open when the request began, where its other lines are too (`log_files`). A log that cannot be
written costs lines and one message, never a request.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

from drawbar.exchange.log_files import LogFile, RotatedFile
from drawbar.exchange.log_format import line_of
from drawbar.exchange.log_lines import Record, Values, combined, json, record_of, times_of
from drawbar.exchange.seen import Logged

Form = Literal["combined", "json"]
Pieces = Sequence[tuple[str, str]]
"""A form of the operator's: letters and what stands in their braces."""
Line = Callable[[Record, Logged, Values], bytes]
STANDARD: Final = "-"
"""Destination that is standard output."""

_STDOUT: Final = 1
_NONE: Final[Values] = {}
_FORMS: Final[dict[str, Line]] = {
    "combined": lambda record, exchange, values: combined(record),
    "json": lambda record, exchange, values: json(record, values),
}


def _line_of(form: Form | Pieces) -> Line:
    return _FORMS[form] if isinstance(form, str) else line_of(form)


def _names_values(form: Form | Pieces) -> bool:
    return form == "json" if isinstance(form, str) else any(letter == "x" for letter, _ in form)


class AccessLog:
    """Writes the lines of one process to `destination`: a path, or "-" for standard output.

    report: told once, in words, when lines are lost, and again only after some could be written in between.
    form: "combined", "json", or pieces of a format. clock: seconds since the epoch. Survives a fork: parent and child
    then share the file.
    """

    def __init__(
        self,
        destination: str,
        form: Form | Pieces,
        report: Callable[[str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = None if destination == STANDARD else os.path.abspath(destination)
        self._name = "standard output" if self._path is None else self._path
        self._line = _line_of(form)
        self._names_values = _names_values(form)
        self.more: Callable[[Any], Values] | None = None
        """What is known beside, of those forms that name values; None: nothing."""
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
        line = self._line(record_of(exchange, self._clock()), exchange, self._values(exchange))
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

    def _values(self, exchange: Logged) -> Values:
        if not self._names_values:
            return _NONE
        return times_of(exchange) if self.more is None else {**times_of(exchange), **self.more(exchange)}

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
