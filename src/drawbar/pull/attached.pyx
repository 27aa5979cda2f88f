# cython: language_level=3
"""Connections that this process dialled and now serves: HTTP/1 with the parts of who connected turned round.

Law: an idle one is room for one request, so it stays open for as long as it is idle. Whoever dialled it hears once
that its room is gone, which is when it has closed and the call that had it has answered or given up: another one then
offers room that is really there. Its peer is a front, whose word on the client is taken.

One that leaves while it is idle may meet a request on its way. A front that can take a request back is told in so many
words that none was begun (`handshake.RELEASED`); with any other one last request is waited for, for a moment.
"""
from libc.stdint cimport uint32_t, uint64_t
from drawbar.exchange.exchange cimport RESPONSE_DONE
from drawbar.exchange.http1 cimport Http1Connection, Http1Connector
from drawbar.exchange.http1_end cimport DRAIN_IDLE_MS, H1_HEAD
from drawbar.exchange.http1_response cimport Http1Exchange
from drawbar.net.connection cimport Connection
from drawbar.net.listener cimport take
from drawbar.net.output cimport output_bytes
from drawbar.net.reactor cimport EPOLLIN, Reactor, Source, TURN_KEPT, Turn

from drawbar.pull.handshake import RELEASED


cdef extern from "<sys/socket.h>" nogil:
    enum:
        MSG_DONTWAIT
        MSG_PEEK
    ssize_t recv(int fd, void* into, size_t room, int flags)


cdef class AttachedConnector(Http1Connector):
    """Makes the connections to one front.

    on_closed: called as `on_closed(requests, lived_ms)` on any thread, once for each connection whose room is gone.
    """
    cdef object on_closed
    cdef bint leaving

    def __init__(self, policy, handler, str scheme="http", tuple server=("", 0), object on_closed=None):
        Http1Connector.__init__(self, policy, handler, scheme, server)
        self.on_closed = on_closed

    cdef Connection connect(self, Reactor reactor, int fd):
        cdef AttachedConnection connection = AttachedConnection.__new__(AttachedConnection)
        connection.reactor = reactor
        connection.site = self
        connection.trusted = 1
        connection.on_closed = self.on_closed
        connection.since_ms = reactor.now_ms
        return connection

    def leave(self, Reactor reactor, bint leaving):
        """Closes connections as soon as they are idle, or no more. On the leading thread."""
        cdef int fd
        self.leaving = leaving
        if not leaving:
            return
        for fd in range(reactor.table_size):
            if reactor.table[fd] is not NULL and isinstance(<object>reactor.table[fd], AttachedConnection):
                connection = <AttachedConnection>reactor.table[fd]
                if connection.site is self and connection.state == H1_HEAD and connection.partial is NULL:
                    connection._idle()


def attach(Reactor reactor, int fd, AttachedConnector connector, bint releases, bytes first=b""):
    """Serves a connected, non-blocking stream socket whose front has agreed to be served on it. On the leading thread.

    The descriptor is the reactor's from now on; raises OSError (ENOTCONN) for a socket that is not connected any more,
    and then it stays the caller's. releases: the front takes RELEASED for what it is. first: bytes of the first request
    that were read already.
    """
    cdef AttachedConnection connection = <AttachedConnection>take(reactor, fd, connector)
    # The peer is the front, whose address is none of its clients': where it names none, they have none.
    connection.peer.family = 0
    connection.releases = releases
    if first:
        connection._keep(first, len(first))
        reactor.defer(connection)
    elif reactor.draining or connector.leaving:
        connection._idle()


def open_door(Reactor reactor, int fd, object on_arrived, object on_drain):
    """Calls `on_arrived()` while `fd` can be read, and `on_drain()` when the reactor drains. The caller keeps `fd`."""
    cdef _Door door = _Door.__new__(_Door)
    door.fd = fd
    door.on_arrived_ = on_arrived
    door.on_drain_ = on_drain
    reactor.add(door, EPOLLIN)


cdef class _Door(Source):
    """By which connections that were dialled come in."""
    cdef object on_arrived_
    cdef object on_drain_

    cdef Turn on_events(self, uint32_t events) except *:
        self.on_arrived_()
        return TURN_KEPT

    cdef int on_drain(self) except -1:
        self.on_drain_()
        return 0


cdef class AttachedConnection(Http1Connection):
    """One connection to a front."""
    cdef object on_closed
    cdef uint64_t since_ms
    cdef bint releases

    cdef int start(self, uint32_t events) except -1:
        # Without a deadline: the first request may be hours away.
        return self.reactor.add(self, events)

    cdef int _idle(self) except -1:
        if self.output.head is not NULL:
            return Http1Connection._idle(self)
        if not self.reactor.draining and not (<AttachedConnector>self.site).leaving:
            self.clear_timeout()
            return 0
        if not self.releases or self.more_input or self._has_bytes():
            self.set_timeout(DRAIN_IDLE_MS)
            return 0
        output_bytes(&self.output, &self.reactor.pool, None, <bytes>RELEASED, len(RELEASED))
        return self._close_politely()

    cdef bint _has_bytes(self) noexcept:
        """A request is here and was not read yet."""
        cdef char one
        return recv(self.fd, &one, 1, MSG_DONTWAIT | MSG_PEEK) > 0

    cdef int response_done(self) except -1:
        Http1Connection.response_done(self)
        if self.closed:
            self._tell()
        return 0

    cdef void close(self) noexcept:
        if self.closed:
            return
        Http1Connection.close(self)
        self._tell()

    cdef void _tell(self) noexcept:
        """The room is gone, unless a call still has it, which then comes by response_done()."""
        cdef Http1Exchange exchange = self.exchange
        if self.on_closed is None or exchange is not None and exchange.response < RESPONSE_DONE:
            return
        on_closed, self.on_closed = self.on_closed, None
        try:
            on_closed(self.requests, self.reactor.now_ms - self.since_ms)
        except Exception as error:
            self.reactor.report(error)

    cdef void on_forked(self) noexcept:
        # It is the parent's.
        self.on_closed = None
        Http1Connection.on_forked(self)
