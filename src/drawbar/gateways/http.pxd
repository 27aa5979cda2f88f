"""An exchange served by a server of HTTP/1.1 to which there is a connection."""
from libc.stdint cimport uint8_t, uint32_t
from drawbar.exchange.body cimport BodyStore
from drawbar.exchange.exchange cimport Exchange
from drawbar.gateways.http_job cimport HttpJob, ServerLink
from drawbar.net.reactor cimport Turn
from drawbar.wire.body cimport Body, BodyLimits
from drawbar.wire.frames cimport Frames
from drawbar.wire.head cimport Head, HeadLimits
from drawbar.wire.writer cimport Buffer

cdef enum:
    SEND_AHEAD_BYTES = 262_144  # of a streamed request, or a tunnel, a server has not taken; then its client must wait
    SEND_LOW_BYTES = 65_536     # and goes on from here
    INTERIM_LIMIT = 32          # 1xx responses to one request; past it: 502
    ANSWER_MS = 5_000           # for what a server said before it stopped taking the request
    TUNNEL_END_MS = 30_000      # from the client's end of a tunnel to the server's, or the other way round

cdef enum ServerState:
    SERVER_IDLE                 # room for a request
    SERVER_HEAD                 # has a request; its response has not begun, or was only an interim one
    SERVER_BODY                 # inside the final response
    SERVER_TUNNEL               # another protocol took over

cdef class ServerRules:
    """What all connections to servers of one kind have in common."""
    cdef HeadLimits head_limits
    cdef BodyLimits body_limits
    cdef readonly uint32_t silence_ms       # between two pieces of a response that has begun; 0: never
    cdef readonly uint32_t send_timeout_ms  # a server that takes nothing of a request
    cdef Head head              # of the response being parsed

cdef class ServerConnection(ServerLink):
    """A connection on which we are the client. One request at a time."""
    cdef ServerRules rules
    cdef HttpJob job
    cdef Body decoder
    cdef Buffer input           # a head that has not come whole yet
    cdef Head* partial
    cdef Buffer trailers        # of the response
    cdef uint8_t state
    cdef size_t whole           # bytes of the request when sending began
    cdef uint8_t interim        # 1xx responses to this request so far
    cdef bint persists          # after this response
    cdef bint leaving           # not for another request
    cdef bint sending           # some of the request's body is still to come
    cdef bint chunks            # and goes out in chunks
    cdef bint deaf              # takes no more of the request: what it said before is read
    cdef bint takes_back        # its server may say that it has not begun a request
    cdef bint parts             # a tunnel whose client has ended
    cdef bint speaks_frames     # a tunnel that is a WebSocket
    cdef bint parting           # and whose client is to go
    cdef bint parted            # it has: the server was told so
    cdef Frames frames          # that its client sends
    cdef bint throttled         # a tunnel whose client must wait until the server has taken more

    # -- for subclasses
    cdef int on_idle(self) except -1            # has room for a request
    cdef int on_ended(self) except -1           # closed; whatever it had was given back before
    # -- to call
    cdef int send(self, HttpJob job) except -1
    cdef bint is_stale(self) noexcept           # an idle one that has closed, and nobody has looked yet
    cdef int leave(self) except -1              # closes when what it has is answered
    # -- private
    cdef int _take(self, char* data, size_t size) except -1
    cdef int _keep(self, const char* data, size_t size) except -1
    cdef size_t _read_head(self, const char* data, size_t size) except? 0
    cdef int _pass_head(self, Head* head, const char* base) except -1
    cdef int _pass_interim(self, Head* head, const char* base) except -1
    cdef int _pass_body(self, char* data, size_t size) except -1
    cdef int _pass_trailers(self, Exchange exchange) except -1
    cdef int _switch(self, Head* head, const char* base) except -1
    cdef size_t _whole_frames(self, bytes data) noexcept
    cdef int _say_goodbye(self) except -1
    cdef int _tunnel(self, const char* data, size_t size) except -1
    cdef int _end_of_stream(self) except -1
    cdef int _put_body(self, BodyStore body) except -1
    cdef int _put_chunk(self, bytes piece) except -1
    cdef int _done(self) except -1
    cdef int _lose(self, int status, str why) except -1
