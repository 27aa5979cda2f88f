# cython: language_level=3
"""A request's body between its client and its application.

Up to `memory_limit` bytes stay in memory; a longer body moves to a file without a name, whole. A store is used in one
of two ways: filled to its end and then opened as a file, or taken from piece by piece while it fills.
"""
from libc.string cimport memmove
from posix.unistd cimport close
from drawbar.net.spill cimport spill_open, spill_write
from drawbar.wire.writer cimport buffer_free, buffer_put

import io
import os


cdef class BodyStore:
    """memory_limit: bytes kept in memory; `SIZE_MAX` for a body that is taken while it comes."""

    def __cinit__(self, size_t memory_limit=65_536, object temp_dir=None):
        self.fd = -1
        self.memory_limit = memory_limit
        self.temp_dir = temp_dir

    def __dealloc__(self):
        buffer_free(&self.memory)
        if self.fd >= 0:
            close(self.fd)

    cdef int append(self, const char* data, size_t size) except -1:
        """Adds bytes at the end; OSError when the spill file takes no more."""
        if self.fd < 0 and self.memory.size + size > self.memory_limit:
            self.fd = spill_open(self.temp_dir)
            spill_write(self.fd, self.memory.data, self.memory.size, 0)
            buffer_free(&self.memory)
        if self.fd >= 0:
            spill_write(self.fd, data, size, self.received)
        else:
            buffer_put(&self.memory, data, size)
        self.received += size
        return 0

    cdef size_t pending(self) noexcept:
        """Bytes in memory nobody has taken yet."""
        return self.memory.size - self.taken

    cdef bytes take(self, size_t most):
        """Up to `most` bytes from the front, which are gone from here."""
        cdef size_t size = min(most, self.pending())
        cdef bytes piece = self.memory.data[self.taken:self.taken + size]
        self.taken += size
        if self.taken == self.memory.size:
            self.memory.size = 0
            self.taken = 0
            if self.memory.capacity > 65_536:
                buffer_free(&self.memory)
        elif self.taken > self.memory.size // 2:
            memmove(self.memory.data, self.memory.data + self.taken, self.memory.size - self.taken)
            self.memory.size -= self.taken
            self.taken = 0
        return piece

    cdef object open(self):
        """The whole body as a seekable binary file at its start. Closed with close_file()."""
        if self.file is None:
            if self.fd >= 0:
                os.lseek(self.fd, 0, os.SEEK_SET)
                self.file = io.open(self.fd, "rb", buffering=65_536, closefd=False)
            else:
                self.file = io.BytesIO(self.memory.data[:self.memory.size])
                buffer_free(&self.memory)
        return self.file

    cdef void close_file(self) noexcept:
        if self.file is not None:
            self.file.close()
            self.file = None
