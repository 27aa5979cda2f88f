# cython: language_level=3
"""What the rules of pulling speak of: a request that waits or runs, and a place for one at some worker.

Law: both are plain data. Their queue moves them from state to state; lanes read them, and add what a payload or a
subclass needs. Whatever a lane does with them, an entry is in one list of its queue at most, and so is a room.
"""
from cpython.object cimport PyObject
from libc.stdint cimport uint8_t
from libc.string cimport memcpy

import os

PRIORITY_CLASSES = PRIORITIES

cdef enum:
    RANDOM_BYTES = 4_096        # drawn at once, for 256 ids: one by one the system call costs a percent of a request

cdef uint8_t _random[RANDOM_BYTES]
cdef int _random_left = 0


def _forget_random():
    """In a forked child: what is left is its parent's to use."""
    global _random_left
    _random_left = 0


os.register_at_fork(after_in_child=_forget_random)


cdef class Room:
    """A place at a worker for one request at a time.

    `label` names the version of the app behind it, `worker` says in reports which one it is. `timed`: a lease given
    here ends by the clock, as a worker that asks over and over is seen only while it asks; otherwise it lasts as long
    as its connection, and whoever sees that end tells the queue.
    """

    def __cinit__(self, *args, **kwargs):
        self.link.owner = <PyObject*>self

    def __init__(self, str label="", str worker="", *, bint timed=False):
        self.label = label
        self.worker = worker
        self.timed = timed

    def __repr__(self):
        return f"<Room {self.label!r} {self.worker!r} {(<object>self.state).name}>"

    cdef int give(self, Entry entry) except -1:
        self.deliver(entry)
        return 0

    def deliver(self, Entry entry):
        """Sends the request to the worker. For lanes in Python; native ones override give()."""
        raise NotImplementedError("a lane says how a request gets to its workers")


cdef class Label:
    """The rooms of one version of an app, and how their answers turned out."""

    def __repr__(self):
        return f"<Label {self.name!r} idle={self.idle} leased={self.leased}>"

    cdef int note_lost(self) except -1:
        """A worker was lost with a request."""
        self.lost += 1
        self.recent = self.recent << 1 | 1
        if self.on_outcome is not None:
            self.on_outcome()
        return 0


cdef class Entry:
    """A request in its app's queue.

    `payload` is the lane's; who answers the request takes it out, or it lives as long as the entry. `safe`: it may
    run again although a worker has seen it, as its method is idempotent or its route says so.
    """

    def __cinit__(self, *args, **kwargs):
        self.place.owner = <PyObject*>self
        self.age.owner = <PyObject*>self
        self.timer.owner = <void*>self

    def __init__(self, object payload=None, *, bint safe=False):
        self.payload = payload
        self.safe = safe

    def __repr__(self):
        return f"<Entry {(<object>self.state).name} attempts={self.attempts} priority={self.priority}>"

    cdef str identify(self):
        self._draw()
        return self._random[:ID_BYTES].hex()

    cdef int put_id(self, char* into) except -1:
        cdef const char* hexadecimal = "0123456789abcdef"
        cdef int i
        self._draw()
        for i in range(ID_BYTES):
            into[2 * i] = hexadecimal[self._random[i] >> 4]
            into[2 * i + 1] = hexadecimal[self._random[i] & 15]
        return 0

    cdef int _draw(self) except -1:
        global _random_left
        cdef bytes drawn
        if self._drawn:
            return 0
        if _random_left < ID_BYTES:
            drawn = os.urandom(RANDOM_BYTES)
            memcpy(_random, <const char*>drawn, RANDOM_BYTES)
            _random_left = RANDOM_BYTES
        _random_left -= ID_BYTES
        memcpy(self._random, &_random[_random_left], ID_BYTES)
        self._drawn = True
        return 0

    @property
    def id(self):
        """Of the request: unguessable (128 bit), the same at each attempt."""
        return self.identify()

    @property
    def lease_id(self):
        """Of its present lease: a worker that has lost it cannot answer in the name of the next by mistake."""
        return self.identify() if self._serial <= 1 else f"{self.identify()}-{self._serial}"

    def set_leases(self, object leases):
        """Whom to tell, by closed(), when the present lease ends."""
        self.leases = leases
