"""The one I/O core: an epoll set, the sources in it, their timers and shared buffers."""
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint32_t, uint64_t
from drawbar.net.addresses cimport HostNames
from drawbar.net.output cimport Pool
from drawbar.net.scoreboard cimport Cell, CellPage
from drawbar.net.timers cimport Wheel

cdef enum:
    SCRATCH_BYTES = 65_536      # read buffer shared by all connections; one read takes at most this
    BATCH_EVENTS = 256          # events taken from the kernel at once
    ACCEPT_RETRY_MS = 1_000     # pause of accepting when the kernel refused, unless a connection closes before
    LEAVE_MS = 10               # between two looks at connections left to others: at the second nobody came for them

cdef extern from "<sys/epoll.h>" nogil:
    struct epoll_event:
        uint32_t events
        uint64_t data "data.u64"
    enum:
        EPOLLIN
        EPOLLOUT
        EPOLLERR
        EPOLLHUP
        EPOLLRDHUP
        EPOLLET
        EPOLLEXCLUSIVE

cdef enum Turn:
    TURN_KEPT = 0               # go on with the next event
    TURN_LOST = 1               # another thread leads now: unwind, touch nothing of the reactor's

cdef enum Room:                 # for a call that would come now
    ROOM_AMPLE = 0              # nothing runs beside the leader
    ROOM_SOME = 1               # calls run on other threads, which may keep the leader from moving
    ROOM_NONE = 2               # it would have to wait for the end of another one
    ROOM_QUEUED = 3             # it would, and be one of many: the end of a call makes no room

cdef class Source:
    """Something with a descriptor in the epoll set."""
    cdef readonly int fd
    cdef uint32_t generation    # tells this source's events from those of an earlier one with the same fd
    cdef uint32_t interest      # events it is registered for
    cdef bint shared            # a listener that other processes accept from, too
    cdef Turn on_events(self, uint32_t events) except *
    cdef Turn on_resume(self) except *          # deferred before, and now on the leading thread
    cdef int on_timeout(self) except -1
    cdef int on_drain(self) except -1           # the server is stopping
    cdef bint on_left(self, bint take) except -1    # a listener: whether connections wait that were left to others
    cdef int on_relieved(self) except -1        # the thread inside a call for it leads no more: others use the reactor
    cdef void on_forked(self) noexcept          # in a child an app forked: let go, without a word to the peer
    cdef void on_failed(self) noexcept          # raised something nobody handled, or the reactor closes: end

cdef class Reactor:
    cdef readonly int epoll_fd
    cdef int wake_fd
    cdef PyObject** table       # sources by descriptor; owned references
    cdef int table_size
    cdef uint32_t generations
    cdef epoll_event batch[BATCH_EVENTS]
    cdef int batch_size
    cdef int batch_next
    cdef readonly uint32_t batches      # taken from the kernel so far
    cdef Wheel wheel
    cdef int64_t skew_ms
    cdef readonly uint64_t now_ms       # monotonic, of the present turn
    cdef readonly uint64_t now_ns       # when stamp() was called last, by whichever thread; for figures
    cdef readonly uint64_t turn_ns      # since when the events of the present turn wait
    cdef readonly Cell cell
    cdef CellPage* page                 # of `cell`: what is counted goes there
    cdef Pool pool
    cdef char* scratch
    cdef list deferred                  # sources to resume on the next turn
    cdef readonly int connections       # open ones
    cdef int connection_limit
    cdef bint paused                    # by pause(), until resume()
    cdef bint full                      # no room for another connection, until one closes
    cdef bint accepting                 # neither paused nor full
    cdef bint sharing                   # other processes accept from the same sockets
    cdef Room room
    cdef bint leaving                   # no room: shared listeners are out of the set, their connections left to others
    cdef bint waited                    # connections that were left waited at the last look
    cdef uint64_t look_ms               # when to look next whether some wait
    cdef uint64_t retry_ms              # when to accept again after the kernel refused; 0: no such time
    cdef list listeners
    cdef bint draining
    cdef bint ends_with_last            # nobody else will come: the last connection's end is the reactor's
    cdef bint nested                    # runs inside an asyncio loop
    cdef volatile bint stopped
    cdef volatile bint waiting          # the leader sleeps in epoll_wait, or is about to
    cdef uint32_t sleeps_until          # tick at which it will wake by itself
    cdef object temp_dir
    cdef object on_error                # called with an exception nobody else could handle
    cdef object on_empty                # called when draining and the last connection has closed
    cdef object on_wake                 # called when wake() was, on the leading thread
    cdef object on_defer                # nested: asks the loop for a turn
    cdef bint resting                   # nested: nobody looks at deadlines, as there are none
    cdef object on_stir                 # called when that has come to an end
    cdef object waiter                  # waits for a descriptor in place of poll(2), or None
    cdef HostNames host_names
    cdef object sentinel                # drawbar.exchange.sentinel.Sentinel, when requests may time out
    cdef Source current                 # whose events are being handled

    cdef uint32_t tick(self) noexcept
    cdef void refresh_clock(self) noexcept
    cdef void stamp(self) noexcept
    cpdef set_cell(self, Cell cell)
    cdef void _begin_turn(self, bint fresh) noexcept
    cdef int add(self, Source source, uint32_t events) except -1
    cdef int arm(self, Source source, uint32_t events) except -1
    cdef void remove(self, Source source) noexcept
    cdef Turn turn(self, int timeout_ms) except *
    cdef int timeout_ms(self) noexcept
    cdef bint _is_idle(self) noexcept
    cdef int _stir(self) except -1
    cdef void defer(self, Source source) noexcept
    cdef void wake(self) noexcept nogil
    cdef void connection_opened(self) noexcept
    cdef void connection_closed(self) noexcept
    cdef void report(self, object error) noexcept
    cpdef add_listener(self, Source listener)
    cdef int _failed(self, Source source, object error) except -1
    cdef Turn _resume_deferred(self) except *
    cdef int _expire(self) except -1
    cdef void set_full(self, bint full) noexcept
    cdef int set_room(self, Room room) except -1
    cdef int leave(self, bint leaving) except -1
    cdef int step_back(self, Source listener) except -1
    cdef int _look(self) except -1
    cdef int _admit(self, Source listener, uint32_t events) except -1
    cdef uint32_t _events_of(self, Source listener) noexcept
    cdef int _set_accepting(self) except -1
    cpdef pause(self)
    cpdef resume(self)
