"""HTTP/1 connections of clients: how answers, and the connections themselves, come to an end."""
from libc.stdint cimport int8_t, uint8_t, uint32_t
from drawbar.exchange.exchange cimport Handler
from drawbar.exchange.http1_response cimport Http1Exchange, Http1Link
from drawbar.exchange.policy cimport Policy
from drawbar.net.listener cimport Connector
from drawbar.wire.head cimport Head
from drawbar.wire.writer cimport Buffer

cdef enum:
    DISCARD_BYTES = 262_144         # of a body its app did not want, read to keep the connection; past it: closed
    LINGER_BYTES = 4_194_304        # read after the last response so that no reset overtakes it; past it: closed
    DRAIN_IDLE_MS = 500             # an idle connection's last chance for a request when the server stops
    DRAIN_LINGER_MS = 500           # then: a request that was on its way when our FIN went out meets no reset

cdef enum State:
    H1_HEAD                     # between requests, or inside a head
    H1_BODY                     # buffering a body before its app is called
    H1_RUN                      # an exchange is in its handler's hands
    H1_DISCARD                  # answered; what the app left of the body is read away
    H1_CLOSING                  # closes once the output is with the kernel
    H1_LINGER                   # our side is shut; reading until the client's is too
    H1_RAW                      # another protocol took over

cdef class Http1Site(Connector):
    cdef Policy policy
    cdef Handler handler
    cdef str scheme
    cdef tuple server
    cdef Head head              # of the request being parsed; borrowed by its exchange while that is handled

cdef class Http1Ending(Http1Link):
    cdef Http1Site site
    cdef Http1Exchange exchange
    cdef Buffer input           # bytes of requests to come, from `input_start` on
    cdef size_t input_start
    cdef Head* partial          # a head that has not come whole yet
    cdef uint32_t requests
    cdef uint32_t discarded
    cdef uint8_t state
    cdef int8_t trusted         # is the peer a trusted proxy: -1 not looked up
    cdef bint half_closed       # the client's side is shut
    cdef bint pulling           # an app thread reads the body itself
    cdef bint lingers           # the client may still be sending: wait for its end before close

    cdef int _keep(self, const char* data, size_t size) except -1
    cdef int _break_off(self, Http1Exchange exchange) except -1
    cdef void _reset(self) noexcept
    cdef int _body_failed(self, int status, const char* why, bytes offending) except -1
    cdef int _read_linger(self) except -1
    cdef int _lost_client(self) except -1
    cdef int _settle(self) except -1
    cdef int _idle(self) except -1
    cdef int _answers_taken(self) except -1
    cdef int _close_politely(self) except -1
    cdef int _refuse(self, int status, const char* why, bytes offending) except -1
