"""The response side of HTTP/1: an exchange that is the only one on its connection."""
from libc.stdint cimport int64_t, uint8_t, uint32_t
from drawbar.exchange.exchange cimport Exchange, Job
from drawbar.net.output cimport Item
from drawbar.net.connection cimport Connection
from drawbar.wire.body cimport Body

cdef enum:
    COALESCE_BYTES = 16_384     # answers to pipelined requests wait for each other up to this many bytes

cdef class Http1Link(Connection):
    """What an exchange asks of its connection."""
    cdef bint processing        # a stack frame is taking requests off this connection
    cdef bint more_input        # bytes of a further request are buffered
    cdef bint notify_drained
    cdef bint held              # another protocol took over and wants no bytes for now
    cdef int response_done(self) except -1      # complete, or aborted
    cdef int pull(self, Http1Exchange exchange, size_t wanted) except -1
    cdef int resume_body(self, Http1Exchange exchange) except -1
    cdef int start_raw(self, Http1Exchange exchange) except -1
    cdef bytes detach(self, Http1Exchange exchange, Connection into)
    cdef object client_of(self, Http1Exchange exchange)
    cdef bint is_trusted(self)
    cdef tuple server_name(self)
    cdef str scheme_name(self)

cdef class Http1Exchange(Exchange):
    cdef Http1Link link
    cdef Body decoder
    cdef Item* staged           # the head, until it is sent
    cdef bint has_date
    cdef bint has_server
    cdef bint says_close        # the app sent Connection: close
    cdef bint upgrade_allowed   # 101 and 426 name a protocol in Upgrade
    cdef bint raw
    cdef bint streams           # its body comes while it is served
    cdef bytes trailers
    cdef int _check_open(self) except -1
    cdef int _commit(self, int64_t size, bint last) except -1
    cdef int _push(self, bint last) except -1
    cdef int _bound_memory(self) except -1
    cdef int _end(self) except -1
    cdef int _declare(self, const char* value, size_t size) except -1
    cdef int _write_none(self, size_t size, bint last) except -1
    cdef int _short(self, int64_t got) except -1
    cdef int _hop_by_hop(
        self, int known, const char* name, size_t name_size, const char* value, size_t value_size) except -1
    cdef int send_continue(self) except -1
    cdef bint _may_answer(self) except *
    cdef int _called_off(self) except -1
    cdef void unhold(self) noexcept
