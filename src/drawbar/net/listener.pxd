"""Listening sockets."""
from drawbar.net.connection cimport Connection
from drawbar.net.reactor cimport Reactor, Source

cdef enum:
    ACCEPT_BATCH = 64           # connections accepted per event, so that open ones get their turn
    SHARED_BATCH = 1            # the same where other processes accept, too

cdef class Connector:
    """Makes the connection object for an accepted socket: what a listener leads to."""
    cdef Connection connect(self, Reactor reactor, int fd)

cdef Connection take(Reactor reactor, int fd, Connector connector)

cdef class Listener(Source):
    cdef Reactor reactor
    cdef Connector connector
    cdef object socket
    cdef int _take(self, int most) except -1
    cdef int _out_of(self, int code) except -1
