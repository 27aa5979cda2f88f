"""How a line of the error log begins."""
from posix.time cimport timespec

cdef enum:
    LOG_STAMP_BYTES = 64        # more than "2026-11-21 19:26:04.123 +0000 [4194304]" needs in any year

# Writes the local time and this process's number, and a NUL. Takes no lock of the interpreter's.
cdef void put_log_stamp(char* into, const timespec* now) noexcept nogil
