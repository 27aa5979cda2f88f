# cython: language_level=3
"""A connected, non-blocking stream socket with its output queue and one deadline.

Law: subclasses say what the bytes mean. The reactor's table holds the reference that keeps an open connection alive;
close() drops it. Any thread that works for a connection may write to it, with the GIL held throughout.
"""
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint32_t
from posix.unistd cimport close as close_descriptor
from drawbar.net.addresses cimport host_name
from drawbar.net.output cimport FLUSH_BLOCKED, FLUSH_BROKEN, FLUSH_DONE, Flushed, output_clear, output_flush
from drawbar.net.reactor cimport (
    EPOLLERR, EPOLLET, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP, Reactor, Source, TURN_KEPT, Turn)
from drawbar.net.scoreboard cimport COUNTING
from drawbar.net.timers cimport NEVER, TICK_MS, wheel_remove, wheel_set


cdef extern from "<sys/socket.h>" nogil:
    enum:
        SHUT_WR
        SHUT_RDWR
        MSG_DONTWAIT
    int shutdown(int fd, int how)
    ssize_t recv(int fd, void* into, size_t room, int flags)

cdef extern from "<poll.h>" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    enum:
        POLLIN
        POLLOUT
    int poll(pollfd* fds, unsigned long n, int timeout_ms)


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
            close_descriptor(self.fd)

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

    cdef int on_unsent(self, int error) except -1:
        self.close()
        return self.on_broken(error)

    cdef int on_broken(self, int error) except -1:
        return 0

    cdef void on_forked(self) noexcept:
        # Threads that polled it are the parent's.
        self.pollers = 0
        self.close()

    cdef void on_failed(self) noexcept:
        self.close()

    # -- to call

    cdef ssize_t receive(self, char* into, size_t room) noexcept:
        """Bytes read; 0 at the peer's end of stream; -1 when none are there now; -2 when the connection broke."""
        cdef ssize_t n
        while True:
            n = recv(self.fd, into, room, MSG_DONTWAIT)
            if n >= 0:
                if COUNTING:
                    self.reactor.page.tally.bytes_in += <size_t>n
                return n
            if errno == EINTR:
                continue
            return -1 if errno == EAGAIN else -2

    cdef bint poll_readable(self, uint32_t timeout_ms) except -1:
        """For a thread that may block: waits for bytes or the peer's end. False when the time is over; 0: for ever."""
        return self._poll(POLLIN, timeout_ms)

    cdef bint poll_writable(self, uint32_t timeout_ms) except -1:
        """For a thread that may block: waits until the socket takes bytes. False when the time is over; 0: for ever."""
        return self._poll(POLLOUT, timeout_ms)

    cdef bint _poll(self, short events, uint32_t timeout_ms) except -1:
        """Without the GIL. The leader may close the connection meanwhile: see close()."""
        cdef pollfd entry
        cdef int ready
        if self.closed:
            return True
        self.pollers += 1
        try:
            if self.reactor.waiter is not None:
                # May raise what the application has arranged for, such as gevent.Timeout.
                ready = self.reactor.waiter(self.fd, events == POLLOUT, timeout_ms)
            else:
                entry.fd = self.fd
                entry.events = events
                with nogil:
                    ready = poll(&entry, 1, <int>timeout_ms if timeout_ms else -1)
        finally:
            self.pollers -= 1
            if self.closed and self.pollers == 0:
                close_descriptor(self.fd)
        return ready != 0

    cdef Flushed flush(self) except *:
        """Hands the kernel as much as it takes. Closed afterwards when the peer is gone."""
        cdef Flushed done
        if self.closed:
            return FLUSH_BROKEN
        if self.output.head is NULL:
            return FLUSH_DONE
        if self.blocked:
            return FLUSH_BLOCKED
        done = output_flush(&self.output, &self.reactor.pool, self.fd)
        if COUNTING:
            self.reactor.page.tally.bytes_out += self.output.sent
            self.output.sent = 0
        if done == FLUSH_DONE:
            if self.interest & <uint32_t>EPOLLOUT:
                self._arm(self.interest & <uint32_t>EPOLLIN, False)
            self.on_flushed()
        elif done == FLUSH_BLOCKED:
            self.blocked = True
            self._arm(self.interest & <uint32_t>EPOLLIN, True)
            self.on_progress()
        else:
            self.on_unsent(self.output.error)
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
        """Closes at once; what is still queued is dropped. Idempotent.

        close(2) does not end a poll(2) of another thread, which would then wait on whatever gets the descriptor next.
        Shutting down does end it, and the last of those threads closes.
        """
        cdef Reactor reactor = self.reactor
        cdef int fd = self.fd
        if self.closed or fd < 0:
            return
        self.closed = True
        wheel_remove(&self.timer)
        output_clear(&self.output, &reactor.pool)
        reactor.remove(self)
        if self.pollers:
            shutdown(fd, SHUT_RDWR)
        else:
            close_descriptor(fd)
        if not self.uncounted:
            reactor.connection_closed()

    cdef void drop_output(self) noexcept:
        """Lets go of everything queued."""
        self.blocked = False
        output_clear(&self.output, &self.reactor.pool)

    cdef tuple peer_name(self):
        """(address, port) of the peer; None for a Unix socket."""
        if self.peer.family == 0:
            return None
        return (host_name(&self.reactor.host_names, &self.peer), self.peer.port)
