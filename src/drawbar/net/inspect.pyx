# cython: language_level=3
"""A window into this floor for tests: what it does is native, and so invisible from Python.

Nothing that serves imports this. A probe adds no behaviour of its own: it calls the function under test and shows what
came of it.
"""
from cpython.object cimport PyObject
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from drawbar.net.output cimport output_bytes, output_file, output_spill
from drawbar.net.connection cimport Connection
from drawbar.net.listener cimport Connector
from drawbar.net.reactor cimport EPOLLEXCLUSIVE, EPOLLIN, EPOLLOUT, Reactor, Room, Source, TURN_KEPT, Turn
from drawbar.net.scoreboard cimport (
    Cell, Entry, atomic_load, entry_answer, entry_free, entry_hold, entry_new, entry_publish, entry_time_out,
    entry_unhold, observe)
from drawbar.net.timers cimport Timer, Wheel, wheel_init, wheel_next, wheel_pop, wheel_remove, wheel_set, wheel_skip

# Raw names of what tests compare with.
NEVER = 0xffffffff


cdef class WheelProbe:
    """A timer wheel of its own with `count` timers, known by number. `now`: the tick it starts at."""
    cdef Wheel wheel
    cdef Timer* timers
    cdef readonly int count

    def __cinit__(self, int count, uint32_t now=0):
        self.timers = <Timer*>calloc(count, sizeof(Timer))
        if self.timers is NULL:
            raise MemoryError()
        self.count = count
        wheel_init(&self.wheel, now)

    def __dealloc__(self):
        free(self.timers)

    def set(self, int number, uint32_t deadline):
        """wheel_set()"""
        wheel_set(&self.wheel, &self.timers[number], deadline)

    def forget(self, int number):
        """What a connection does to have no deadline: a store."""
        self.timers[number].deadline = <uint32_t>0xffffffff

    def remove(self, int number):
        """wheel_remove()"""
        wheel_remove(&self.timers[number])

    def skip(self, uint32_t now):
        """wheel_skip()"""
        wheel_skip(&self.wheel, now)

    def pop_due(self, uint32_t now):
        """Numbers wheel_pop() gives until it gives none."""
        cdef Timer* timer
        cdef list due = []
        while True:
            timer = wheel_pop(&self.wheel, now)
            if timer is NULL:
                return due
            due.append(timer - self.timers)

    def next(self):
        """wheel_next()"""
        return wheel_next(&self.wheel)


cdef class EntryProbe:
    """A request in flight, or one that found no entry (`listed`), without a connection."""
    cdef Cell cell
    cdef Entry* entry

    def __init__(self, Cell cell, bint held=False):
        self.cell = cell
        self.entry = entry_new(cell.page)
        if self.entry is not NULL:
            self.entry.text_size = 0
            self.entry.ip_family = 0
            entry_publish(cell.page, self.entry, held)

    @property
    def listed(self):
        return self.entry is not NULL

    @property
    def word(self):
        return atomic_load(&self.entry.word)

    def hold(self):
        """entry_hold()"""
        return entry_hold(self.entry)

    def unhold(self):
        """entry_unhold()"""
        entry_unhold(self.entry)

    def answer(self):
        """entry_answer()"""
        return entry_answer(self.entry)

    def time_out(self, uint64_t word):
        """entry_time_out()"""
        return entry_time_out(self.cell.page, self.entry, word)

    def free(self):
        """entry_free()"""
        entry_free(self.cell.page, self.entry)


def observe_latency(Cell cell, uint64_t ns):
    """observe()"""
    observe(&cell.page.tally.latency, ns)


def connections(Reactor reactor):
    """The open connections of a reactor, as views, by descriptor."""
    cdef int fd
    cdef list found = []
    for fd in range(reactor.table_size):
        if reactor.table[fd] is not NULL:
            source = <object>reactor.table[fd]
            if isinstance(source, Connection):
                found.append(View.__new__(View, source))
    return found


def pooled_blocks(Reactor reactor):
    """Blocks a reactor keeps for reuse."""
    return reactor.pool.size


def set_room(Reactor reactor, str room):
    """As an executor does: ample, some, none, queued."""
    reactor.set_room(<Room><int>("ample", "some", "none", "queued").index(room))


def is_exclusive(Reactor reactor):
    """Whether the kernel wakes this process in the place of others, for each listener it is woken for at all."""
    cdef Source listener
    return [
        bool(listener.interest & <uint32_t>EPOLLEXCLUSIVE)
        for listener in reactor.listeners
        if reactor.table[listener.fd] is <PyObject*>listener
    ]


cdef class View:
    """What a connection holds at present."""
    cdef Connection connection

    def __cinit__(self, Connection connection):
        self.connection = connection

    @property
    def fd(self):
        return self.connection.fd

    @property
    def generation(self):
        """Tells its events from those of others with the same descriptor."""
        return self.connection.generation

    @property
    def closed(self):
        return self.connection.closed

    @property
    def memory(self):
        """Bytes of output waiting in memory."""
        return self.connection.output.memory

    @property
    def waiting(self):
        """Bytes of output waiting in all."""
        return self.connection.output.waiting

    @property
    def spilled(self):
        """Bytes of output waiting in a spill file."""
        return self.connection.output.spilled

    @property
    def reads(self):
        """The reactor listens for bytes of its."""
        return bool(self.connection.interest & <uint32_t>EPOLLIN)

    @property
    def blocked(self):
        """The socket took no more when last asked, and the reactor listens for when it does."""
        return bool(self.connection.blocked and self.connection.interest & <uint32_t>EPOLLOUT)

    @property
    def peer(self):
        return self.connection.peer_name()

    @property
    def has_timer(self):
        return self.connection.timer.next is not NULL


cdef class ProbeConnector(Connector):
    """Leads a listener to connections that note what happens to them. `made`: all of them, in order."""
    cdef readonly list made

    def __init__(self):
        self.made = []

    cdef Connection connect(self, Reactor reactor, int fd):
        cdef Probe probe = Probe.__new__(Probe)
        probe.reactor = reactor
        probe.seen = []
        self.made.append(probe)
        return probe


cdef class Probe(Connection):
    """`seen` holds what the reactor called, with what was read. `on_read(probe, data)` is called too when it is set."""
    cdef readonly list seen
    cdef public object on_read

    cdef Turn on_readable(self) except *:
        cdef ssize_t n = self.receive(self.reactor.scratch, 65_536)
        cdef bytes data
        if n > 0:
            data = self.reactor.scratch[:n]
            self.seen.append(data)
            if self.on_read is not None:
                self.on_read(self, data)
        elif n == 0:
            self.seen.append("end")
            self.close()
        elif n == -2:
            self.seen.append("broken")
            self.close()
        return TURN_KEPT

    cdef int on_flushed(self) except -1:
        self.seen.append("flushed")
        return 0

    cdef int on_progress(self) except -1:
        self.seen.append("progress")
        return 0

    cdef int on_timeout(self) except -1:
        self.seen.append("timeout")
        return 0

    cdef Turn on_resume(self) except *:
        self.seen.append("resumed")
        return TURN_KEPT

    cdef int on_broken(self, int error) except -1:
        self.seen.append(f"broken {error}")
        return 0

    cdef int on_drain(self) except -1:
        self.seen.append("drain")
        return 0

    def view(self):
        """The same connection as a view."""
        return View.__new__(View, self)

    def queue(self, bytes data, bint borrow=True):
        """output_bytes()"""
        output_bytes(&self.output, &self.reactor.pool, data if borrow else None, data, len(data))

    def queue_file(self, int fd, int offset, size_t size):
        """output_file() with a descriptor that becomes the queue's."""
        output_file(&self.output, &self.reactor.pool, None, fd, offset, size)

    def spill(self, size_t keep, directory=None):
        """output_spill()"""
        output_spill(&self.output, &self.reactor.pool, keep, directory)

    def send_queued(self):
        """flush(): 0 when all is with the kernel, 1 when some waits, 2 when the connection broke."""
        return <int>self.flush()

    def timeout_in(self, uint32_t ms):
        """set_timeout()"""
        self.set_timeout(ms)

    def read_on(self, bint reading):
        """want()"""
        self.want(reading)

    def resume_later(self):
        """Reactor.defer()"""
        self.reactor.defer(self)

    def end(self):
        """close()"""
        self.close()
