# cython: language_level=3
"""A window into this floor for tests: what it does is native, and so invisible from Python.

Nothing that serves imports this. A probe adds no behaviour of its own: it calls the function under test and shows what
came of it.
"""
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset
from drawbar.exchange.exchange cimport Executor, Job
from drawbar.executors.lanes cimport (
    LANE_NONE, LANE_QUICK, LANE_SLOW, Lane, OVERLAP_NS, QUICK_REST_NS, Slots, TRACKED, look_again_ns, next_lane,
    note_ended, note_quick, note_started)

# Raw values of what tests compare with.
NONE = <int>LANE_NONE
QUICK = <int>LANE_QUICK
SLOW = <int>LANE_SLOW
OVERLAP = <int>OVERLAP_NS
QUICK_REST = <int>QUICK_REST_NS
TRACKED_CALLS = <int>TRACKED


cdef class LanesProbe:
    """The slots of an executor that runs `maximum` calls at once."""
    cdef Slots slots

    def __init__(self, int maximum):
        memset(&self.slots, 0, sizeof(self.slots))
        self.slots.maximum = maximum

    @property
    def running(self):
        return self.slots.running

    @property
    def running_slow(self):
        return self.slots.running_slow

    def next_lane(self, int quick, int slow, uint64_t now_ns):
        """next_lane()"""
        return <int>next_lane(&self.slots, quick, slow, now_ns)

    def look_again_ns(self, int quick, int slow, uint64_t now_ns):
        """look_again_ns()"""
        return look_again_ns(&self.slots, quick, slow, now_ns)

    def note_quick(self, uint64_t now_ns):
        """note_quick()"""
        note_quick(&self.slots, now_ns)

    def note_started(self, int lane, uint64_t due_ns):
        """note_started()"""
        return note_started(&self.slots, <Lane>lane, due_ns)

    def note_ended(self, int lane, int ticket):
        """note_ended()"""
        note_ended(&self.slots, <Lane>lane, ticket)


cdef class ProbeJob(Job):
    """A job that is a Python function: called by executors with threads, awaited by those with a loop.

    left: set when nobody waits for it any more. dismissed: it was let go of instead of called.
    """
    cdef object function
    cdef public bint left
    cdef readonly bint dismissed

    def __init__(self, function, uint32_t route=0, *, bint lasting=False):
        self.function = function
        self.route = route
        self.lasting = lasting

    cdef bint wanted(self) noexcept:
        return not self.left

    cdef int dismiss(self) except -1:
        self.dismissed = True
        return 0

    cdef int run(self) except -1:
        self.function()
        return 0

    cdef object coroutine(self):
        return self.function()


def submit(Executor executor, Job job):
    """Executor.submit(): 0 when the calling thread goes on leading, 1 when it leads no more."""
    return <int>executor.submit(job)
