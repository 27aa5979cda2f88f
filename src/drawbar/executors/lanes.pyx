# cython: language_level=3
"""Which waiting call runs next: the decision, without threads, clocks or queues.

Calls are quick or slow by what their route did before. Both lanes are first come, first served, and a quick call goes
first. With every slot held by slow calls a quick one would have to wait for one of them to end. So while quick calls
are about, a slow one takes the last free slot only when another is due to end within OVERLAP_NS: then quick calls
wait no longer than that, and the slot that falls free is theirs. Slow calls lose at most one slot by it, and less the
better their ends can be foretold. Nothing is kept back from a pool of one, nor while there are no quick calls.
"""
from libc.stdint cimport uint64_t


cdef bint _one_ends_soon(const Slots* slots, uint64_t now_ns) noexcept nogil:
    cdef int i
    for i in range(TRACKED):
        if slots.due_ns[i] > now_ns and slots.due_ns[i] - now_ns < <uint64_t>OVERLAP_NS:
            return True
    return False


cdef Lane next_lane(const Slots* slots, int quick, int slow, uint64_t now_ns) noexcept nogil:
    if slots.running >= slots.maximum:
        return LANE_NONE
    if quick > 0:
        return LANE_QUICK
    if slow == 0:
        return LANE_NONE
    if slots.maximum > 1 and slots.running_slow >= slots.maximum - 1 and now_ns < slots.quick_until_ns and (
            not _one_ends_soon(slots, now_ns)):
        return LANE_NONE
    return LANE_SLOW


cdef uint64_t look_again_ns(const Slots* slots, int quick, int slow, uint64_t now_ns) noexcept nogil:
    cdef uint64_t until = slots.quick_until_ns
    cdef int i
    if slots.running >= slots.maximum or quick > 0 or slow == 0 or until <= now_ns:
        return 0
    # The last slot is kept back: until no quick calls are about, or another slow one is due to end soon.
    for i in range(TRACKED):
        if slots.due_ns[i] > now_ns + <uint64_t>OVERLAP_NS:
            until = min(until, slots.due_ns[i] - <uint64_t>OVERLAP_NS + 1)
    return until - now_ns


cdef void note_quick(Slots* slots, uint64_t now_ns) noexcept nogil:
    slots.quick_until_ns = now_ns + <uint64_t>QUICK_REST_NS


cdef int note_started(Slots* slots, Lane lane, uint64_t due_ns) noexcept nogil:
    cdef int i
    slots.running += 1
    if lane == LANE_SLOW:
        slots.running_slow += 1
        if due_ns:
            for i in range(TRACKED):
                if slots.due_ns[i] == 0:
                    slots.due_ns[i] = due_ns
                    return i
    return -1


cdef void note_ended(Slots* slots, Lane lane, int ticket) noexcept nogil:
    slots.running -= 1
    if lane == LANE_SLOW:
        slots.running_slow -= 1
    if ticket >= 0:
        slots.due_ns[ticket] = 0
