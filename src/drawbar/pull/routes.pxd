"""Which app a request is for."""
from libc.stdint cimport uint8_t
from drawbar.exchange.exchange cimport Exchange

cdef class Route:
    cdef readonly str host
    cdef readonly str prefix
    cdef readonly uint8_t priority
    cdef readonly bint repeatable
    cdef readonly object app
    cdef bint streams           # bodies of its requests follow their heads; its front's to say
    cdef bytes start            # of paths, without the slash at its end
    cdef bytes shown            # the same for X-Forwarded-Prefix; None: there is nothing to say
    cdef bint covers(self, const char* path, size_t size) noexcept

cdef class RouteTable:
    cdef dict hosts             # lower-case host to its routes, longest prefix first; None: any host
    cdef bint has_suffixes      # some of them begin with "*."
    cdef Route only             # the one route that leads everywhere
    cdef Route find(self, Exchange exchange)
    cdef Route _among(self, object host, const char* path, size_t size)
