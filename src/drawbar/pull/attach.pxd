"""The attach lane: workers that dialled in, and serve what they are sent."""
from libc.stdint cimport uint32_t
from drawbar.gateways.http cimport ServerConnection
from drawbar.pull.entry cimport Entry, Room
from drawbar.pull.front cimport Front
from drawbar.pull.queue cimport AppQueue

cdef class AttachedConnection

cdef class AttachedRoom(Room):
    cdef AttachedConnection connection      # None when it has closed

cdef class AttachedConnection(ServerConnection):
    cdef Front front
    cdef readonly AppQueue queue        # it is room for
    cdef AttachedRoom room
    cdef int pid                # of the worker's process, on a Unix socket; otherwise 0
    cdef bint present           # the front's presence was told
    cdef uint32_t idle_since            # reactor.batches when it fell idle
    cdef bint was_looked_at(self) noexcept
