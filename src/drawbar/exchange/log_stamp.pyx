# cython: language_level=3
"""How a line of the error log begins: `2026-11-21 19:26:04.123 +0000 [4711]`.

Here, since the log writes such lines, and so does the request timeout's thread, which has no interpreter to ask.
"""
cimport cython
from libc.stdio cimport snprintf
from libc.time cimport time_t, tm
from posix.time cimport timespec
from posix.unistd cimport getpid

cdef extern from "<time.h>" nogil:
    tm* localtime_r(const time_t* seconds, tm* into)
    size_t strftime(char* into, size_t room, const char* form, const tm* at)


# Tracing would take the interpreter's lock.
@cython.linetrace(False)
@cython.profile(False)
cdef void put_log_stamp(char* into, const timespec* now) noexcept nogil:
    cdef char date[32]
    cdef char zone[8]
    cdef tm at
    localtime_r(&now.tv_sec, &at)
    date[strftime(date, sizeof(date), b"%Y-%m-%d %H:%M:%S", &at)] = 0
    zone[strftime(zone, sizeof(zone), b"%z", &at)] = 0
    snprintf(into, LOG_STAMP_BYTES, b"%s.%03d %s [%d]", date, <int>(now.tv_nsec // 1_000_000), zone, <int>getpid())


def log_stamp(double seconds):
    """Of a Unix time, and of this process."""
    cdef char stamp[LOG_STAMP_BYTES]
    cdef timespec now
    now.tv_sec = <time_t>seconds
    now.tv_nsec = <long>((seconds - <double>now.tv_sec) * 1e9)
    put_log_stamp(stamp, &now)
    return (<bytes>stamp).decode("ascii")
