"""What the rules of pulling speak of: a request that waits or runs, and a place for one at some worker."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from drawbar.net.timers cimport Timer
from drawbar.pull.chain cimport Link

cpdef enum State:               # life of an entry, in order; from LEASED it may come back to QUEUED
    NEW
    QUEUED
    LEASED
    DONE

cpdef enum Fate:                # how an entry's life, or one lease of it, ended
    UNDECIDED                   # not yet; of a lease: the request is back in its queue
    ANSWERED
    ABANDONED                   # its client left
    EXPIRED                     # waited too long, or past its deadline
    FAILED                      # its lease was lost, and it may not run again

cpdef enum Due:                 # what the clock demands for an entry
    NOTHING_DUE
    LEASE_LOST                  # still leased: the caller tells the worker and calls lose()
    QUEUED_TOO_LONG             # done: 503
    PAST_DEADLINE               # done: 504; `room` says which worker has it, if one has

cpdef enum RoomState:
    AWAY                        # not offered, or not any more
    IDLE                        # waits for a request
    TAKEN                       # got one, and is not offered again yet

cdef enum:
    PRIORITIES = 4              # classes of a queue, 0 is served first
    ID_BYTES = 16
    ID_DIGITS = 32

cdef class Entry
cdef class Label

cdef class Room:
    """A place at a worker for one request at a time. Lanes subclass it to say how a request gets there."""
    cdef readonly str label
    cdef readonly str worker            # its name in reports: an address or an id
    cdef readonly bint timed            # its leases end by the clock; otherwise with its connection
    cdef readonly RoomState state
    cdef readonly Entry entry           # the one it has on lease
    # -- the labels'
    cdef Label group
    cdef Link link                      # among the idle rooms of its label; they hold a reference while it is in
    cdef uint64_t freed                 # a number that grows with each room that falls idle
    # Sends the request to the worker; called by whoever matched the two. Native lanes override it.
    cdef int give(self, Entry entry) except -1

cdef class Label:
    """The rooms of one version of an app, and how their answers turned out."""
    cdef readonly str name
    cdef readonly double weight         # its share, in proportion to the others'; only with weights set
    cdef readonly double credit         # requests it is behind its share; negative: ahead
    cdef readonly bint retired
    cdef readonly bint held             # its rooms are kept, and get nothing
    cdef readonly uint64_t idle         # rooms
    cdef readonly uint64_t leased       # entries
    cdef readonly uint64_t given        # leases, ever; so are the others
    cdef readonly uint64_t answered
    cdef readonly uint64_t failed       # those of `answered` whose answer was a failure
    cdef readonly uint64_t lost         # by a worker that left, or was too late
    cdef readonly uint64_t recent       # a bit for each of its last outcomes, the lowest the last: 1 is failed or lost
    cdef public object on_outcome       # callable(), after each outcome; must not raise. None: nobody watches
    cdef Link rooms
    cdef int note_lost(self) except -1

cdef class Entry:
    """A request in its app's queue; nothing of HTTP."""
    cdef public object payload
    cdef public bint safe               # may run again although a worker has seen it
    cdef readonly bint begun            # a byte of its response has reached the client: never again, and no clock runs
    cdef readonly State state
    cdef readonly Fate fate
    cdef readonly Due due               # why pop_due() gave it out last
    cdef readonly uint8_t priority
    cdef readonly uint8_t attempts      # leases that counted; during one, its number
    cdef readonly uint64_t size         # bytes it holds, for the bound in bytes
    cdef readonly uint64_t queued_ms    # it last began to wait
    cdef readonly uint64_t leased_ms
    cdef readonly uint64_t lease_end_ms     # 0: no lease, or one that lasts as long as its connection
    cdef public uint64_t accepted_ms    # 0: when it is put
    cdef public uint64_t deadline_ms    # set before it is put, or the queue's; 0: none
    cdef readonly Room room             # that has it, or had it last when it is done
    cdef readonly object queue          # the AppQueue that took it; None: none has
    cdef readonly object leases         # drawbar.pull.leases.Leases that knows its lease by id, or None
    # -- the queue's
    cdef bint _drawn                    # `_random` is its id
    cdef uint8_t _random[ID_BYTES]
    cdef uint32_t _serial               # of its leases, also those that did not count
    cdef uint64_t since                 # as queued_ms, by the queue's own clock, which stands still in a pause
    cdef Link place                     # in its class, or among the leased
    cdef Link age                       # among all that wait, longest first
    cdef Timer timer                    # its lease's end or its deadline, in the queue's wheel
    # Unguessable (128 bit), the same at each attempt; drawn when first asked for.
    cdef str identify(self)
    cdef int _draw(self) except -1
    cdef int put_id(self, char* into) except -1     # its ID_DIGITS hexadecimal digits
