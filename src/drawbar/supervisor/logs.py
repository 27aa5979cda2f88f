"""The error log: one event, one line, one write(2).

The levels are those of the standard `logging`, the module is not: importing it costs the master over 2 MB, a
quarter of all it holds, for a writer of ten lines. Applications use `logging` as ever; this log is the server's own.

A line is written whole to a descriptor opened with O_APPEND, so processes that share a file do not mix their
lines. Control characters are escaped: what a peer or an application put into a message cannot forge a line.
"""

import contextlib
import os
import time
from collections.abc import Callable
from typing import ClassVar, Final, Self

from drawbar.config import OperatorError
from drawbar.config.log import OFF, STANDARD, LogConfig
from drawbar.exchange.log_files import LogFile, LogFiles, RotatedFile
from drawbar.exchange.log_stamp import log_stamp

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40, "critical": 50}
"""Names and weights, the weights as in `logging`."""

LINE_BYTES = 16 * 1024
"""Longest line; the rest of a longer message is cut. Keeps one bad message from filling the disk."""

_STDERR = 2
_OFF = 1000
_CONTROLS: Final = {
    **{code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))},
    9: "\\t",
    10: "\\n",
    13: "\\r",
}


class Log:
    """Writes events of `level` and above to the file at `path`, or to standard error when `path` is None.

    Raises OSError when the file cannot be opened. The object survives a fork; parent and child share the file.
    """

    _configured: ClassVar[RotatedFile | None] = None
    """The file of the configuration's log in this process. A child has its parent's log as well as its own: sharing the
    file, they are reopened as one, and no rotated file stays open in the one that nobody reopens."""

    def __init__(
        self,
        level: str = "info",
        path: str | None = None,
        clock: Callable[[], float] = time.time,
        rotated: RotatedFile | None = None,
    ) -> None:
        """`rotated`: the file at `path` where somebody has it already."""
        self.threshold = LEVELS[level]
        self._clock = clock
        self._rotated = rotated or (None if path is None else RotatedFile(path))
        self._standard = LogFile(_STDERR, owned=False)
        self._failing = False
        """The last line could not be written, which has been told."""

    @classmethod
    def from_config(cls, config: LogConfig) -> Self:
        """The error log an operator asked for. Raises OperatorError when its file cannot be opened."""
        path = None if config.error in (STANDARD, OFF) else os.path.abspath(config.error)
        shared = Log._configured
        try:
            if shared is not None and shared.path == path:
                # As whoever this process is by now, and by the name as it leads now.
                shared.reopen()
            else:
                shared = None
            log = cls(config.level, path, rotated=shared)
        except OSError as error:
            what = f"cannot write {config.error} ({error.strerror})"
            raise OperatorError(what, where="--error-log", right="write a path that can be opened, - or off") from error
        if config.error == OFF:
            log.threshold = _OFF
        Log._configured = log._rotated
        return log

    def is_debug(self) -> bool:
        return self.threshold <= LEVELS["debug"]

    def is_off(self) -> bool:
        """Nothing is ever written."""
        return self.threshold >= _OFF

    def writes(self, level: str) -> bool:
        """Events of that level are written."""
        return LEVELS[level] >= self.threshold

    def is_file(self) -> bool:
        """The log goes elsewhere than to standard error."""
        return self._rotated is not None

    @property
    def path(self) -> str | None:
        """Name of the log's file; None for standard error."""
        return None if self._rotated is None else self._rotated.path

    @property
    def file(self) -> LogFile:
        """Where events go that belong to no request."""
        return self._rotated.file if self._rotated is not None else self._standard

    def debug(self, message: str) -> None:
        self.write("debug", message)

    def info(self, message: str) -> None:
        self.write("info", message)

    def warning(self, message: str) -> None:
        self.write("warning", message)

    def error(self, message: str) -> None:
        self.write("error", message)

    def critical(self, message: str) -> None:
        self.write("critical", message)

    def write(self, level: str, message: str, files: LogFiles | None = None) -> None:
        """One event; `files` are those of the request it belongs to (`exchange.log_files`).

        A log that cannot be written is no reason to stop serving: lines are lost until it can be, and standard error is
        told once.
        """
        if LEVELS[level] < self.threshold:
            return
        line = self._line(level, message)
        try:
            written = ((files.error if files is not None else None) or self.file).write(line)
        except OSError as error:
            self._lost(error.strerror)
            return
        if written < len(line):
            # As a file system takes it that has just become full.
            self._lost("only part of a line could be written")
        else:
            self._failing = False

    def traceback(self, level: str, error: BaseException, files: LogFiles | None = None) -> None:
        """The traceback of `error`, a line of the log for each of its lines; `files` as for write()."""
        if LEVELS[level] < self.threshold:
            return
        import traceback  # Only when something went wrong: 1.5 MB a healthy process does not need.

        for chunk in traceback.format_exception(error):
            for line in chunk.splitlines():
                self.write(level, line, files)

    def reopen(self) -> None:
        """Opens the file anew by its name, after it was rotated away. Standard error stays as it is.

        Raises OSError when that fails; the old file is then kept. Requests that began before keep it as well.
        """
        if self._rotated is not None:
            self._rotated.reopen()

    def _line(self, level: str, message: str) -> bytes:
        text = f"{log_stamp(self._clock())} {level}: {message.translate(_CONTROLS)}"
        return text.encode("utf-8", "backslashreplace")[:LINE_BYTES] + b"\n"

    def _lost(self, why: str | None) -> None:
        if self._failing or self._rotated is None:
            return
        self._failing = True
        with contextlib.suppress(OSError):
            told = f"the error log loses lines: cannot write {self._rotated.path}: {why}"
            self._standard.write(self._line("error", told))
