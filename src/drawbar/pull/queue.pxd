"""The queue of one app: who waits, who is served, and until when."""
from libc.stdint cimport uint8_t, uint64_t
from drawbar.net.timers cimport Wheel
from drawbar.pull.chain cimport Link
from drawbar.pull.entry cimport PRIORITIES, Due, Entry, Fate, Room
from drawbar.pull.labels cimport Joined, Labels
from drawbar.pull.times cimport Times

cpdef enum Verdict:             # on a request that wants in
    ACCEPTED
    FULL_LENGTH                 # 503 with Retry-After; so are the next two
    FULL_BYTES
    STOPPED                     # `message` says why

cpdef enum Back:                # what became of a lease that ended without an answer
    NOT_LEASED                  # nothing: it had ended before
    AGAIN                       # the request waits again, at the head of its class: match() next
    BROKEN                      # it may not run again: 502, or the response breaks off

cpdef enum Gate:
    OPEN
    PAUSED                      # takes requests and gives none out
    CLOSED                      # gives out those it has and takes none

cpdef enum Watch:               # whether somebody wants to hear
    UNWATCHED
    WATCHED_FOR_ALL             # that a request has come
    WATCHED_FOR_WAIT            # that one has come and waits

cdef class AppQueue:
    cdef readonly str name
    # -- settings, in force for what comes after a change; 0 means never, for times
    cdef public uint64_t length         # entries that may wait
    cdef public uint64_t bytes          # that entries which wait may hold together
    cdef public uint64_t queue_ms       # one wait, pauses not counted
    cdef public uint64_t deadline_ms    # from accept to the first byte of the response
    cdef public uint64_t lease_ms
    cdef public uint64_t pause_ms       # how long a pause keeps the clock of waits still
    cdef public uint8_t attempts
    # -- figures now
    cdef readonly Gate gate
    cdef readonly str message           # of stop()
    cdef readonly uint64_t queued
    cdef readonly uint64_t queued_bytes
    cdef readonly uint64_t leased
    cdef readonly uint64_t peak         # most of both at once, since take_peak()
    # -- counters. accepted = queued + leased + answered + abandoned + queued_too_long + past_deadline + broken
    cdef readonly uint64_t accepted, answered, abandoned, queued_too_long, past_deadline, broken
    cdef readonly uint64_t refused_length, refused_bytes, refused_stopped
    cdef readonly uint64_t matched, lost, released, renewed
    cdef readonly uint64_t waited_ms    # the sum over all waits that ended in a match
    cdef public Watch watch             # for whom: see Front.on_watched
    # --
    cdef readonly Labels labels
    cdef readonly Times times           # of its requests that have ended; whoever ends them counts there
    cdef Link classes[PRIORITIES]       # of entries that wait
    cdef Link ages
    cdef Link leases
    cdef Wheel wheel
    cdef uint64_t paused_at
    cdef uint64_t held_ms               # by which the clock of waits is behind, for pauses that are over

    cpdef Verdict put(self, Entry entry, uint64_t size, int priority, uint64_t now_ms) except *
    cpdef Joined add_room(self, Room room) except *
    cpdef int remove_room(self, Room room) except -1
    # The next entry and, as entry.room, the room for it; the caller gives it there. None: nothing to be done.
    cpdef Entry match(self, uint64_t now_ms)
    cpdef bint begin(self, Entry entry) except *
    cpdef bint finish(self, Entry entry, bint failed=*) except *
    cpdef Back lose(self, Entry entry, uint64_t now_ms) except *
    cpdef Back release(self, Entry entry, uint64_t now_ms, bint unrun=*) except *
    cpdef uint64_t renew(self, Entry entry, uint64_t now_ms) except *
    cpdef Room forget(self, Entry entry)
    # The next entry whose time is up, entry.due says why; None: there is none. Call it until it says so, or leave the
    # rest for the next turn: answering ten thousand at once would keep everybody else waiting.
    cpdef Entry pop_due(self, uint64_t now_ms)
    # Never later than the next pop_due() is worth a call; 0: nothing runs.
    cpdef uint64_t next_due_ms(self)
    cpdef uint64_t oldest_ms(self, uint64_t now_ms)
    cdef Verdict judge(self, uint64_t size) except *
    cdef int lease(self, Entry entry, Room room, uint64_t now_ms) except -1
    cdef Back back(self, Entry entry, uint64_t now_ms, bint again) except *
    cdef int wait(self, Entry entry, uint64_t now_ms, bint first) except -1
    cdef int unwait(self, Entry entry) except -1
    cdef int unlease(self, Entry entry, Fate fate) except -1
    cdef int end(self, Entry entry, Fate fate) except -1
    cdef uint64_t clock(self, uint64_t now_ms) noexcept
    cdef int arm(self, Entry entry) except -1
    cdef Entry pop_waiting(self, uint64_t now_ms)
    cdef Entry expire(self, Entry entry, Due due)
