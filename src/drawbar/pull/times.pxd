"""How long the requests of one app waited, took, and were on their way."""
from libc.stdint cimport uint64_t
from drawbar.exchange.exchange cimport Exchange
from drawbar.net.scoreboard cimport Histogram

cdef class Times:
    cdef Histogram client           # until all of the request was here that its worker is given
    cdef Histogram queue            # then, until the worker that answered had it, or its end without one
    cdef Histogram app              # then, until its end
    cdef void add(self, Exchange exchange) noexcept
