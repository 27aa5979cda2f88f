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
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.errno cimport errno
from libc.stdint cimport UINT64_MAX, int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memset
from posix.time cimport clock_gettime, timespec
from posix.unistd cimport close, read, write
from drawbar.net.addresses cimport host_names_clear
from drawbar.net.output cimport pool_clear
from drawbar.net.scoreboard cimport (
    COUNTING, Cell, LEADER_MOVES, LEADER_WAITS, PHASE_DRAINING, monotonic_ns)
from drawbar.net.timers cimport NEVER, TICK_MS, Timer, wheel_init, wheel_next, wheel_pop

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


cdef class Source:
    """Something with a descriptor in the epoll set."""

    cdef Turn on_events(self, uint32_t events) except *:
        return TURN_KEPT

    cdef Turn on_resume(self) except *:
        return TURN_KEPT

    cdef int on_timeout(self) except -1:
        return 0

    cdef int on_drain(self) except -1:
        return 0

    cdef bint on_left(self, bint take) except -1:
        return False

    cdef int on_relieved(self) except -1:
        return 0

    cdef void on_forked(self) noexcept:
        pass

    cdef void on_failed(self) noexcept:
        pass


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
        self.accepting = True
        self.set_cell(Cell())
        self.refresh_clock()
        self.stamp()
        self.turn_ns = self.now_ns
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
        host_names_clear(&self.host_names)
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

    cdef void stamp(self) noexcept:
        """Reads the exact clock, which costs a turn or a request some 25 ns: once each, and no more."""
        if COUNTING:
            self.now_ns = monotonic_ns()

    def advance(self, int64_t ms):
        """Moves this reactor's clock ahead: how tests reach a deadline without waiting for it."""
        self.skew_ms += ms

    # -- figures

    cpdef set_cell(self, Cell cell):
        """From now on what happens is counted there; before, and without a board, in a private cell."""
        self.cell = cell
        self.page = cell.page
        self.page.connections = self.connections
        self.page.threads = 1

    cdef void _begin_turn(self, bint fresh) noexcept:
        """Shows that the reactor moves. fresh: events were taken from the kernel, and not left by another leader."""
        if COUNTING:
            self.stamp()
            if fresh:
                self.turn_ns = self.now_ns
            self.page.beat_ns = self.now_ns
            self.page.leader = LEADER_MOVES

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

    cpdef add_listener(self, Source listener):
        """Keeps a listener in the set except while accepting pauses."""
        cdef uint32_t events = self._events_of(listener)
        self.listeners.append(listener)
        self.sharing = self.sharing or listener.shared
        if events:
            self.add(listener, events)

    cdef void connection_opened(self) noexcept:
        self.connections += 1
        if COUNTING:
            self.page.tally.connections += 1
            self.page.connections = self.connections
        if self.connections >= self.connection_limit:
            self.set_full(True)

    cdef void connection_closed(self) noexcept:
        self.connections -= 1
        if COUNTING:
            self.page.connections = self.connections
        if self.full and self.connections < self.connection_limit:
            self.set_full(False)
        if self.connections == 0 and self.ends_with_last:
            self.draining = True
        if self.draining and self.connections == 0 and self.on_empty is not None:
            self.on_empty()

    cdef void set_full(self, bint full) noexcept:
        """Says whether there is room for another connection. pause() is another matter, and no room ends it."""
        self.full = full
        if not full:
            self.retry_ms = 0
        try:
            self._set_accepting()
        except Exception as error:
            self.report(error)

    cpdef pause(self):
        """Accepts no more: connections stay in the listen queue, where other processes take them."""
        self.paused = True
        self._set_accepting()

    cpdef resume(self):
        """Accepts again after pause(), as soon as there is room; when it drains, no more."""
        self.paused = self.draining
        self._set_accepting()

    cdef int set_room(self, Room room) except -1:
        """Said by the executor whenever it changes, on any thread: whether there is room for another call.

        Without room, connections on shared sockets are left to other processes. With ROOM_QUEUED those that nobody
        else comes for are taken, one at a time, since none would ever be otherwise.

        For a connection the kernel wakes one sleeping process of those that have the socket exclusively, and nobody in
        its place when that one leaves it alone. So nothing is left that only this process was woken for: what wakes a
        process is the first event of its batch, and while it sleeps no room is lost, as no call comes. With ROOM_SOME
        a process may have to wait for the GIL before it can accept: it is woken beside another one, not in its place.
        """
        if room == self.room:
            return 0
        self.room = room
        if not self.sharing:
            return 0
        if not self.nested:
            self.leaving = room >= ROOM_NONE
            self._set_accepting()
        elif self.leaving and room < ROOM_NONE:
            # Inside a loop every process is woken for a connection: leaving waits until there is one.
            self.leave(False)
        return 0

    cdef int leave(self, bint leaving) except -1:
        """Takes shared listeners out of the set, or puts them back."""
        self.leaving = leaving
        return self._set_accepting()

    cdef int step_back(self, Source listener) except -1:
        """Goes to the end of the processes that wait at a shared listener: the kernel wakes the first that sleeps."""
        cdef uint32_t events = self._events_of(listener)
        # Inside a loop the order does not matter.
        if not self.nested and events & <uint32_t>EPOLLEXCLUSIVE:
            self.remove(listener)
            self._admit(listener, events)
        return 0

    cdef int _look(self) except -1:
        """Takes connections that were left to others and that nobody came for, from one look to the next."""
        cdef Source listener
        cdef bint waits = False
        self.look_ms = self.now_ms + LEAVE_MS
        for listener in self.listeners:
            if not self.accepting:
                break
            try:
                if listener.shared and listener.on_left(self.waited):
                    waits = True
            except Exception as error:
                self._failed(listener, error)
        self.waited = waits
        return 0

    cdef uint32_t _events_of(self, Source listener) noexcept:
        """What a listener belongs into the set for now; 0: not at all."""
        if not self.accepting or self.leaving and listener.shared:
            return 0
        if listener.shared and self.room == ROOM_AMPLE:
            return EPOLLIN | EPOLLEXCLUSIVE
        return EPOLLIN

    cdef int _set_accepting(self) except -1:
        """Puts listeners into the set, or takes them out."""
        cdef Source listener
        cdef uint32_t events, wanted
        self.accepting = not self.paused and not self.full
        for listener in self.listeners:
            wanted = self._events_of(listener)
            events = 0
            if listener.fd < self.table_size and self.table[listener.fd] is <PyObject*>listener:
                events = listener.interest
            if events == wanted:
                continue
            # EPOLLEXCLUSIVE can only be given when a descriptor is added (epoll_ctl(2)).
            if events:
                self.remove(listener)
            if wanted:
                self._admit(listener, wanted)
        return 0

    cdef int _admit(self, Source listener, uint32_t events) except -1:
        """Puts a listener into the set; when the kernel refuses, tries again after a while."""
        try:
            self.add(listener, events)
        except OSError as error:
            self.retry_ms = self.now_ms + ACCEPT_RETRY_MS
            self.report(error)
            self._stir()
        return 0

    # -- turns

    cdef int timeout_ms(self) noexcept:
        """How long the leader may sleep: to the next deadline, for ever when there is none."""
        cdef uint32_t due = wheel_next(&self.wheel)
        cdef uint64_t until
        if self.deferred or self.batch_next < self.batch_size:
            return 0
        until = <uint64_t>due * TICK_MS + TICK_MS if due != <uint32_t>NEVER else UINT64_MAX
        if self.retry_ms:
            until = min(until, self.retry_ms)
        if self.leaving and self.room == ROOM_QUEUED and self.accepting:
            until = min(until, self.look_ms)
        if until == UINT64_MAX:
            return -1
        return <int>(until - self.now_ms) if until > self.now_ms else 0

    cdef Turn turn(self, int timeout_ms) except *:
        """Waits for events at most that long (-1: for ever), handles them, then deadlines and deferred connections."""
        cdef epoll_event* event
        cdef Source source
        cdef int fd, n
        cdef bint fresh = self.batch_next >= self.batch_size
        if fresh:
            self.batch_next = 0
            self.batch_size = 0
            if timeout_ms == 0:
                n = epoll_wait(self.epoll_fd, self.batch, BATCH_EVENTS, 0)
            else:
                # Said before the GIL is released: who defers a connection from then on must end this wait.
                self.waiting = True
                self.page.leader = LEADER_WAITS
                self.sleeps_until = self.tick() + <uint32_t>timeout_ms // TICK_MS if timeout_ms > 0 else NEVER
                with nogil:
                    n = epoll_wait(self.epoll_fd, self.batch, BATCH_EVENTS, timeout_ms)
                    self.waiting = False
            self.batch_size = n if n > 0 else 0
            self.batches += 1
            self.refresh_clock()
            if not self.leaving:
                # The kernel was asked.
                self.look_ms = self.now_ms + LEAVE_MS
                self.waited = False
        self._begin_turn(fresh)
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
        if self.leaving and self.room == ROOM_QUEUED and self.now_ms >= self.look_ms:
            self._look()
        if self.retry_ms and self.now_ms >= self.retry_ms:
            self.retry_ms = 0
            if self.connections < self.connection_limit:
                self.set_full(False)
        if self.resting:
            self._stir()
        return TURN_KEPT

    cdef bint _is_idle(self) noexcept:
        """Nothing is to be looked at but events. The wheel is not asked: a connection may be given a deadline outside
        a turn, and that of one that has closed stays there until its time."""
        return not (self.connections or self.retry_ms or self.deferred or self.batch_next < self.batch_size
                    or self.leaving and self.room == ROOM_QUEUED and self.accepting)

    cdef int _stir(self) except -1:
        """Ends the rest when there is something to look at."""
        if self.resting and not self._is_idle():
            self.resting = False
            self.on_stir()
        return 0

    cdef int _failed(self, Source source, object error) except -1:
        self.report(error)
        source.on_failed()
        return 0

    cdef Turn _resume_deferred(self) except *:
        cdef Source source
        cdef int n = len(self.deferred)
        while n > 0 and self.deferred:
            n -= 1
            source = <Source>self.deferred.pop(0)
            self.current = source
            try:
                if source.on_resume() == TURN_LOST:
                    return TURN_LOST
                self.current = None
            except Exception as error:
                self._failed(source, error)
        return TURN_KEPT

    cdef int _expire(self) except -1:
        cdef Timer* timer
        cdef Source source
        while True:
            timer = wheel_pop(&self.wheel, self.tick())
            if timer is NULL:
                return 0
            source = <Source>timer.owner
            try:
                source.on_timeout()
            except Exception as error:
                self._failed(source, error)

    cdef void defer(self, Source source) noexcept:
        """Has the leader call on_resume() on its next turn."""
        self.deferred.append(source)
        if self.waiting:
            self.wake()
        elif self.on_defer is not None and len(self.deferred) == 1:
            self.on_defer()

    cdef void wake(self) noexcept nogil:
        cdef uint64_t one = 1
        write(self.wake_fd, &one, sizeof(one))

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

    def set_on_stir(self, callback):
        """Inside a loop: `callback()` when there are connections or deadlines again, after a rest()."""
        self.on_stir = callback

    def rest(self):
        """Inside a loop: whether nothing is to be looked at, so that no turn need be taken without an event."""
        self.resting = self._is_idle()
        return self.resting

    def set_waiter(self, object callback):
        """Where application calls share one thread: `callback(fd, writing, timeout_ms) -> bool` waits for them.

        It returns once `fd` can be read, or written, or False when the time (0: for ever) is over, and lets others run.
        """
        self.waiter = callback

    def run_deferred(self):
        """Resumes the connections deferred so far."""
        self._begin_turn(True)
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
        """Stops accepting; every connection ends with the answer to its present or next request.

        What waits in the listen queues is taken first: who is through the handshake was promised an answer. Where
        other processes will take it, pause() before.
        """
        cdef int fd
        cdef Source source
        if self.accepting:
            for source in self.listeners:
                source.on_drain()
        self.pause()
        self.draining = True
        self.page.phase = PHASE_DRAINING
        for fd in range(self.table_size):
            if self.table[fd] is not NULL:
                source = <Source>self.table[fd]
                try:
                    source.on_drain()
                except Exception as error:
                    self._failed(source, error)

    def is_draining(self):
        return self.draining

    def abandon(self):
        """In a process that an application forked: lets go of everything, without a trace in its parent.

        A copy left open would keep each of these connections open when the parent closes it. The epoll set is shared:
        it is closed first, as taking a source out of it would take it out for the parent.
        """
        cdef int fd
        cdef Source source
        self.stopped = True
        self.cell.disown()
        self.set_cell(self.cell)
        # Its thread is the parent's.
        self.sentinel = None
        if self.epoll_fd >= 0:
            close(self.epoll_fd)
            close(self.wake_fd)
            self.epoll_fd = self.wake_fd = -1
        self.batch_next = self.batch_size = 0
        self.listeners.clear()
        self.deferred.clear()
        for fd in range(self.table_size):
            if self.table[fd] is not NULL:
                source = <Source>self.table[fd]
                source.on_forked()
                self.remove(source)

    def close(self):
        """Closes every connection and lets go of listeners and watches."""
        cdef int fd
        cdef Source source
        for fd in range(self.table_size):
            if self.table[fd] is not NULL:
                source = <Source>self.table[fd]
                source.on_failed()
                self.remove(source)
        self.listeners.clear()
        self.deferred.clear()
