"""An exchange that a Python function serves on the leading thread, at once or later."""
from drawbar.exchange.exchange cimport Exchange, Handler, Job
from drawbar.net.reactor cimport Reactor, Source
from drawbar.net.timers cimport Timer

cdef enum:
    PIECE_BYTES = 65_536        # of a body handed to a function at once

cdef class CallHandler(Handler):
    cdef object serve           # callable(Call)
    cdef object fail            # callable(Call, int status, str why): answers what serve() left without an answer

cdef class Call(Job):
    cdef CallHandler handler
    cdef Reactor reactor
    cdef readonly str method
    cdef readonly str path      # of the target as the client wrote it, without its query
    cdef readonly str query     # after the "?", or empty
    cdef object on_body
    cdef object on_broken
    cdef public object on_gone      # callable(): the client has closed its side, or broke off; called once
    cdef public object on_drained   # callable(): little of what was written waits for the client any more; once
    cdef bint paused
    cdef bint feeding           # a frame hands out pieces of the body
    cdef readonly bint is_over  # answered, broken off or handed over: nothing more comes of it
    cdef int _open(self) except -1
    cdef int _feed(self) except -1
    cdef int _take_pieces(self) except -1
    cdef int _break_body(self, object error) except -1
    cdef int _guarded(self, object function, tuple arguments) except -1
    cdef int _failed(self, object error) except -1
    cdef int _fail(self, int status, str why) except -1
    cdef int _end(self) except -1
    cdef void _let_go(self) noexcept

cdef class Alarm(Source):
    cdef Timer timer
    cdef Reactor reactor
    cdef object function
