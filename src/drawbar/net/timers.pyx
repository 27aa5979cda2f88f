# cython: language_level=3
"""A coarse timer wheel: deadlines of connections, in ticks of TICK_MS. No clock is read here.

A keep-alive connection moves its deadline with every request. So moving it later is one store: the timer stays filed
under its old tick and is filed anew when that tick comes up. Slots are circular lists with a head, so taking a timer
out needs neither its slot nor a branch.
"""
from libc.stdint cimport uint32_t


cdef void wheel_init(Wheel* wheel, uint32_t now) noexcept nogil:
    cdef int i
    for i in range(WHEEL_SLOTS):
        wheel.slots[i].next = &wheel.slots[i]
        wheel.slots[i].previous = &wheel.slots[i]
    wheel.now = now
    wheel.nearest = <uint32_t>NEVER


cdef void wheel_skip(Wheel* wheel, uint32_t now) noexcept nogil:
    if now > wheel.nearest:
        now = wheel.nearest
    if now > wheel.now:
        wheel.now = now


cdef inline void _file(Wheel* wheel, Timer* timer) noexcept nogil:
    cdef uint32_t tick = timer.deadline
    cdef Timer* head
    if tick < wheel.now:
        tick = wheel.now
    if tick - wheel.now >= <uint32_t>WHEEL_SLOTS:
        tick = wheel.now + <uint32_t>WHEEL_SLOTS - 1
    head = &wheel.slots[tick % <uint32_t>WHEEL_SLOTS]
    timer.slot = tick
    timer.next = head.next
    timer.previous = head
    head.next.previous = timer
    head.next = timer
    if tick < wheel.nearest:
        wheel.nearest = tick


cdef void wheel_set(Wheel* wheel, Timer* timer, uint32_t deadline) noexcept nogil:
    timer.deadline = deadline
    if timer.next is not NULL:
        if deadline >= timer.slot:
            return
        wheel_remove(timer)
    if deadline != <uint32_t>NEVER:
        _file(wheel, timer)


cdef void wheel_remove(Timer* timer) noexcept nogil:
    if timer.next is NULL:
        return
    timer.next.previous = timer.previous
    timer.previous.next = timer.next
    timer.next = NULL
    timer.previous = NULL


cdef Timer* wheel_pop(Wheel* wheel, uint32_t now) noexcept nogil:
    cdef Timer* head
    cdef Timer* timer
    while wheel.now <= now:
        if wheel.nearest > wheel.now:
            # Nothing is filed before `nearest`: jump there without looking at the slots between.
            wheel.now = wheel.nearest if wheel.nearest <= now else now + 1
            continue
        head = &wheel.slots[wheel.now % <uint32_t>WHEEL_SLOTS]
        timer = head.next
        if timer is head:
            wheel.now += 1
            wheel.nearest = _nearest(wheel)
            continue
        wheel_remove(timer)
        if timer.deadline <= now:
            return timer
        if timer.deadline != <uint32_t>NEVER:
            _refile(wheel, timer, now)
    return NULL


cdef inline void _refile(Wheel* wheel, Timer* timer, uint32_t now) noexcept nogil:
    # Never into the slot being emptied: its deadline is later than `now`, which is at least that slot's tick.
    cdef uint32_t tick = timer.deadline
    if tick - wheel.now >= <uint32_t>WHEEL_SLOTS:
        tick = wheel.now + <uint32_t>WHEEL_SLOTS - 1
    cdef Timer* head = &wheel.slots[tick % <uint32_t>WHEEL_SLOTS]
    timer.slot = tick
    timer.next = head.next
    timer.previous = head
    head.next.previous = timer
    head.next = timer


cdef inline uint32_t _nearest(Wheel* wheel) noexcept nogil:
    cdef uint32_t tick
    for tick in range(wheel.now, wheel.now + <uint32_t>WHEEL_SLOTS):
        if wheel.slots[tick % <uint32_t>WHEEL_SLOTS].next is not &wheel.slots[tick % <uint32_t>WHEEL_SLOTS]:
            return tick
    return <uint32_t>NEVER


cdef uint32_t wheel_next(Wheel* wheel) noexcept nogil:
    return wheel.nearest
