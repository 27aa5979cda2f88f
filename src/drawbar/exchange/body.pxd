"""A request's body between its client and its application."""
from libc.stdint cimport int64_t
from drawbar.wire.writer cimport Buffer

cdef class BodyStore:
    cdef Buffer memory
    cdef size_t taken               # bytes of `memory` handed out already
    cdef int fd                     # spill file, -1 while all is in memory
    cdef readonly int64_t received  # bytes appended so far
    cdef readonly bint complete     # the last byte is here
    cdef readonly object error      # BodyError why it never will be, or None
    cdef size_t memory_limit
    cdef object temp_dir
    cdef object file

    cdef int append(self, const char* data, size_t size) except -1
    cdef size_t pending(self) noexcept
    cdef bytes take(self, size_t most)
    cdef object open(self)
    cdef void close_file(self) noexcept
