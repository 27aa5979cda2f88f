# cython: language_level=3
"""The queue of one app: who waits, who is served, and until when.

Law: pure rules. No clock, no I/O, no HTTP: time comes in as milliseconds of one monotonic clock, and what is to be done
goes out as a return value. Every operation is O(1) in the number of requests. One thread uses a queue.

Room comes first: an entry leaves only together with a room that waits for it. Within a priority class it is first
come, first served; what comes back from a worker goes to the head of its class, past the bounds, as it was accepted
once. It comes back only if it may run again: it is safe, or no worker has begun it; nothing of a response has reached
the client; and it was not lost `attempts` times already.

Three clocks run for an entry. Its deadline, from accept to the first byte of the response, whatever happens meanwhile.
The time of one wait, which a pause holds still. The end of its lease, unless a connection stands for it.

Invariants:
- nothing waits while a room is idle that may get it, provided that match() is called after put(), add_room(), resume(),
  and whatever says AGAIN, until it says None;
- an entry is queued, leased or done, and counted in exactly one of these;
- a queue holds a reference to every entry that is queued or leased, and to every room that is idle.

What is owned by C lists is unseen by the cycle collector: an app that is taken down first empties its queue.
"""
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from drawbar.net.timers cimport (
    NEVER, TICK_MS, Timer, wheel_init, wheel_next, wheel_pop, wheel_remove, wheel_set, wheel_skip)
from drawbar.pull.chain cimport Link, chain_append, chain_first, chain_init, chain_push, chain_remove
from drawbar.pull.entry cimport PRIORITIES, Due, Entry, Fate, Label, Room, State
from drawbar.pull.labels cimport Joined, Labels
from drawbar.pull.times cimport Times


cdef inline uint32_t _tick_after(uint64_t ms) noexcept:
    """The first tick at which that time has passed: nothing is ended early."""
    return <uint32_t>((ms + <uint64_t>TICK_MS - 1) // <uint64_t>TICK_MS)


cdef list _entries(Link* chain, size_t limit):
    cdef list found = []
    cdef Link* link = chain.next
    while link.owner is not NULL and <size_t>len(found) < limit:
        found.append(<Entry>link.owner)
        link = link.next
    return found


cdef class AppQueue:
    """The queue of one app. Times are in milliseconds; 0 means never."""

    def __cinit__(self, *args, **kwargs):
        cdef int i
        for i in range(PRIORITIES):
            chain_init(&self.classes[i])
        chain_init(&self.ages)
        chain_init(&self.leases)
        wheel_init(&self.wheel, 0)
        self.labels = Labels()
        self.times = Times()

    def __init__(self, str name, *, uint64_t length=1_000, uint64_t bytes=64 << 20, uint64_t queue_ms=30_000,
                 uint64_t deadline_ms=60_000, uint64_t lease_ms=60_000, uint64_t pause_ms=60_000, uint8_t attempts=3):
        if not attempts:
            raise ValueError("a request needs one attempt at least")
        self.name = name
        self.length = length
        self.bytes = bytes
        self.queue_ms = queue_ms
        self.deadline_ms = deadline_ms
        self.lease_ms = lease_ms
        self.pause_ms = pause_ms
        self.attempts = attempts
        self.message = ""

    def __repr__(self):
        return f"<AppQueue {self.name!r} queued={self.queued} leased={self.leased} idle={self.labels.idle}>"

    # -- in

    cpdef Verdict put(self, Entry entry, uint64_t size, int priority, uint64_t now_ms) except *:
        """Takes a request of `size` bytes in, or says why not. `priority`: 0 (served first) to 3.

        A caller that knows better sets `accepted_ms` and `deadline_ms` (both absolute) on the entry first.
        """
        if entry.state != State.NEW:
            raise ValueError("an entry is put once")
        if priority < 0 or priority >= PRIORITIES:
            raise ValueError(f"a priority is 0 to {PRIORITIES - 1}")
        cdef Verdict verdict = self.judge(size)
        if verdict != ACCEPTED:
            return verdict
        if entry.accepted_ms == 0:
            entry.accepted_ms = now_ms
        if entry.deadline_ms == 0 and self.deadline_ms:
            entry.deadline_ms = entry.accepted_ms + self.deadline_ms
        entry.queue = self
        entry.size = size
        entry.priority = <uint8_t>priority
        Py_INCREF(entry)
        self.accepted += 1
        self.wait(entry, now_ms, False)
        if self.queued + self.leased > self.peak:
            self.peak = self.queued + self.leased
        return ACCEPTED

    cdef Verdict judge(self, uint64_t size) except *:
        """The bounds are for those who wait: who finds an idle room passes by them."""
        if self.gate == CLOSED:
            self.refused_stopped += 1
            return STOPPED
        if self.queued < self.length and size <= self.bytes and self.queued_bytes <= self.bytes - size:
            return ACCEPTED
        if self.gate == OPEN and self.queued < self.labels.eligible():
            return ACCEPTED
        if self.queued >= self.length:
            self.refused_length += 1
            return FULL_LENGTH
        self.refused_bytes += 1
        return FULL_BYTES

    cpdef Joined add_room(self, Room room) except *:
        """Offers a room: a new one, or one whose request has ended. It is the next of its label to get one."""
        return self.labels.join(room)

    cpdef int remove_room(self, Room room) except -1:
        """Takes a room back, for good unless it is added again. A request it has is still on lease: lose() it."""
        return self.labels.leave(room)

    # -- out

    cpdef Entry match(self, uint64_t now_ms):
        """The next entry, on lease, and its room in `entry.room`; None when nobody waits or no room may get one."""
        cdef Entry entry
        cdef Room room
        cdef Link* chain = &self.classes[0]
        if self.queued == 0 or self.gate == PAUSED:
            return None
        room = self.labels.take()
        if room is None:
            return None
        while chain_first(chain) is NULL:
            chain += 1
        entry = <Entry>chain_first(chain)
        self.waited_ms += now_ms - entry.queued_ms
        self.matched += 1
        self.unwait(entry)
        self.lease(entry, room, now_ms)
        return entry

    cdef int lease(self, Entry entry, Room room, uint64_t now_ms) except -1:
        entry.state = State.LEASED
        entry.attempts += 1
        entry._serial += 1
        entry.leased_ms = now_ms
        entry.lease_end_ms = now_ms + self.lease_ms if room.timed and self.lease_ms else 0
        entry.room = room
        room.entry = entry
        room.group.leased += 1
        room.group.given += 1
        self.leased += 1
        chain_append(&self.leases, &entry.place)
        # Most leases have no end, and the deadline is armed already.
        if entry.lease_end_ms:
            self.arm(entry)
        return 0

    cpdef bint begin(self, Entry entry) except *:
        """A byte of its response is about to reach the client: no clock ends it from now on, and it never runs again.

        False: it is not on lease any more, and nothing may be sent.
        """
        if entry.state != State.LEASED:
            return False
        entry.begun = True
        entry.lease_end_ms = 0
        wheel_remove(&entry.timer)
        return True

    cpdef bint finish(self, Entry entry, bint failed=False) except *:
        """It is answered; `failed`: the answer counts against its label. False: it was not on lease any more."""
        cdef Label group
        if entry.state != State.LEASED:
            return False
        group = entry.room.group
        self.answered += 1
        group.answered += 1
        group.failed += failed
        group.recent = group.recent << 1 | failed
        self.end(entry, Fate.ANSWERED)
        if group.on_outcome is not None:
            group.on_outcome()
        return True

    cpdef Room forget(self, Entry entry):
        """Its client is gone. Returns the room whose worker is to be told; None: no worker has it."""
        cdef Room room = entry.room if entry.state == State.LEASED else None
        if entry.state == State.QUEUED or entry.state == State.LEASED:
            self.abandoned += 1
            self.end(entry, Fate.ABANDONED)
        return room

    # -- back

    cpdef Back lose(self, Entry entry, uint64_t now_ms) except *:
        """Its worker is gone, or too late: back to the head of its class if it may run again."""
        if entry.state != State.LEASED:
            return NOT_LEASED
        self.lost += 1
        entry.room.group.note_lost()
        return self.back(entry, now_ms, entry.safe and entry.attempts < self.attempts)

    cpdef Back release(self, Entry entry, uint64_t now_ms, bint unrun=True) except *:
        """Given back; the attempt does not count. `unrun`: no worker has begun it, so it need not be safe."""
        if entry.state != State.LEASED:
            return NOT_LEASED
        self.released += 1
        entry.attempts -= 1
        return self.back(entry, now_ms, unrun or entry.safe)

    cdef Back back(self, Entry entry, uint64_t now_ms, bint again) except *:
        if entry.begun or not again:
            self.broken += 1
            self.end(entry, Fate.FAILED)
            return BROKEN
        self.unlease(entry, Fate.UNDECIDED)
        entry.room = None
        entry.lease_end_ms = 0
        self.wait(entry, now_ms, True)
        return AGAIN

    cpdef uint64_t renew(self, Entry entry, uint64_t now_ms) except *:
        """Its worker is alive: returns the lease's new end; 0 when it has none, or is not on lease."""
        if entry.state != State.LEASED or entry.lease_end_ms == 0:
            return 0
        self.renewed += 1
        entry.lease_end_ms = now_ms + self.lease_ms
        self.arm(entry)
        return entry.lease_end_ms

    # -- states of an entry

    cdef int wait(self, Entry entry, uint64_t now_ms, bint first) except -1:
        entry.state = State.QUEUED
        entry.queued_ms = now_ms
        entry.since = self.clock(now_ms)
        if first:
            chain_push(&self.classes[entry.priority], &entry.place)
        else:
            chain_append(&self.classes[entry.priority], &entry.place)
        # A wheel that has not turned for long would file what is to come among the past.
        wheel_skip(&self.wheel, <uint32_t>(now_ms // <uint64_t>TICK_MS))
        chain_append(&self.ages, &entry.age)
        self.queued += 1
        self.queued_bytes += entry.size
        return self.arm(entry)

    cdef int unwait(self, Entry entry) except -1:
        chain_remove(&entry.place)
        chain_remove(&entry.age)
        self.queued -= 1
        self.queued_bytes -= entry.size
        return 0

    cdef int unlease(self, Entry entry, Fate fate) except -1:
        cdef object leases = entry.leases
        chain_remove(&entry.place)
        self.leased -= 1
        entry.room.group.leased -= 1
        entry.room.entry = None
        if leases is not None:
            entry.leases = None
            leases.closed(entry.lease_id, fate)
        return 0

    cdef int end(self, Entry entry, Fate fate) except -1:
        if entry.state == State.QUEUED:
            self.unwait(entry)
        else:
            self.unlease(entry, fate)
        wheel_remove(&entry.timer)
        entry.state = State.DONE
        entry.fate = fate
        Py_DECREF(entry)
        return 0

    # -- time

    cdef uint64_t clock(self, uint64_t now_ms) noexcept:
        """The clock of waits: behind by all pauses, of each at most `pause_ms`."""
        cdef uint64_t held = self.held_ms
        if self.gate == PAUSED:
            held += min(now_ms - self.paused_at, self.pause_ms)
        return now_ms - held

    cdef int arm(self, Entry entry) except -1:
        """Sets its timer to what ends first: its lease or its deadline."""
        cdef uint64_t end = entry.deadline_ms
        if entry.lease_end_ms and (end == 0 or entry.lease_end_ms < end):
            end = entry.lease_end_ms
        if end:
            wheel_set(&self.wheel, &entry.timer, _tick_after(end))
        else:
            wheel_remove(&entry.timer)
        return 0

    cpdef Entry pop_due(self, uint64_t now_ms):
        """The next entry whose time is up, for the reason in `entry.due`; None when there is none.

        Waits end to the millisecond; leases and deadlines at the first tick (TICK_MS) after their time.
        """
        cdef Entry entry = self.pop_waiting(now_ms)
        cdef uint32_t tick = <uint32_t>(now_ms // <uint64_t>TICK_MS)
        cdef Timer* timer
        if entry is not None:
            return entry
        while True:
            timer = wheel_pop(&self.wheel, tick)
            if timer is NULL:
                return None
            entry = <Entry>timer.owner
            if entry.deadline_ms and _tick_after(entry.deadline_ms) <= tick:
                self.past_deadline += 1
                if entry.state == State.LEASED:
                    entry.room.group.note_lost()
                return self.expire(entry, Due.PAST_DEADLINE)
            # Only a lease has an end before that.
            entry.lease_end_ms = 0
            entry.due = Due.LEASE_LOST
            self.arm(entry)
            return entry

    cdef Entry pop_waiting(self, uint64_t now_ms):
        cdef PyObject* oldest = chain_first(&self.ages)
        if oldest is NULL or self.queue_ms == 0 or (<Entry>oldest).since + self.queue_ms > self.clock(now_ms):
            return None
        self.queued_too_long += 1
        return self.expire(<Entry>oldest, Due.QUEUED_TOO_LONG)

    cdef Entry expire(self, Entry entry, Due due):
        entry.due = due
        self.end(entry, Fate.EXPIRED)
        return entry

    def due(self, uint64_t now_ms, size_t limit=0):
        """What pop_due() gives, with reasons, until there is no more or `limit` (0: none) is reached."""
        cdef list found = []
        cdef Entry entry
        while limit == 0 or <size_t>len(found) < limit:
            entry = self.pop_due(now_ms)
            if entry is None:
                break
            found.append((entry, entry.due))
        return found

    cpdef uint64_t next_due_ms(self):
        """When pop_due() is next worth a call, or somewhat before; 0: not unless something changes."""
        cdef PyObject* oldest = chain_first(&self.ages)
        cdef uint32_t tick = wheel_next(&self.wheel)
        cdef uint64_t at = 0
        cdef uint64_t wait_end
        if self.queued + self.leased == 0:
            return 0
        if tick != <uint32_t>NEVER:
            at = <uint64_t>tick * <uint64_t>TICK_MS
        if oldest is not NULL and self.queue_ms:
            wait_end = (<Entry>oldest).since + self.queue_ms + self.held_ms
            if self.gate == PAUSED and wait_end > self.paused_at:
                wait_end += self.pause_ms
            if at == 0 or wait_end < at:
                at = wait_end
        return at

    cpdef uint64_t oldest_ms(self, uint64_t now_ms):
        """How long the one has waited that waits longest; 0: nobody does."""
        cdef PyObject* oldest = chain_first(&self.ages)
        if oldest is NULL or (<Entry>oldest).queued_ms > now_ms:
            return 0
        return now_ms - (<Entry>oldest).queued_ms

    # -- orders of the operator

    def pause(self, uint64_t now_ms):
        """Takes requests and gives none out until resume(). Waits are not counted on for the first `pause_ms`."""
        if self.gate != PAUSED:
            self.gate = PAUSED
            self.message = ""
            self.paused_at = now_ms

    def resume(self, uint64_t now_ms):
        """Ends a pause or a stop: match() next."""
        self.held_ms = now_ms - self.clock(now_ms)
        self.gate = OPEN
        self.message = ""

    def stop(self, str message, uint64_t now_ms):
        """Takes no more requests; those that wait are served. `message` is for those turned away. Ends a pause."""
        self.resume(now_ms)
        self.gate = CLOSED
        self.message = message

    @property
    def weights(self):
        """Label to share, in proportion to the others'; labels that are not named get nothing. None: no shares."""
        return None if self.labels.weights is None else dict(self.labels.weights)

    @weights.setter
    def weights(self, object weights):
        self.labels.share(weights)

    @property
    def held(self):
        """Labels whose rooms are kept, and get nothing."""
        return self.labels.held

    @held.setter
    def held(self, object names):
        self.labels.hold(names)

    def retire(self, str label):
        """Gives that label nothing any more, and refuses its rooms. Returns those idle: their workers may leave."""
        return self.labels.retire(label)

    def restore(self, str label):
        """Takes a retirement back; rooms have to be added again."""
        self.labels.restore(label)

    # -- reports

    def take_peak(self):
        """The most requests that were under way at once since the last call, waiting or with a worker."""
        cdef uint64_t peak = self.peak
        self.peak = self.queued + self.leased
        return peak

    @property
    def idle(self):
        """Rooms that wait for a request."""
        return self.labels.idle

    @property
    def eligible(self):
        """Those of them that may get one."""
        return self.labels.eligible()

    def label(self, str name):
        """That label, or None: no worker has come with it."""
        return self.labels.named(name)

    def all_labels(self):
        """In order of their first room."""
        return list(self.labels.labels)

    def rooms(self):
        """Those idle, by label, last freed first."""
        return [room for label in self.labels.labels for room in self.labels.rooms_of(label)]

    def waiting(self, size_t limit=1_000):
        """Entries that wait, longest first."""
        return _entries(&self.ages, limit)

    def running(self, size_t limit=1_000):
        """Entries on lease, oldest lease first."""
        return _entries(&self.leases, limit)
