"""Which room gets the next request: labels, their shares, and who freed up last."""
from libc.stdint cimport uint64_t
from drawbar.pull.entry cimport Label, Room, RoomState

cpdef enum Joined:
    JOINED
    RETIRED                     # its label is: the worker should leave
    TOO_MANY_LABELS             # all of MAX_LABELS are in use

cdef enum:
    MAX_LABELS = 64             # of an app, so that a worker that makes one up each time does no harm

cdef class Labels:
    cdef list labels            # of Label, in order of their first room
    cdef dict by_name
    cdef readonly dict weights          # label -> share, or None: shares are nobody's concern
    cdef readonly frozenset held        # names of labels that get nothing, also of those that are still to come
    cdef readonly uint64_t idle         # rooms, of all labels
    cdef uint64_t freed
    cdef Label named(self, str name)    # None: unknown
    cdef Label demand(self, str name)
    cdef bint _forget_one(self) except *
    cdef int share(self, dict weights) except -1
    cdef int hold(self, names) except -1
    cdef bint may_get(self, Label label) noexcept
    cdef Joined join(self, Room room) except *
    cdef int leave(self, Room room) except -1
    cdef int _unlink(self, Room room, RoomState state) except -1
    cdef list rooms_of(self, Label label)
    cdef uint64_t eligible(self)        # idle rooms that may get a request
    cdef Room take(self)        # the room for the next request, no longer idle; None: no eligible one is
    cdef Label _freed_last(self)
    cdef Label _owed_most(self)
    cdef list retire(self, str name)
    cdef int restore(self, str name) except -1
