# cython: language_level=3
"""What the rules of pulling speak of: a request that waits or runs, and a place for one at some worker.

Law: both are plain data. Their queue moves them from state to state; lanes read them, and add what a payload or a
subclass needs. Whatever a lane does with them, an entry is in one list of its queue at most, and so is a room.
"""
from cpython.object cimport PyObject

import os

PRIORITY_CLASSES = PRIORITIES


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
        if self._id is None:
            self._id = os.urandom(16).hex()
        return self._id

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
