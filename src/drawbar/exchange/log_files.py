"""The files that logs are, and their change for new ones after a rotation.

Law: all lines of one request go to one file. A request takes along the files that are open when it begins (`LogFiles`,
in its exchange) and writes to no others, so a rotation parts requests, not lines. A file is closed when nobody holds it
any more, neither its log nor a request; no lock and no count is needed, and nobody can write to a closed descriptor.
"""

from __future__ import annotations

import os
from typing import Final, NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    import weakref

OLD_FILES: Final = 4
"""Rotated files of one log that are kept open for requests that began before. A request that outlives more rotations,
such as a WebSocket, writes what is left of its lines to the oldest of these: files that were deleted do not fill the
disk for ever. What such a request keeps is a descriptor."""


class LogFile:
    """One open file, or a standard stream. Each line is one write(2) with O_APPEND."""

    def __init__(self, fd: int, *, owned: bool) -> None:
        """`owned`: the descriptor is closed with this object."""
        self.fd = fd
        self._owned = owned

    @classmethod
    def open(cls, path: str) -> LogFile:
        """Raises OSError."""
        # O_NONBLOCK: a FIFO nobody reads is an error, not a wait. Writing waits as ever.
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o640)
        os.set_blocking(fd, True)
        return cls(fd, owned=True)

    def __del__(self) -> None:
        if self._owned:
            self._owned = False
            os.close(self.fd)

    def write(self, line: bytes) -> int:
        """Bytes written, fewer than the line's on a disk that has just become full. Raises OSError."""
        return os.write(self.fd, line)

    def is_same(self, other: LogFile) -> bool:
        """Both are one file on disk."""
        return os.path.samestat(os.fstat(self.fd), os.fstat(other.fd))

    def become(self, other: LogFile) -> None:
        """What is still written here goes to the other file from now on, also while threads write."""
        os.dup2(other.fd, self.fd, inheritable=False)


class LogFiles(NamedTuple):
    """Where the lines of one request go; None is a log that is off."""

    access: LogFile | None
    error: LogFile | None


class RotatedFile:
    """What a log's name leads to, opened anew on demand."""

    def __init__(self, path: str) -> None:
        """Raises OSError when the file cannot be opened."""
        self.path = path
        self.file = LogFile.open(path)
        self._old: list[weakref.ref[LogFile]] = []

    def reopen(self) -> None:
        """Follows the name to the file it leads to now; nothing changes when that is the same one.

        Raises OSError when it cannot be opened; the present file is then kept.
        """
        fresh = LogFile.open(self.path)
        if fresh.is_same(self.file):
            return
        # Here, as most processes never come here and the master counts its memory.
        import weakref

        self._old.append(weakref.ref(self.file))
        self.file = fresh
        alive = [old for reference in self._old if (old := reference()) is not None]
        self._old = [weakref.ref(old) for old in alive]
        for file in alive[:-OLD_FILES]:
            file.become(alive[-OLD_FILES])
