# cython: language_level=3
"""Where the time of a request went, said in its response (Server Timing, https://www.w3.org/TR/server-timing/).

Law: two metrics, in milliseconds as section 3 has them: `queue`, until an app was called, and `app`, from then until
the head of its response. An app that says more does so in a field of its own: the two are one list.
"""
from libc.stdint cimport uint64_t
from libc.stdio cimport snprintf
from drawbar.wire.writer cimport Buffer, put_literal

cdef enum:
    ROOM = 128                  # more than the field takes with the largest of numbers


cdef int put_timing(Buffer* into, uint64_t ready_ns, uint64_t called_ns, uint64_t now) except -1:
    cdef char text[ROOM]
    cdef uint64_t queued_us, app_us
    if not ready_ns:
        return 0
    queued_us = ((called_ns or now) - ready_ns) // 1000
    # Whole numbers: an application's setlocale() would change the point of others.
    if not called_ns:
        return put_literal(into, text, snprintf(
            text, ROOM, "Server-Timing: queue;dur=%llu.%03llu\r\n", <unsigned long long>(queued_us // 1000),
            <unsigned long long>(queued_us % 1000)))
    app_us = (now - called_ns) // 1000
    return put_literal(into, text, snprintf(
        text, ROOM, "Server-Timing: queue;dur=%llu.%03llu, app;dur=%llu.%03llu\r\n",
        <unsigned long long>(queued_us // 1000), <unsigned long long>(queued_us % 1000),
        <unsigned long long>(app_us // 1000), <unsigned long long>(app_us % 1000)))
