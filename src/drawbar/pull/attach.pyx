# cython: language_level=3
"""The attach lane: workers that dialled in, and serve what they are sent.

Law: a worker asks for an upgrade to PTTH/1.0, and when it has its 101, the two sides change roles: we are the client.
An idle connection is room for one request; a request's lease is its connection, and ends with it. So a worker leaves
by closing, and hears by a closed connection that the client it works for has left.

A worker whose machine vanished says nothing: probes by the kernel find it out in KEEPALIVE_IDLE_S + KEEPALIVE_COUNT *
KEEPALIVE_INTERVAL_S seconds, or, when something was being sent to it, in USER_TIMEOUT_MS.

Connections of workers are not counted among those a drain waits for: as long as a client has a request, its own
connection is open, and when none has, workers have nothing to do.
"""
from drawbar.exchange.exchange cimport Exchange, Handler
from drawbar.gateways.http cimport ServerConnection
from drawbar.net.credentials cimport peer_pid
from drawbar.net.reactor cimport EPOLLIN, EPOLLRDHUP, Reactor, TURN_KEPT, Turn
from drawbar.pull.entry cimport Entry, IDLE, Room
from drawbar.pull.front cimport Delivery, Front
from drawbar.pull.labels cimport JOINED
from drawbar.pull.queue cimport AppQueue

from urllib.parse import parse_qs

from drawbar.exchange.errors import AppError, ClientDisconnected

cdef extern from "<sys/socket.h>" nogil:
    enum:
        SOL_SOCKET
        SO_KEEPALIVE
    int setsockopt(int fd, int level, int option, const void* value, unsigned int size)

cdef extern from "<netinet/in.h>" nogil:
    enum:
        IPPROTO_TCP

cdef extern from "<netinet/tcp.h>" nogil:
    enum:
        TCP_NODELAY
        TCP_KEEPIDLE
        TCP_KEEPINTVL
        TCP_KEEPCNT
        TCP_USER_TIMEOUT

cdef enum:
    KEEPALIVE_IDLE_S = 5        # of silence before the kernel asks
    KEEPALIVE_INTERVAL_S = 2    # between two questions
    KEEPALIVE_COUNT = 3         # of them unanswered: the worker is gone
    USER_TIMEOUT_MS = 10_000    # of what was sent unacknowledged: the same

cdef bytes SWITCHED = (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: PTTH/1.0\r\n"
                       b"Drawbar-Releases: 1\r\n\r\n")


cdef int _set(int fd, int level, int option, int value) noexcept nogil:
    # What a socket does not know it does without.
    return setsockopt(fd, level, option, &value, sizeof(value))


cdef class AttachedRoom(Room):
    """A worker's connection as its queue sees it."""

    cdef int give(self, Entry entry) except -1:
        cdef AttachedConnection connection = self.connection
        cdef Delivery delivery = entry.payload
        if connection is None or not connection.was_looked_at() and connection.is_stale():
            # It left a moment ago, and its end is behind other events. What it never got counts for nothing.
            delivery.unread = True
            if connection is not None:
                connection.drop()
            return delivery.lost(502, "the worker has closed its connection")
        return connection.send(delivery)


cdef class AttachedConnection(ServerConnection):
    """A connection of a worker."""

    cdef bint was_looked_at(self) noexcept:
        """The kernel was asked what there is while it was idle, and had nothing to tell but what is being handled."""
        cdef Reactor reactor = self.reactor
        return reactor.batch_size == 1 and self.idle_since != reactor.batches

    cdef int on_idle(self) except -1:
        self.idle_since = self.reactor.batches
        if self.queue.add_room(self.room) != JOINED:
            # Its label was retired.
            return self.drop()
        self.front.dispatch(self.queue)
        return 0

    cdef int on_ended(self) except -1:
        self.room.connection = None
        self.front.attached.discard(self)
        self.queue.remove_room(self.room)
        if self.present:
            self.present = False
            self.front.presence.went(self.queue.name, self.room.label, self.pid)
        return 0

    @property
    def label(self):
        return self.room.label

    @property
    def is_idle(self):
        """It has no request."""
        return self.room.state == IDLE

    @property
    def is_eligible(self):
        """It may get one."""
        return self.queue.labels.may_get(self.room.group)

    def send_away(self):
        """Closes it when what it has is answered."""
        self.leave()


def attach(Front front, str app, str label, Exchange exchange, str worker=""):
    """Makes the connection of a whole, unanswered request the room of a worker for `app`; the exchange is over then.

    worker: its name in reports, by default its address, or its process id where that is on this machine. KeyError for
    an unknown app; ClientDisconnected when the worker is gone; AppError when the request has a body still to come.
    """
    cdef AppQueue queue = front.queues[app]
    cdef AttachedConnection connection = AttachedConnection.__new__(AttachedConnection)
    cdef bytes rest
    cdef int fd
    address = exchange.peer()
    connection.front = front
    connection.queue = queue
    connection.rules = front.rules
    connection.uncounted = True
    connection.takes_back = True
    connection.room = AttachedRoom(label, worker or (f"{address[0]}:{address[1]}" if address is not None else "local"))
    connection.room.connection = connection
    rest = exchange.detach(connection, SWITCHED)
    fd = connection.fd
    if connection.peer.family:
        _set(fd, IPPROTO_TCP, TCP_NODELAY, 1)
        _set(fd, SOL_SOCKET, SO_KEEPALIVE, 1)
        _set(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S)
        _set(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S)
        _set(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT)
        _set(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, USER_TIMEOUT_MS)
    else:
        connection.pid = peer_pid(fd)
        if not worker and connection.pid:
            connection.room.worker = f"pid {connection.pid}"
    front.attached.add(connection)
    if front.presence is not None:
        connection.present = True
        front.presence.came(app, label, connection.pid)
    try:
        connection.start(EPOLLIN | EPOLLRDHUP)
    except BaseException:
        connection.drop()
        raise
    connection.flush()
    if rest:
        # It answers before it was asked.
        connection.drop()
    elif not connection.closed:
        connection.on_idle()


def send_away(Front front, str app, str label):
    """Retires a label: its workers get nothing more, and are closed when what they have is answered."""
    cdef AttachedConnection connection
    cdef AppQueue queue = front.queues[app]
    queue.retire(label)
    for connection in list(front.attached):
        if connection.queue is queue and connection.room.label == label:
            connection.leave()


cdef class AttachHandler(Handler):
    """Attaches whoever asks, and does nothing else: for sockets that only this front's own workers can reach.

    GET /any/path?app=NAME&label=TEXT with an upgrade to PTTH/1.0. What is not that is told what would be.
    """
    cdef Front front

    def __init__(self, Front front):
        self.front = front
        self.buffers = True

    cdef Turn handle(self, Exchange exchange) except *:
        cdef dict query
        cdef str app
        try:
            query = parse_qs(exchange.target.partition("?")[2])
            app = query.get("app", [""])[0]
            if (exchange.header(b"upgrade") or "").upper() != "PTTH/1.0":
                exchange.begin(426, NULL, 0)
                exchange.field(b"Upgrade", 7, b"PTTH/1.0", 8)
                exchange.write(b"", b"", 0, True)
            elif app not in self.front.queues:
                text = f"no app is named {app!r} here\n".encode("utf-8", "replace")
                exchange.respond(404, text, b"text/plain; charset=utf-8")
            else:
                attach(self.front, app, query.get("label", [""])[0], exchange)
        except (AppError, ClientDisconnected) as error:
            self.front.reactor.report(error)
            exchange.abort()
        return TURN_KEPT
