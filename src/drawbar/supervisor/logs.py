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
from typing import Final, Self

from drawbar.config import OperatorError
from drawbar.config.log import OFF, STANDARD, LogConfig

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

    def __init__(self, level: str = "info", path: str | None = None, clock: Callable[[], float] = time.time) -> None:
        self.threshold = LEVELS[level]
        self._path = path
        self._clock = clock
        self._fd = _STDERR if path is None else _open(path)

    @classmethod
    def from_config(cls, config: LogConfig) -> Self:
        """The error log an operator asked for. Raises OperatorError when its file cannot be opened."""
        path = None if config.error in (STANDARD, OFF) else os.path.abspath(config.error)
        try:
            log = cls(config.level, path)
        except OSError as error:
            what = f"cannot write {config.error} ({error.strerror})"
            raise OperatorError(what, where="--error-log", right="write a path that can be opened, - or off") from error
        if config.error == OFF:
            log.threshold = _OFF
        return log

    def is_debug(self) -> bool:
        return self.threshold <= LEVELS["debug"]

    def is_file(self) -> bool:
        """The log goes elsewhere than to standard error."""
        return self._path is not None

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

    def write(self, level: str, message: str) -> None:
        """One event. A log that cannot be written is no reason to stop serving: the line is lost."""
        if LEVELS[level] < self.threshold:
            return
        line = f"{self._stamp()} [{os.getpid()}] {level}: {message.translate(_CONTROLS)}"
        self._put(line.encode("utf-8", "backslashreplace")[:LINE_BYTES])

    def traceback(self, level: str, error: BaseException) -> None:
        """The traceback of `error`, a line of the log for each of its lines."""
        if LEVELS[level] < self.threshold:
            return
        import traceback  # Only when something went wrong: 1.5 MB a healthy process does not need.

        for chunk in traceback.format_exception(error):
            for line in chunk.splitlines():
                self.write(level, line)

    def reopen(self) -> None:
        """Opens the file anew by its name, after it was rotated away. Standard error stays as it is.

        Raises OSError when that fails; the old file is then kept.
        """
        if self._path is not None:
            fresh = _open(self._path)
            os.dup2(fresh, self._fd, inheritable=False)
            os.close(fresh)

    def _stamp(self) -> str:
        now = self._clock()
        local = time.localtime(now)
        return f"{time.strftime('%Y-%m-%d %H:%M:%S', local)}.{int(now % 1 * 1000):03d} {time.strftime('%z', local)}"

    def _put(self, line: bytes) -> None:
        with contextlib.suppress(OSError):
            os.write(self._fd, line + b"\n")


def _open(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
