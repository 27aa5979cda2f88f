"""Which waiting call runs next: the decision, without threads, clocks or queues."""
from libc.stdint cimport uint64_t

cdef enum Lane:
    LANE_NONE                   # nothing may start now
    LANE_QUICK
    LANE_SLOW

cdef enum:
    QUICK_REST_NS = 10_000_000  # without a quick call for this long, slow ones may have every slot
    OVERLAP_NS = 5_000_000      # a slow call may take the last slot this long before another one is due to end
    TRACKED = 64                # slow calls whose end is foretold; of more than that, the first

cdef struct Slots:
    int maximum                 # calls that may run at once
    int running
    int running_slow
    uint64_t quick_until_ns     # quick calls are about: one ran, or waited, less than QUICK_REST_NS before
    uint64_t due_ns[TRACKED]    # when running slow calls should end by what their route took before; 0: free

# `quick`, `slow`: calls waiting in each lane.
cdef Lane next_lane(const Slots* slots, int quick, int slow, uint64_t now_ns) noexcept nogil
# Nanoseconds after which another answer of next_lane(), which has just said LANE_NONE, is due by the clock alone;
# 0: only a call that comes or ends changes it.
cdef uint64_t look_again_ns(const Slots* slots, int quick, int slow, uint64_t now_ns) noexcept nogil
cdef void note_quick(Slots* slots, uint64_t now_ns) noexcept nogil
# `due_ns`: when a slow call should end, 0 for unknown. Returns what note_ended wants to hear.
cdef int note_started(Slots* slots, Lane lane, uint64_t due_ns) noexcept nogil
cdef void note_ended(Slots* slots, Lane lane, int ticket) noexcept nogil
