# cython: language_level=3
"""The one I/O core: an epoll set, the sources in it, their timers and shared buffers.

Law: the reactor knows bytes, descriptors and deadlines, and nothing of what the bytes mean. One thread at a time, the
leader, takes turns; any thread may write to a connection it works for, wake the leader or defer a connection to it.
The GIL is the lock of everything here. It is released in one place, where the leader waits for events.

Leading can change hands in the middle of a batch of events: the batch belongs to the reactor, not to a stack frame, so
the next leader goes on with the event after the one that held the last leader up (TURN_LOST unwinds that one).

Standalone, the leader blocks in epoll_wait. Inside asyncio the epoll descriptor is itself registered with the loop:
a set is readable while one of its members is ready (epoll(7), "Questions and answers", 3).
"""
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF
from libc.errno cimport EAGAIN, ECONNABORTED, EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM, EPROTO, EPERM, errno
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, realloc
from libc.string cimport memcmp, memcpy, memset
from posix.time cimport clock_gettime, timespec
from posix.unistd cimport close, read, write
from drawbar.net.output cimport (
    FLUSH_BLOCKED, FLUSH_BROKEN, FLUSH_DONE, Flushed, output_clear, output_flush, pool_clear)
from drawbar.net.timers cimport NEVER, TICK_MS, Timer, wheel_init, wheel_next, wheel_pop, wheel_remove, wheel_set

import os


cdef extern from "<sys/epoll.h>" nogil:
    enum:
        EPOLL_CLOEXEC
        EPOLL_CTL_ADD
        EPOLL_CTL_MOD
        EPOLL_CTL_DEL
    int epoll_create1(int flags)
    int epoll_ctl(int epoll_fd, int operation, int fd, epoll_event* event)
    int epoll_wait(int epoll_fd, epoll_event* events, int room, int timeout_ms)

cdef extern from "<time.h>" nogil:
    enum:
        CLOCK_MONOTONIC_COARSE

cdef extern from "<sys/eventfd.h>" nogil:
    enum:
        EFD_CLOEXEC
        EFD_NONBLOCK
    int eventfd(unsigned int initial, int flags)

cdef extern from "<sys/socket.h>" nogil:
    ctypedef unsigned int socklen_t
    struct sockaddr:
        uint16_t sa_family
    struct sockaddr_storage:
        uint16_t ss_family
    enum:
        AF_INET
        AF_INET6
        SOCK_NONBLOCK
        SOCK_CLOEXEC
        SHUT_WR
        MSG_DONTWAIT
    int accept4(int fd, sockaddr* address, socklen_t* size, int flags)
    int shutdown(int fd, int how)
    ssize_t recv(int fd, void* into, size_t room, int flags)

cdef extern from "<netinet/in.h>" nogil:
    struct in_addr:
        uint32_t s_addr
    struct sockaddr_in:
        uint16_t sin_port
        in_addr sin_addr
    struct in6_addr:
        uint8_t s6_addr[16]
    struct sockaddr_in6:
        uint16_t sin6_port
        in6_addr sin6_addr
    uint16_t ntohs(uint16_t value)

cdef extern from "<arpa/inet.h>" nogil:
    const char* inet_ntop(int family, const void* address, char* into, socklen_t room)


cdef class Source:
    """Something with a descriptor in the epoll set."""

    cdef Turn on_events(self, uint32_t events) except *:
        return TURN_KEPT


cdef class _Waker(Source):
    """Ends the leader's wait from any thread, and from a signal handler through set_wakeup_fd."""
    cdef Reactor reactor

    cdef Turn on_events(self, uint32_t events) except *:
        cdef uint64_t count
        read(self.fd, &count, sizeof(count))
        if self.reactor.on_wake is not None:
            self.reactor.on_wake()
        return TURN_KEPT


cdef class _Watch(Source):
    """A descriptor of somebody else's: `callback()` when it can be read."""
    cdef object callback

    cdef Turn on_events(self, uint32_t events) except *:
        self.callback()
        return TURN_KEPT


cdef class Reactor:
    """One event loop.

    connection_limit: open connections at which listeners leave the epoll set until one closes.
    temp_dir: directory of spill files; None is $TMPDIR or /tmp.
    on_error: called with every exception that has no other owner. on_wake: called on the leader after wake().
    """

    def __cinit__(self, int connection_limit=50_000, object temp_dir=None, object on_error=None):
        cdef _Waker waker
        self.epoll_fd = epoll_create1(EPOLL_CLOEXEC)
        self.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
        if self.epoll_fd < 0 or self.wake_fd < 0:
            raise OSError(errno, f"cannot make an epoll set: {os.strerror(errno)}")
        self.scratch = <char*>malloc(SCRATCH_BYTES)
        if self.scratch is NULL:
            raise MemoryError()
        self.connection_limit = connection_limit
        self.temp_dir = temp_dir
        self.on_error = on_error
        self.deferred = []
        self.listeners = []
        self.refresh_clock()
        wheel_init(&self.wheel, self.tick())
        waker = _Waker.__new__(_Waker)
        waker.fd = self.wake_fd
        waker.reactor = self
        self.add(waker, EPOLLIN)

    def __dealloc__(self):
        cdef int fd
        if self.table is not NULL:
            for fd in range(self.table_size):
                if self.table[fd] is not NULL:
                    Py_DECREF(<object>self.table[fd])
            free(self.table)
        for fd in range(HOST_NAMES):
            Py_XDECREF(self.host_names[fd].text)
        pool_clear(&self.pool)
        free(self.scratch)
        if self.epoll_fd >= 0:
            close(self.epoll_fd)
        if self.wake_fd >= 0:
            close(self.wake_fd)

    # -- clock

    cdef uint32_t tick(self) noexcept:
        return <uint32_t>(self.now_ms // TICK_MS)

    cdef void refresh_clock(self) noexcept:
        cdef timespec now
        # A tick is many times longer than the 1 to 10 ms this clock is coarse by, and reading it costs next to nothing.
        clock_gettime(<int>CLOCK_MONOTONIC_COARSE, &now)
        self.now_ms = <uint64_t>now.tv_sec * 1000 + <uint64_t>now.tv_nsec // 1_000_000 + <uint64_t>self.skew_ms

    def advance(self, int64_t ms):
        """Moves this reactor's clock ahead: how tests reach a deadline without waiting for it."""
        self.skew_ms += ms

    # -- the set

    cdef int add(self, Source source, uint32_t events) except -1:
        cdef epoll_event event
        cdef PyObject** table
        cdef int size
        if source.fd >= self.table_size:
            size = max(256, self.table_size)
            while size <= source.fd:
                size *= 2
            table = <PyObject**>realloc(self.table, size * sizeof(PyObject*))
            if table is NULL:
                raise MemoryError()
            memset(table + self.table_size, 0, (size - self.table_size) * sizeof(PyObject*))
            self.table = table
            self.table_size = size
        self.generations += 1
        source.generation = self.generations
        source.interest = events
        event.events = events
        event.data = (<uint64_t>source.generation << 32) | <uint32_t>source.fd
        if epoll_ctl(self.epoll_fd, EPOLL_CTL_ADD, source.fd, &event) < 0:
            raise OSError(errno, f"cannot watch descriptor {source.fd}: {os.strerror(errno)}")
        Py_INCREF(source)
        self.table[source.fd] = <PyObject*>source
        return 0

    cdef int arm(self, Source source, uint32_t events) except -1:
        cdef epoll_event event
        if source.interest == events:
            return 0
        event.events = events
        event.data = (<uint64_t>source.generation << 32) | <uint32_t>source.fd
        if epoll_ctl(self.epoll_fd, EPOLL_CTL_MOD, source.fd, &event) < 0:
            raise OSError(errno, f"cannot watch descriptor {source.fd}: {os.strerror(errno)}")
        source.interest = events
        return 0

    cdef void remove(self, Source source) noexcept:
        """Takes a source out of the set and drops the table's reference to it."""
        if source.fd < 0 or source.fd >= self.table_size or self.table[source.fd] is not <PyObject*>source:
            return
        epoll_ctl(self.epoll_fd, EPOLL_CTL_DEL, source.fd, NULL)
        self.table[source.fd] = NULL
        Py_DECREF(source)

    def watch(self, int fd, object callback):
        """Calls `callback()` on the leading thread while `fd` can be read. The caller keeps `fd` open."""
        cdef _Watch watch = _Watch.__new__(_Watch)
        watch.fd = fd
        watch.callback = callback
        self.add(watch, EPOLLIN)

    def listen(self, object socket, Connector connector, *, bint exclusive=True):
        """Accepts connections of a listening, non-blocking socket for `connector`.

        exclusive: of several processes that share the socket only some wake for a connection (EPOLLEXCLUSIVE).
        """
        cdef Listener listener = Listener.__new__(Listener)
        listener.socket = socket
        listener.fd = socket.fileno()
        listener.reactor = self
        listener.connector = connector
        listener.exclusive = exclusive
        self.listeners.append(listener)
        if not self.paused:
            self._open(listener)

    cdef int _open(self, Listener listener) except -1:
        cdef uint32_t events = EPOLLIN
        if listener.exclusive:
            events |= EPOLLEXCLUSIVE
        return self.add(listener, events)

    cdef void connection_opened(self) noexcept:
        self.connections += 1
        if self.connections >= self.connection_limit and not self.paused:
            self.pause()

    cdef void connection_closed(self) noexcept:
        self.connections -= 1
        if self.draining:
            if self.connections == 0 and self.on_empty is not None:
                self.on_empty()
        elif self.paused and self.connections < self.connection_limit:
            self.resume()

    cpdef pause(self):
        """Accepts no more: connections stay in the listen queue, where other processes take them."""
        cdef Listener listener
        self.paused = True
        for listener in self.listeners:
            self.remove(listener)

    cpdef resume(self):
        """Accepts again after pause()."""
        cdef Listener listener
        if not self.paused:
            return
        self.paused = False
        self.retry_ms = 0
        for listener in self.listeners:
            try:
                self._open(listener)
            except OSError as error:
                self.report(error)

    # -- turns

    cdef int timeout_ms(self) noexcept:
        """How long the leader may sleep: to the next deadline, for ever when there is none."""
        cdef uint32_t due = wheel_next(&self.wheel)
        cdef int64_t wait
        if self.deferred or self.batch_next < self.batch_size:
            return 0
        if due == <uint32_t>NEVER and self.retry_ms == 0:
            return -1
        wait = <int64_t>due * TICK_MS + TICK_MS - <int64_t>self.now_ms
        if self.retry_ms:
            wait = min(wait, <int64_t>self.retry_ms - <int64_t>self.now_ms)
        return <int>max(<int64_t>0, wait)

    cdef Turn turn(self, int timeout_ms) except *:
        """Waits for events at most that long (-1: for ever), handles them, then deadlines and deferred connections."""
        cdef epoll_event* event
        cdef Source source
        cdef int fd, n
        if self.batch_next >= self.batch_size:
            self.batch_next = 0
            self.batch_size = 0
            if timeout_ms == 0:
                n = epoll_wait(self.epoll_fd, self.batch, BATCH_EVENTS, 0)
            else:
                # Said before the GIL is released: who defers a connection from then on must end this wait.
                self.waiting = True
                self.sleeps_until = self.tick() + <uint32_t>timeout_ms // TICK_MS if timeout_ms > 0 else NEVER
                with nogil:
                    n = epoll_wait(self.epoll_fd, self.batch, BATCH_EVENTS, timeout_ms)
                    self.waiting = False
            self.batch_size = n if n > 0 else 0
            self.refresh_clock()
        while self.batch_next < self.batch_size:
            event = &self.batch[self.batch_next]
            self.batch_next += 1
            fd = <int>(event.data & 0xffffffff)
            if fd >= self.table_size or self.table[fd] is NULL:
                continue
            source = <Source>self.table[fd]
            if source.generation != <uint32_t>(event.data >> 32):
                continue
            try:
                if source.on_events(event.events) == TURN_LOST:
                    return TURN_LOST
            except Exception as error:
                self._failed(source, error)
        if self.deferred and self._resume_deferred() == TURN_LOST:
            return TURN_LOST
        if wheel_next(&self.wheel) <= self.tick():
            self._expire()
        if self.retry_ms and self.now_ms >= self.retry_ms:
            self.retry_ms = 0
            if not self.draining and self.connections < self.connection_limit:
                self.resume()
        return TURN_KEPT

    cdef int _failed(self, Source source, object error) except -1:
        self.report(error)
        if isinstance(source, Connection):
            (<Connection>source).close()
        return 0

    cdef Turn _resume_deferred(self) except *:
        cdef Connection connection
        cdef int n = len(self.deferred)
        while n > 0 and self.deferred:
            n -= 1
            connection = <Connection>self.deferred.pop(0)
            if connection.closed:
                continue
            self.current = connection
            try:
                if connection.on_resume() == TURN_LOST:
                    return TURN_LOST
                self.current = None
            except Exception as error:
                self._failed(connection, error)
        return TURN_KEPT

    cdef int _expire(self) except -1:
        cdef Timer* timer
        cdef Connection connection
        while True:
            timer = wheel_pop(&self.wheel, self.tick())
            if timer is NULL:
                return 0
            connection = <Connection>timer.owner
            try:
                connection.on_timeout()
            except Exception as error:
                self._failed(connection, error)

    cdef void defer(self, Connection connection) noexcept:
        """Has the leader call on_resume() on its next turn."""
        self.deferred.append(connection)
        if self.waiting:
            self.wake()
        elif self.on_defer is not None and len(self.deferred) == 1:
            self.on_defer()

    cdef void wake(self) noexcept nogil:
        cdef uint64_t one = 1
        write(self.wake_fd, &one, sizeof(one))

    cdef str host_name(self, const Sockaddr* address):
        """Text of an IP address. Clients come again, so the last ones are remembered."""
        cdef char text[64]
        cdef int size = 4 if address.family == 4 else 16
        cdef uint32_t slot = 0
        cdef int i
        cdef HostName* entry
        for i in range(size):
            slot = slot * 31 + address.ip[i]
        entry = &self.host_names[slot & (HOST_NAMES - 1)]
        if entry.text is not NULL and entry.address.family == address.family and (
                memcmp(entry.address.ip, address.ip, size) == 0):
            return <str><object>entry.text
        inet_ntop(AF_INET if address.family == 4 else AF_INET6, address.ip, text, sizeof(text))
        name = (<bytes>(<char*>text)).decode("ascii")
        Py_XDECREF(entry.text)
        Py_INCREF(name)
        entry.text = <PyObject*>name
        entry.address = address[0]
        return name

    cdef void report(self, object error) noexcept:
        if self.on_error is not None:
            self.on_error(error)

    # -- running

    def run(self):
        """Leads until stop(), or until drain() has come to its end: for one thread that does everything itself."""
        while not self.stopped and not (self.draining and self.connections == 0):
            self.turn(self.timeout_ms())

    def drain_ready(self):
        """One turn without waiting: what an asyncio loop calls when `epoll_fd` is readable."""
        self.turn(0)

    def set_on_wake(self, object callback):
        self.on_wake = callback

    def set_on_empty(self, object callback):
        """`callback()` once the reactor drains and has no connection left."""
        self.on_empty = callback

    def set_on_defer(self, object callback):
        """Inside an asyncio loop: `callback()` must have the loop call run_deferred() soon."""
        self.nested = True
        self.on_defer = callback

    def run_deferred(self):
        """Resumes the connections deferred so far."""
        self._resume_deferred()

    def next_timeout_ms(self):
        """Milliseconds to the next deadline, -1 when there is none."""
        return self.timeout_ms()

    def wake_up(self):
        """Ends the leader's wait. Safe from any thread."""
        self.wake()

    def wake_fileno(self):
        """The descriptor that ends the wait when 8 bytes are written to it."""
        return self.wake_fd

    def stop(self):
        """Makes run() return after the present turn. Safe from any thread."""
        self.stopped = True
        self.wake()

    def is_stopped(self):
        return self.stopped

    def drain(self):
        """Stops accepting; every connection ends with the answer to its present or next request."""
        cdef int fd
        cdef Listener listener
        if not self.paused:
            for listener in self.listeners:
                # Who is through the handshake was promised an answer.
                listener.on_events(EPOLLIN)
            self.pause()
        self.draining = True
        for fd in range(self.table_size):
            if self.table[fd] is not NULL:
                source = <object>self.table[fd]
                if isinstance(source, Connection):
                    try:
                        (<Connection>source).on_drain()
                    except Exception as error:
                        self._failed(source, error)

    def is_draining(self):
        return self.draining

    def close(self):
        """Closes every connection and lets go of listeners and watches."""
        cdef int fd
        for fd in range(self.table_size):
            if self.table[fd] is not NULL:
                source = <object>self.table[fd]
                if isinstance(source, Connection):
                    (<Connection>source).close()
                else:
                    self.remove(source)
        self.listeners.clear()
        self.deferred.clear()


cdef class Connector:
    """Makes the connection object for an accepted socket: what a listener leads to."""

    cdef Connection connect(self, Reactor reactor, int fd):
        raise NotImplementedError("a connector makes connections")


cdef void _read_address(Sockaddr* into, sockaddr_storage* address) noexcept nogil:
    cdef sockaddr_in* v4
    cdef sockaddr_in6* v6
    if address.ss_family == AF_INET:
        v4 = <sockaddr_in*>address
        into.family = 4
        into.port = ntohs(v4.sin_port)
        memcpy(into.ip, &v4.sin_addr, 4)
    elif address.ss_family == AF_INET6:
        v6 = <sockaddr_in6*>address
        into.port = ntohs(v6.sin6_port)
        if v6.sin6_addr.s6_addr[10] == 0xff and v6.sin6_addr.s6_addr[11] == 0xff and _zero(v6.sin6_addr.s6_addr, 10):
            # An IPv4 client of a dual-stack socket (RFC 4291 section 2.5.5.2) is an IPv4 client.
            into.family = 4
            memcpy(into.ip, &v6.sin6_addr.s6_addr[12], 4)
        else:
            into.family = 6
            memcpy(into.ip, v6.sin6_addr.s6_addr, 16)
    else:
        into.family = 0


cdef inline bint _zero(const uint8_t* data, int size) noexcept nogil:
    cdef int i
    for i in range(size):
        if data[i]:
            return False
    return True


cdef class Listener(Source):
    """A listening socket."""

    cdef Turn on_events(self, uint32_t events) except *:
        cdef sockaddr_storage address
        cdef socklen_t size
        cdef int fd, n
        cdef Connection connection
        for n in range(ACCEPT_BATCH):
            if self.reactor.paused:
                return TURN_KEPT
            size = sizeof(address)
            address.ss_family = 0
            fd = accept4(self.fd, <sockaddr*>&address, &size, SOCK_NONBLOCK | SOCK_CLOEXEC)
            if fd < 0:
                if errno == EINTR or errno == ECONNABORTED or errno == EPROTO or errno == EPERM:
                    continue
                if errno == EAGAIN:
                    return TURN_KEPT
                self._out_of(errno)
                return TURN_KEPT
            try:
                connection = self.connector.connect(self.reactor, fd)
            except BaseException:
                close(fd)
                raise
            connection.fd = fd
            _read_address(&connection.peer, &address)
            self.reactor.connection_opened()
            try:
                connection.start(EPOLLIN | EPOLLRDHUP)
            except BaseException:
                connection.close()
                raise
        return TURN_KEPT

    cdef int _out_of(self, int code) except -1:
        """No descriptors or memory left for another connection.

        The listen queue stays readable, so going on would spin: accept again when a connection has closed, which is
        also when there is a descriptor again, or after a while, as the application may have closed a file (accept(2);
        the same trouble in libev's documentation, "the special problem of accept()ing when you can't").
        """
        cdef Reactor reactor = self.reactor
        reactor.report(OSError(code, f"cannot accept a connection with {reactor.connections} open: "
                                     f"{os.strerror(code)}"))
        reactor.pause()
        reactor.retry_ms = reactor.now_ms + ACCEPT_RETRY_MS
        return 0


cdef class Connection(Source):
    """A connected, non-blocking stream socket with its output queue and one deadline.

    Subclasses say what the bytes mean. The reactor's table holds the reference that keeps an open connection alive.
    """

    def __cinit__(self):
        self.fd = -1
        self.timer.owner = <void*>self
        self.output_high = 262_144

    def __dealloc__(self):
        wheel_remove(&self.timer)
        if self.reactor is not None:
            output_clear(&self.output, &self.reactor.pool)
        if not self.closed and self.fd >= 0:
            close(self.fd)

    cdef int start(self, uint32_t events) except -1:
        return self.reactor.add(self, events)

    cdef Turn on_events(self, uint32_t events) except *:
        cdef Reactor reactor = self.reactor
        cdef Turn turn = TURN_KEPT
        if events & <uint32_t>EPOLLOUT:
            self.blocked = False
            if self.output.head is NULL:
                # It was dropped meanwhile.
                self._arm(self.interest & <uint32_t>EPOLLIN, False)
            self.flush()
            if self.closed:
                return TURN_KEPT
        if events & <uint32_t>(EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR):
            reactor.current = self
            turn = self.on_readable()
            if turn == TURN_KEPT:
                reactor.current = None
        return turn

    # -- to override

    cdef Turn on_readable(self) except *:
        return TURN_KEPT

    cdef int on_flushed(self) except -1:
        return 0

    cdef int on_progress(self) except -1:
        return 0

    cdef int on_timeout(self) except -1:
        self.close()
        return 0

    cdef Turn on_resume(self) except *:
        return TURN_KEPT

    cdef int on_broken(self, int error) except -1:
        return 0

    cdef int on_drain(self) except -1:
        return 0

    cdef int on_relieved(self) except -1:
        return 0

    # -- to call

    cdef ssize_t receive(self, char* into, size_t room) noexcept:
        """Bytes read; 0 at the peer's end of stream; -1 when none are there now; -2 when the connection broke."""
        cdef ssize_t n
        while True:
            n = recv(self.fd, into, room, MSG_DONTWAIT)
            if n >= 0:
                return n
            if errno == EINTR:
                continue
            return -1 if errno == EAGAIN else -2

    cdef Flushed flush(self) except *:
        """Hands the kernel as much as it takes. Closed afterwards when the peer is gone."""
        cdef Flushed done
        cdef int error
        if self.closed:
            return FLUSH_BROKEN
        if self.output.head is NULL:
            return FLUSH_DONE
        if self.blocked:
            return FLUSH_BLOCKED
        done = output_flush(&self.output, &self.reactor.pool, self.fd)
        if done == FLUSH_DONE:
            if self.interest & <uint32_t>EPOLLOUT:
                self._arm(self.interest & <uint32_t>EPOLLIN, False)
            self.on_flushed()
        elif done == FLUSH_BLOCKED:
            self.blocked = True
            self._arm(self.interest & <uint32_t>EPOLLIN, True)
            self.on_progress()
        else:
            error = self.output.error
            self.close()
            self.on_broken(error)
        return done

    cdef int want(self, bint reading) except -1:
        """Reads on, or leaves what comes in the kernel's buffer."""
        return self._arm(reading, self.blocked)

    cdef int _arm(self, bint reading, bint writing) except -1:
        """Without either it is edge-triggered: EPOLLHUP and EPOLLERR cannot be masked and would repeat for ever."""
        cdef uint32_t events = <uint32_t>EPOLLOUT if writing else 0
        if reading:
            events |= <uint32_t>(EPOLLIN | EPOLLRDHUP)
        if self.closed:
            return 0
        return self.reactor.arm(self, events if events else <uint32_t>EPOLLET)

    cdef void set_timeout(self, uint32_t ms) noexcept:
        """Calls on_timeout() in `ms` milliseconds, rounded up to the next tick, unless set anew before. 0: never."""
        cdef Reactor reactor = self.reactor
        cdef uint32_t deadline
        if ms == 0:
            self.timer.deadline = <uint32_t>NEVER
            return
        # An application may have run for long since the turn began, or the leader have slept.
        reactor.refresh_clock()
        deadline = <uint32_t>((reactor.now_ms + ms + TICK_MS - 1) // TICK_MS)
        wheel_set(&reactor.wheel, &self.timer, deadline)
        if reactor.waiting and deadline < reactor.sleeps_until:
            reactor.sleeps_until = deadline
            reactor.wake()

    cdef void clear_timeout(self) noexcept:
        self.timer.deadline = <uint32_t>NEVER

    cdef void shut_down_writing(self) noexcept:
        shutdown(self.fd, SHUT_WR)

    cdef void close(self) noexcept:
        """Closes at once; what is still queued is dropped. Idempotent."""
        cdef Reactor reactor = self.reactor
        cdef int fd = self.fd
        if self.closed or fd < 0:
            return
        self.closed = True
        wheel_remove(&self.timer)
        output_clear(&self.output, &reactor.pool)
        reactor.remove(self)
        close(fd)
        reactor.connection_closed()

    cdef void drop_output(self) noexcept:
        """Lets go of everything queued."""
        self.blocked = False
        output_clear(&self.output, &self.reactor.pool)

    cdef tuple peer_name(self):
        """(address, port) of the peer; None for a Unix socket."""
        if self.peer.family == 0:
            return None
        return (self.reactor.host_name(&self.peer), self.peer.port)
