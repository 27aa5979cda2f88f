# cython: language_level=3
"""Which waiting call runs next: the decision, without threads, clocks or queues.

Calls are quick or slow by what their route did before. Both lanes are first come, first served. With every slot held
by a slow call, a quick one would wait for the slowest of neighbours, so while quick calls are about, slow ones share
the last free slot with them: after a slow call has held it, it stays free twice as long. That costs slow calls at most
two thirds of one slot (8 slots: 8 %) and keeps quick ones quick most of the time. Nothing is reserved from a pool of
one, nor while there are no quick calls.
"""
from libc.stdint cimport uint64_t


cdef Lane next_lane(const Slots* slots, int quick, int slow, uint64_t now_ns) noexcept nogil:
    if slots.running >= slots.maximum:
        return LANE_NONE
    if quick > 0:
        return LANE_QUICK
    if slow == 0:
        return LANE_NONE
    if slots.maximum > 1 and slots.running_slow >= slots.maximum - 1 and now_ns < slots.quick_until_ns and (
            now_ns < slots.last_slot_from_ns):
        return LANE_NONE
    return LANE_SLOW


cdef void note_quick(Slots* slots, uint64_t now_ns) noexcept nogil:
    slots.quick_until_ns = now_ns + <uint64_t>QUICK_REST_NS


cdef void note_started(Slots* slots, Lane lane) noexcept nogil:
    slots.running += 1
    if lane == LANE_SLOW:
        slots.running_slow += 1
        if slots.running_slow == slots.maximum:
            slots.last_slot_slow = True


cdef void note_ended(Slots* slots, Lane lane, uint64_t took_ns, uint64_t now_ns) noexcept nogil:
    slots.running -= 1
    if lane == LANE_SLOW:
        slots.running_slow -= 1
        if slots.last_slot_slow:
            # Whichever slow call ends first gives the last slot back; the slots are alike.
            slots.last_slot_slow = False
            slots.last_slot_from_ns = now_ns + <uint64_t>LAST_SLOT_REST * took_ns // <uint64_t>slots.maximum
