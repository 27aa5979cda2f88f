"""Listening sockets."""
from drawbar.net.connection cimport Connection
from drawbar.net.reactor cimport Reactor, Source

cdef enum:
    ACCEPT_BATCH = 64           # connections accepted per event, so that open ones get their turn
    ACCEPT_RETRY_MS = 1_000     # pause of accepting when there is no descriptor left, unless a connection closes before

cdef class Connector:
    """Makes the connection object for an accepted socket: what a listener leads to."""
    cdef Connection connect(self, Reactor reactor, int fd)

cdef class Listener(Source):
    cdef Reactor reactor
    cdef Connector connector
    cdef object socket
    cdef int _out_of(self, int code) except -1
