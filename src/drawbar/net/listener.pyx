# cython: language_level=3
"""Listening sockets: accept, and who makes the connection of what was accepted.

Law: a listener takes a bounded number of connections a turn, and none while the reactor pauses; what is not accepted
stays in the kernel's queue, where other processes that share the socket take it. Of a shared socket a process takes one
connection a turn and then goes to the end of those that wait there, so idle processes take turns; and none while every
call waits that could come of it (Reactor.set_room).
"""
from libc.errno cimport EAGAIN, ECONNABORTED, EINTR, EPERM, EPROTO, errno
from libc.stdint cimport uint32_t
from posix.unistd cimport close
from drawbar.net.addresses cimport Sockaddr, parse_address, read_address, sockaddr, sockaddr_storage
from drawbar.net.connection cimport Connection
from drawbar.net.reactor cimport (
    ACCEPT_RETRY_MS, EPOLLIN, EPOLLRDHUP, ROOM_NONE, Reactor, Source, TURN_KEPT, Turn)

import os


cdef extern from "<sys/socket.h>" nogil:
    ctypedef unsigned int socklen_t
    enum:
        SOCK_NONBLOCK
        SOCK_CLOEXEC
    int accept4(int fd, sockaddr* address, socklen_t* size, int flags)
    int getpeername(int fd, sockaddr* address, socklen_t* size)


cdef extern from "<poll.h>" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    enum:
        POLLIN
    int poll(pollfd* fds, unsigned long count, int timeout_ms)


cdef class Connector:
    """Makes the connection object for an accepted socket: what a listener leads to."""

    cdef Connection connect(self, Reactor reactor, int fd):
        raise NotImplementedError("a connector makes connections")


def listen(Reactor reactor, object socket, Connector connector, *, bint exclusive=True):
    """Accepts connections of a listening, non-blocking socket for `connector`.

    exclusive: other processes accept from it, too. Then one that sleeps is woken for a connection and not all
    (EPOLLEXCLUSIVE), and those without room leave it to the others.
    """
    cdef Listener listener = Listener.__new__(Listener)
    listener.socket = socket
    listener.fd = socket.fileno()
    listener.reactor = reactor
    listener.connector = connector
    listener.shared = exclusive
    reactor.add_listener(listener)


def adopt(Reactor reactor, int fd, Connector connector):
    """Serves a connected, non-blocking stream socket that somebody else accepted, and ends with it.

    The descriptor is the reactor's from now on. When the last connection has closed, the reactor has drained. Raises
    OSError for a socket that is not connected, and then the descriptor stays the caller's.
    """
    reactor.ends_with_last = True
    take(reactor, fd, connector)


def serve_for(Reactor reactor, int fd, Connector connector, tuple peer):
    """Serves a connected, non-blocking stream socket as a connection of `peer`, an (address, port): what it says comes
    from there, by a way of its own. The descriptor is the reactor's from now on.
    """
    cdef Sockaddr address
    cdef Connection connection
    parse_address(&address, peer[0], peer[1])
    connection = _begin(reactor, connector, fd, &address)
    if reactor.draining:
        # It came too late to be told with the others.
        connection.on_drain()


cdef Connection take(Reactor reactor, int fd, Connector connector):
    """Makes the connection of a connected, non-blocking stream socket, which is the reactor's from now on.

    Raises OSError for a socket that is not connected, and then the descriptor stays the caller's.
    """
    cdef sockaddr_storage address
    cdef Sockaddr peer
    cdef socklen_t size = sizeof(address)
    if getpeername(fd, <sockaddr*>&address, &size) < 0:
        raise OSError(errno, os.strerror(errno))
    read_address(&peer, &address)
    return _begin(reactor, connector, fd, &peer)


cdef Connection _begin(Reactor reactor, Connector connector, int fd, const Sockaddr* peer):
    """Makes the connection of an accepted socket, which is closed when that fails."""
    cdef Connection connection
    try:
        connection = connector.connect(reactor, fd)
    except BaseException:
        close(fd)
        raise
    connection.fd = fd
    connection.peer = peer[0]
    reactor.connection_opened()
    try:
        connection.start(EPOLLIN | EPOLLRDHUP)
    except BaseException:
        connection.close()
        raise
    return connection


cdef class Listener(Source):
    """A listening socket."""

    cdef Turn on_events(self, uint32_t events) except *:
        cdef Reactor reactor = self.reactor
        if not self.shared:
            self._take(ACCEPT_BATCH)
        elif reactor.room >= ROOM_NONE:
            # Inside a loop, where others were woken, too; otherwise it had left already.
            reactor.leave(True)
        elif self._take(SHARED_BATCH):
            reactor.step_back(self)
        return TURN_KEPT

    cdef bint on_left(self, bint take) except -1:
        cdef pollfd look
        look.fd = self.fd
        look.events = POLLIN
        if poll(&look, 1, 0) != 1:
            return False
        if take:
            self._take(SHARED_BATCH)
        return True

    cdef int on_drain(self) except -1:
        while self._take(ACCEPT_BATCH) > 0:
            pass
        return 0

    cdef int _take(self, int most) except -1:
        """Accepts so many connections at most, and says how many."""
        cdef sockaddr_storage address
        cdef Sockaddr peer
        cdef socklen_t size
        cdef int fd
        cdef int taken = 0
        for _ in range(most):
            if not self.reactor.accepting:
                break
            size = sizeof(address)
            address.ss_family = 0
            fd = accept4(self.fd, <sockaddr*>&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC)
            if fd < 0:
                if errno == EINTR or errno == ECONNABORTED or errno == EPROTO or errno == EPERM:
                    continue
                if errno != EAGAIN:
                    self._out_of(errno)
                break
            read_address(&peer, &address)
            _begin(self.reactor, self.connector, fd, &peer)
            taken += 1
        return taken

    cdef int _out_of(self, int code) except -1:
        """No descriptors or memory left for another connection.

        The listen queue stays readable, so going on would spin: accept again when a connection has closed, which is
        also when there is a descriptor again, or after a while, as the application may have closed a file (accept(2);
        the same trouble in libev's documentation, "the special problem of accept()ing when you can't").
        """
        cdef Reactor reactor = self.reactor
        reactor.report(OSError(code, f"cannot accept a connection with {reactor.connections} open: "
                                     f"{os.strerror(code)}"))
        reactor.set_full(True)
        reactor.retry_ms = reactor.now_ms + ACCEPT_RETRY_MS
        return 0
