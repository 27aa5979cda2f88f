# cython: language_level=3
"""Temporary files without a name, for bodies too large to hold in memory.

O_TMPFILE (open(2)) makes a file that vanishes with its last descriptor, also after kill -9. File systems without it
(overlayfs before Linux 6.x, NFS) get a named file that is unlinked at once.
"""
from libc.errno cimport EINTR, errno
from libc.stdint cimport int64_t
from posix.types cimport off_t
from posix.unistd cimport pwrite

import os


cdef int spill_open(object directory) except -1:
    where = directory if directory is not None else os.environ.get("TMPDIR") or "/tmp"
    try:
        return os.open(where, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    except FileNotFoundError:
        raise FileNotFoundError(2, f"the directory for temporary files does not exist: {where}") from None
    except OSError:
        name = os.path.join(where, f"drawbar-{os.urandom(8).hex()}")
        descriptor = os.open(name, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600)
        os.unlink(name)
        return descriptor


cdef int _raise_errno(int code) except -1 with gil:
    raise OSError(code, f"cannot write to a temporary file: {os.strerror(code)}")


cdef int spill_write(int fd, const char* data, size_t size, int64_t offset) except -1 nogil:
    cdef ssize_t n
    while size > 0:
        n = pwrite(fd, data, size, <off_t>offset)
        if n < 0:
            if errno == EINTR:
                continue
            return _raise_errno(errno)
        data += n
        size -= n
        offset += n
    return 0
