"""Temporary files without a name, for bodies too large to hold in memory."""
from libc.stdint cimport int64_t

# A new file in `directory` (None: $TMPDIR or /tmp) that no name leads to. Raises OSError naming the directory.
cdef int spill_open(object directory) except -1
# Writes all of it at `offset`; OSError (ENOSPC, EDQUOT, EIO) otherwise. Call with or without the GIL.
cdef int spill_write(int fd, const char* data, size_t size, int64_t offset) except -1 nogil
