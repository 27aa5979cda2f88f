"""The front: exchanges of clients on their way into their apps' queues, and to whoever comes for them."""
from libc.stdint cimport uint32_t
from drawbar.exchange.exchange cimport Handler
from drawbar.gateways.http cimport ServerRules
from drawbar.gateways.http_job cimport HttpJob
from drawbar.net.reactor cimport Reactor, Source
from drawbar.net.timers cimport Timer
from drawbar.pull.entry cimport Room
from drawbar.pull.queue cimport AppQueue, Entry, Verdict
from drawbar.pull.routes cimport RouteTable

cdef enum:
    DUE_AT_ONCE = 256           # requests ended for the time in one go; then others get their turn

cdef class Front
cdef class Delivery(HttpJob)

cdef class Clock(Source):
    """Calls the front when a request's time is up."""
    cdef Front front
    cdef Reactor reactor
    cdef Timer timer

cdef class Front(Handler):
    cdef Reactor reactor
    cdef readonly dict queues
    cdef readonly ServerRules rules
    cdef RouteTable routes
    cdef Clock clock
    cdef readonly set attached          # connections of workers, for whoever sends them away
    cdef public object presence         # came(), went() of each of these (presence.Presence); None: nobody asks
    cdef AppQueue dispatching           # whose rooms are being filled
    cdef bint answer_half_closed
    cdef uint32_t retry_after_s
    cdef object on_lost
    cdef public object on_watched
    cpdef dispatch(self, AppQueue queue)
    cdef int watch_time(self, AppQueue queue) except -1
    cdef int tick(self) except -1
    cdef int refuse(self, Delivery delivery, Verdict verdict) except -1
    cdef int give(self, Entry entry) except -1
    cdef int end_due(self, Delivery delivery, Entry entry) except -1

cdef class Delivery(HttpJob):
    """A client's exchange and its place in the queue."""
    cdef readonly Entry entry           # None when it is over
    cdef AppQueue queue
    cdef Front front
    cdef public object on_gone
    cdef public object on_drained
    cdef bint told                      # by its lane that it is over
    cdef int given(self) except -1      # a worker has it now
    cdef int open(self) except -1
    cdef int settle(self) except -1
    cdef int tell(self, Room room, str why, bint again) except -1
