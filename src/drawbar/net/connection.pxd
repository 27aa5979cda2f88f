"""A connected stream socket with its output queue and one deadline."""
from libc.stdint cimport uint32_t
from drawbar.net.addresses cimport Sockaddr
from drawbar.net.output cimport Flushed, Output
from drawbar.net.reactor cimport Reactor, Source, Turn
from drawbar.net.timers cimport Timer

cdef class Connection(Source):
    cdef Reactor reactor
    cdef Timer timer
    cdef Output output
    cdef size_t output_high     # memory waiting beyond this goes to a spill file
    cdef Sockaddr peer
    cdef bint closed
    cdef bint blocked           # the socket takes no more at present
    cdef bint uncounted         # not among the reactor's connections: nobody's end waits for it
    cdef int pollers            # threads, or greenlets, in _poll(): the descriptor stays theirs until they are out

    # -- for subclasses to override, with what a Source hears
    cdef Turn on_readable(self) except *
    cdef int on_flushed(self) except -1         # everything queued is with the kernel
    cdef int on_progress(self) except -1        # the socket took what it could, and some still waits
    cdef int on_unsent(self, int error) except -1       # the socket takes nothing any more; unless overridden, closes
    cdef int on_broken(self, int error) except -1       # the peer is gone; the connection is closed already

    # -- for subclasses to call
    cdef int start(self, uint32_t events) except -1
    cdef ssize_t receive(self, char* into, size_t room) noexcept
    cdef bint poll_readable(self, uint32_t timeout_ms) except -1
    cdef bint poll_writable(self, uint32_t timeout_ms) except -1
    cdef bint _poll(self, short events, uint32_t timeout_ms) except -1
    cdef Flushed flush(self) except *
    cdef int want(self, bint reading) except -1
    cdef int _arm(self, bint reading, bint writing) except -1
    cdef void set_timeout(self, uint32_t ms) noexcept
    cdef void clear_timeout(self) noexcept
    cdef void shut_down_writing(self) noexcept
    cdef void close(self) noexcept
    cdef void drop_output(self) noexcept
    cdef tuple peer_name(self)
