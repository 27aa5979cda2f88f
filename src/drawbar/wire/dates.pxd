"""The date of a message."""
from libc.stddef cimport size_t
from libc.time cimport time_t

cdef enum:
    HTTP_DATE_BYTES = 29        # of an IMF-fixdate: "Sun, 06 Nov 1994 08:49:37 GMT"

# Writes the IMF-fixdate (RFC 9110 section 5.6.7) of a Unix time, whatever the locale, and nothing after it.
cdef void put_http_date(char* into, time_t seconds) noexcept nogil
