# cython: language_level=3
"""Connections that begin with a PROXY header: whose they are is read first, then they are HTTP/1 connections.

Law: only a trusted peer is asked for a header, and must send one. What anybody else sends is HTTP from the first byte:
a header from them is a malformed request, and its claim is heard by nobody. The header is taken off the socket to its
last byte and no further, so that what follows needs to know nothing of it, and without this connector nothing of it is
ever looked at.
"""
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy
from drawbar.exchange.http1_end cimport DRAIN_IDLE_MS, Http1Ending, Http1Site
from drawbar.net.connection cimport Connection
from drawbar.net.listener cimport Connector
from drawbar.net.reactor cimport EPOLLIN, EPOLLRDHUP, Reactor, TURN_KEPT, Turn
from drawbar.net.timers cimport wheel_remove
from drawbar.wire.proxy_header cimport (
    PROXY_DONE, PROXY_KNOWN, PROXY_REFUSED, PROXY_UNKNOWN, PROXY_V2_BYTES, ProxyHeader, ProxyProgress,
    parse_proxy_header)
from drawbar.wire.writer cimport buffer_free, buffer_put


cdef extern from "<sys/socket.h>" nogil:
    enum:
        MSG_DONTWAIT
        MSG_PEEK
    ssize_t recv(int fd, void* into, size_t room, int flags)

cdef enum:
    EXCERPT_BYTES = 40          # of what was no header, in the log


cdef class ProxiedConnector(Connector):
    """Makes the connections of a site whose trusted proxies begin each with a PROXY header."""

    def __init__(self, Http1Site site):
        self.site = site

    cdef Connection connect(self, Reactor reactor, int fd):
        cdef ProxiedConnection connection = ProxiedConnection.__new__(ProxiedConnection)
        connection.reactor = reactor
        connection.site = self.site
        return connection


cdef class ProxiedConnection(Connection):
    """A connection of which it is not known yet whose it is."""

    def __dealloc__(self):
        buffer_free(&self.header)

    cdef int start(self, uint32_t events) except -1:
        name = self.peer_name()
        proxies = self.site.policy.proxies
        if proxies is None or not proxies.trusts(name[0] if name is not None else None):
            return self._go_on(NULL)
        self.set_timeout(self.site.policy.head_timeout_ms)
        return self.reactor.add(self, events)

    cdef Turn on_readable(self) except *:
        cdef ProxyHeader found
        cdef ProxyProgress progress
        cdef size_t had = self.header.size
        cdef char peeked[PROXY_V2_BYTES]
        # Room for one byte at least: a header that needs more than that in all was refused.
        cdef ssize_t n = recv(self.fd, peeked, PROXY_V2_BYTES - had, MSG_DONTWAIT | MSG_PEEK)
        if n < 0:
            if errno != EAGAIN and errno != EINTR:
                self.close()
            return TURN_KEPT
        if n == 0:
            self._ended(b"the client closed inside the PROXY header")
            return TURN_KEPT
        buffer_put(&self.header, peeked, n)
        progress = parse_proxy_header(&found, <const uint8_t*>self.header.data, self.header.size)
        # Of a whole header what belongs to it, the rest is left for who comes next; else all there is.
        recv(self.fd, peeked, found.size - had if progress == PROXY_DONE else n, MSG_DONTWAIT)
        if progress == PROXY_DONE:
            self._go_on(&found)
        elif progress == PROXY_REFUSED:
            self._refuse(found.why)
        return TURN_KEPT

    cdef int _go_on(self, ProxyHeader* found) except -1:
        """Makes the HTTP connection of this one. NULL: the peer was not asked for whom it speaks."""
        cdef Reactor reactor = self.reactor
        cdef Http1Ending connection = self.site.connect(reactor, self.fd)
        connection.fd = self.fd
        connection.peer = self.peer
        if found is not NULL and found.peer == PROXY_KNOWN:
            connection.peer.family = found.family
            connection.peer.port = found.port
            memcpy(connection.peer.ip, found.ip, sizeof(found.ip))
        elif found is not NULL and found.peer == PROXY_UNKNOWN:
            # What it forwards of somebody it cannot name is not its own word.
            connection.trusted = 0
        # The descriptor, and its place among the open connections, are the other's from here on.
        reactor.remove(self)
        wheel_remove(&self.timer)
        self.closed = True
        try:
            connection.start(EPOLLIN | EPOLLRDHUP)
        except BaseException:
            connection.close()
            raise
        return 0

    cdef int on_timeout(self) except -1:
        return self._ended(b"the PROXY header did not come in time")

    cdef int on_drain(self) except -1:
        # The last chance of a connection that was just accepted.
        self.set_timeout(DRAIN_IDLE_MS)
        return 0

    cdef int _ended(self, const char* why) except -1:
        """No header will come. A health check that only connects is nothing to tell of."""
        if self.header.size:
            return self._refuse(why)
        self.close()
        return 0

    cdef int _refuse(self, const char* why) except -1:
        """Closes without an answer: it is not said that the peer speaks HTTP."""
        cdef size_t shown = min(self.header.size, <size_t>EXCERPT_BYTES)
        if self.site.policy.on_refused is not None:
            self.site.policy.on_refused(self.peer_name(), 400, why.decode(), self.header.data[:shown], None)
        self.close()
        return 0
