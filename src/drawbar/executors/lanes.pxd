"""Which waiting call runs next: the decision, without threads, clocks or queues."""
from libc.stdint cimport uint64_t

cdef enum Lane:
    LANE_NONE                   # nothing may start now
    LANE_QUICK
    LANE_SLOW

cdef struct Slots:
    int maximum                 # calls that may run at once
    int running
    int running_slow
    uint64_t quick_until_ns     # quick calls are about: one ran, or waited, less than QUICK_REST_NS before
    uint64_t last_slot_from_ns  # when slow calls may take the last free slot again
    bint last_slot_slow         # a slow call has it

cdef enum:
    QUICK_REST_NS = 10_000_000  # without a quick call for this long, slow ones may have every slot
    LAST_SLOT_REST = 2          # slow calls leave the last slot free this many times as long as they held it

# `quick`, `slow`: calls waiting in each lane.
cdef Lane next_lane(const Slots* slots, int quick, int slow, uint64_t now_ns) noexcept nogil
cdef void note_quick(Slots* slots, uint64_t now_ns) noexcept nogil
cdef void note_started(Slots* slots, Lane lane) noexcept nogil
cdef void note_ended(Slots* slots, Lane lane, uint64_t took_ns, uint64_t now_ns) noexcept nogil
