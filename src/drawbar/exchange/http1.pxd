"""HTTP/1 connections of clients: the request side."""
from libc.stdint cimport int8_t, uint8_t, uint32_t
from drawbar.exchange.exchange cimport Handler
from drawbar.exchange.http1_response cimport Http1Exchange, Http1Link
from drawbar.exchange.policy cimport Policy
from drawbar.net.reactor cimport Connection, Connector, Reactor, Turn
from drawbar.wire.head cimport Head
from drawbar.wire.writer cimport Buffer

cdef enum:
    READ_AHEAD_BYTES = 65_536       # of pipelined requests while one is answered; then the kernel's buffer fills
    BODY_AHEAD_BYTES = 131_072      # of a streamed body the app has not taken; then the kernel's buffer fills
    DISCARD_BYTES = 262_144         # of a body its app did not want, read to keep the connection; past it: closed
    LINGER_BYTES = 4_194_304        # read after the last response so that no reset overtakes it; past it: closed
    EXCERPT_BYTES = 40              # of a refused request in the log
    DRAIN_IDLE_MS = 1_000           # an idle connection's last chance for a request when the server stops

cdef enum State:
    H1_HEAD                     # between requests, or inside a head
    H1_BODY                     # buffering a body before its app is called
    H1_RUN                      # an exchange is in its handler's hands
    H1_DISCARD                  # answered; what the app left of the body is read away
    H1_CLOSING                  # closes once the output is with the kernel
    H1_LINGER                   # our side is shut; reading until the client's is too
    H1_RAW                      # another protocol took over

cdef class Http1Connector(Connector):
    cdef Policy policy
    cdef Handler handler
    cdef str scheme
    cdef tuple server
    cdef Head head              # of the request being parsed; borrowed by its exchange while that is handled

cdef class Http1Connection(Http1Link):
    cdef Http1Connector site
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
    cdef int _set_aside(self, const char* data, size_t size) except -1
    cdef Turn _process(self, const char* data, size_t size) except *
    cdef size_t _read_head(self, const char* data, size_t size) except? 0
    cdef int _keep_partial(self, const char* data, size_t size) except -1
    cdef int _admit(self, Head* head, const char* data, size_t size) except -1
    cdef ssize_t _feed(self, const char* data, size_t size) except -1
    cdef int _pull_once(self, char* room) except -1
    cdef int _break_off(self, Http1Exchange exchange) except -1
    cdef int _body_failed(self, int status, const char* why) except -1
    cdef Turn _read_running(self) except *
    cdef int _read_linger(self) except -1
    cdef Turn _no_bytes(self, ssize_t n) except *
    cdef int _lost_client(self) except -1
    cdef int _settle(self) except -1
    cdef int _idle(self) except -1
    cdef int _answers_taken(self) except -1
    cdef int _close_politely(self) except -1
    cdef int _refuse(self, int status, const char* why, bytes offending) except -1
