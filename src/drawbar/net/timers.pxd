"""A coarse timer wheel: deadlines of connections, in ticks. No clock is read here."""
from libc.stdint cimport uint32_t

cdef enum:
    TICK_MS = 50                # resolution of every timeout of a connection
    WHEEL_SLOTS = 512           # 25.6 s a turn; a later deadline is looked at once a turn
    NEVER = 0xffffffff

cdef struct Timer:              # embedded in its owner; linked in at most one slot
    Timer* next                 # NULL when not in a wheel
    Timer* previous
    uint32_t deadline           # tick it is due; may be later than its slot says
    uint32_t slot               # tick it is filed under
    void* owner

cdef struct Wheel:
    Timer slots[WHEEL_SLOTS]    # heads of circular lists
    uint32_t now                # every slot before this tick is empty or filed anew
    uint32_t nearest            # no timer is filed before this tick

cdef void wheel_init(Wheel* wheel, uint32_t now) noexcept nogil
# Lets a wheel that has not been popped from for long catch up with `now`, as far as nothing is filed before.
cdef void wheel_skip(Wheel* wheel, uint32_t now) noexcept nogil
# O(1). Setting a later deadline than before is a store; the timer is filed anew when its old slot comes up.
cdef void wheel_set(Wheel* wheel, Timer* timer, uint32_t deadline) noexcept nogil
cdef void wheel_remove(Timer* timer) noexcept nogil
# The next timer due at `now`, taken out of the wheel; NULL when there is none.
cdef Timer* wheel_pop(Wheel* wheel, uint32_t now) noexcept nogil
# Tick at which wheel_pop is worth a call, NEVER when the wheel is empty.
cdef uint32_t wheel_next(Wheel* wheel) noexcept nogil
