# cython: language_level=3
"""Dates as HTTP writes them. Needs no interpreter: a thread of its own may ask."""
from libc.stdio cimport snprintf
from libc.string cimport memcpy
from libc.time cimport time_t, tm

cimport cython


cdef extern from "<time.h>" nogil:
    tm* gmtime_r(const time_t* seconds, tm* into)

cdef const char* DAYS = b"SunMonTueWedThuFriSat"
cdef const char* MONTHS = b"JanFebMarAprMayJunJulAugSepOctNovDec"


# No tracer may run where there is no interpreter.
@cython.linetrace(False)
@cython.profile(False)
cdef void put_http_date(char* into, time_t seconds) noexcept nogil:
    cdef tm at
    cdef char text[64]
    gmtime_r(&seconds, &at)
    snprintf(text, sizeof(text), b"%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
             DAYS + 3 * at.tm_wday, at.tm_mday, MONTHS + 3 * at.tm_mon, at.tm_year + 1900, at.tm_hour, at.tm_min,
             at.tm_sec)
    memcpy(into, text, HTTP_DATE_BYTES)


def http_date(time_t seconds):
    """The IMF-fixdate of a Unix time, as text."""
    cdef char text[HTTP_DATE_BYTES]
    put_http_date(text, seconds)
    return text[:HTTP_DATE_BYTES].decode("ascii")
