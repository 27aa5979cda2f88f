"""The file-like objects of WSGI: input, errors, file_wrapper. Plain Python: none is on the path of a bodiless GET."""

from __future__ import annotations

import io
import os
import stat
import sys
from collections.abc import Iterable, Iterator
from typing import Any, Protocol


class BodyReader(Protocol):
    """A request's body while it comes."""

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, at least one unless the body is at its end; blocks. OSError when it cannot be had."""

    def open(self) -> io.BufferedIOBase:
        """Everything, as a seekable file; blocks until it is there."""


class _Empty(io.BytesIO):
    """The input of requests without a body: one object for all of them, so closing it does nothing."""

    def close(self) -> None:
        """Stays open: the next request has it too."""

    def write(self, data: Any) -> int:
        raise io.UnsupportedOperation("wsgi.input is read-only")


EMPTY_INPUT = _Empty()
READ_BYTES = 65_536


class StreamInput(io.BufferedIOBase):
    """wsgi.input whose bytes may still be with the client.

    live: hands out bytes as they come and cannot seek. Otherwise the first use reads the whole body into a buffer
    or spill file: what `Expect: 100-continue` gets, since asking for the body is what sends the 100.
    """

    def __init__(self, reader: BodyReader, live: bool) -> None:
        self._reader = reader
        self._live = live
        self._file: io.BufferedIOBase | None = None
        self._line = b""

    def _whole(self) -> io.BufferedIOBase:
        if self._file is None:
            self._file = self._reader.open()
        return self._file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return not self._live

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if self._live:
            raise io.UnsupportedOperation(
                "a streamed wsgi.input cannot seek: run without --stream-input for one that can"
            )
        return self._whole().seek(offset, whence)

    def tell(self) -> int:
        if self._live:
            raise io.UnsupportedOperation("a streamed wsgi.input has no position")
        return self._whole().tell()

    def _some(self, size: int) -> bytes:
        if self._line:
            piece, self._line = self._line[:size], self._line[size:]
            return piece
        return self._reader.read(size)

    def read(self, size: int | None = -1) -> bytes:
        """`size` bytes, fewer only at the end; everything without a size."""
        if not self._live:
            return self._whole().read(size)
        pieces: list[bytes] = []
        left = sys.maxsize if size is None or size < 0 else size
        while left > 0:
            piece = self._some(min(left, READ_BYTES))
            if not piece:
                break
            pieces.append(piece)
            left -= len(piece)
        return b"".join(pieces)

    def read1(self, size: int = -1) -> bytes:
        """What is there, at least one byte: for apps that show progress."""
        if not self._live:
            return self._whole().read(size)
        return self._some(size if size > 0 else READ_BYTES)

    def readline(self, size: int | None = -1) -> bytes:
        if not self._live:
            return self._whole().readline(-1 if size is None else size)
        limit = sys.maxsize if size is None or size < 0 else size
        line = b""
        while len(line) < limit:
            piece = self._some(min(READ_BYTES, limit - len(line)))
            end = piece.find(b"\n") + 1
            if end:
                line += piece[:end]
                self._line = piece[end:] + self._line
                return line
            line += piece
            if not piece:
                break
        return line

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def __next__(self) -> bytes:
        line = self.readline()
        if not line:
            raise StopIteration
        return line


class ErrorStream:
    """wsgi.errors: today's sys.stderr, flushed with every write."""

    def write(self, text: str) -> int:
        count = sys.stderr.write(text)
        sys.stderr.flush()
        return count

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        sys.stderr.flush()


class FileWrapper:
    """wsgi.file_wrapper: an iterable over a file; one with a descriptor is sent by the kernel instead."""

    def __init__(self, filelike: Any, block_size: int = READ_BYTES) -> None:
        self.filelike = filelike
        self.block_size = block_size
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self) -> Iterator[bytes]:
        return iter(lambda: self.filelike.read(self.block_size), b"")


def sendable(filelike: Any) -> tuple[int, int, int] | None:
    """(descriptor, offset, size) of what is left of a regular file, or None when it must be read.

    The descriptor is a duplicate: the app closes its own while the client still reads. A text file, or one with
    unread bytes in a buffer of its own, is at the position it tells.
    """
    fileno = getattr(filelike, "fileno", None)
    if fileno is None:
        return None
    try:
        descriptor: int = fileno()
        status = os.fstat(descriptor)
        # Files of /proc and /sys say they are empty and are not.
        if not stat.S_ISREG(status.st_mode) or status.st_size == 0:
            return None
        offset: int = filelike.tell()
    except (OSError, ValueError, AttributeError):
        return None
    return os.dup(descriptor), offset, max(0, status.st_size - offset)
