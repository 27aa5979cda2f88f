"""The seam between front and app: one request and its response in flight."""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from drawbar.exchange.body cimport BodyStore
from drawbar.exchange.policy cimport Policy
from drawbar.net.addresses cimport Sockaddr
from drawbar.net.connection cimport Connection
from drawbar.net.reactor cimport Reactor, Turn
from drawbar.net.scoreboard cimport Entry
from drawbar.wire.head cimport Head

cdef enum Response:             # life of a response, in order
    RESPONSE_NONE               # nothing said yet
    RESPONSE_STAGED             # head written by the app, nothing sent: it may still be replaced
    RESPONSE_SENT               # the head is out, the body follows
    RESPONSE_DONE               # complete
    RESPONSE_ABORTED            # broken off: the connection ends with it

cdef enum Call:                 # life of an application's call, as its executor counts it
    CALL_WAITING                # for its turn
    CALL_RUNNING
    CALL_WRITTEN_OFF            # it runs, and nobody waits for it any more: its place is another's
    CALL_OVER

# Nanoseconds of the monotonic clock.
cdef uint64_t now_ns() noexcept nogil

cdef class Exchange

cdef class Job:
    """A gateway's side of an exchange: the call of its app, and what it hears meanwhile from the thread that leads."""
    cdef readonly Exchange exchange
    cdef uint32_t route                         # equal for requests that are likely to take equally long
    cdef bint lasting                           # a conversation of hours: not counted among the calls at once
    cdef uint8_t call                           # these five are its executor's, to write it off by
    cdef uint8_t lane
    cdef int ticket
    cdef uint64_t epoch
    cdef readonly object task                   # of asyncio, while it is under way
    cdef int run(self) except -1                # calls the app; for executors, on a thread of theirs
    cdef object coroutine(self)                 # the same as a coroutine, for executors with a loop
    # Of a call that had to wait, when its turn comes: does anybody wait for what it would answer?
    cdef bint wanted(self) noexcept
    cdef int dismiss(self) except -1            # instead of the call: lets go of the exchange
    cdef int failed(self, object error) except -1   # the call broke: logs it, and answers what is still to be answered
    cdef int body_arrived(self) except -1       # more of the body, its end, or `body.error`
    cdef int disconnected(self) except -1       # the client is gone
    cdef int drained(self) except -1            # waiting output fell below the low water mark
    cdef int data_received(self, bytes data) except -1      # after take_over(); b"" at the end of the stream
    cdef int draining(self) except -1           # after take_over(): the server is stopping
    cdef int timed_out(self) except -1          # the client has been answered in its place

cdef class Executor:
    """Decides on which thread, and when, a job runs."""
    cdef Turn submit(self, Job job) except *
    # Nobody waits for that call any more: it counts no longer, and what waits for its place gets it.
    cdef int write_off(self, Job job) except -1

cdef class Handler:
    """Whoever takes an exchange next: an edge handler or an executor with its gateway."""
    cdef bint streams           # gets exchanges when their head is in; otherwise when their body is
    cdef bint buffers           # gets none before its body is in, also when the client waits for 100 Continue
    cdef bint streams_body(self, Exchange exchange) except *    # of a request with a body: whether `streams` holds
    cdef Turn handle(self, Exchange exchange) except *

cdef class Exchange:
    cdef readonly Policy policy
    cdef readonly object log_files      # those of the policy when this exchange began: all its lines go there
    cdef Head* head             # of the request; valid while handle() runs, and after own_head()
    cdef const char* base       # the head's first byte
    cdef void* owned            # the copy own_head() made
    cdef readonly BodyStore body        # None: the request has none
    cdef Reactor reactor
    cdef Entry* entry           # where this request is listed while it is in flight; NULL: nowhere
    cdef Job job
    cdef uint8_t response
    cdef uint8_t method_id      # of the request, as in its head; these three outlive it
    cdef uint8_t minor
    cdef uint8_t flags
    cdef bint gone              # the client is: nothing sent reaches anybody
    cdef bint overdue           # it timed out: the client has been answered, or will be, by others than the app
    cdef bint expects           # the client waits for 100 Continue
    cdef bint keep_open         # the connection outlives this exchange as far as is known
    cdef bint no_body           # HEAD, 1xx, 204, 304: the response has a head only
    cdef bint chunked
    cdef uint16_t status
    cdef int64_t declared       # Content-Length of the response, -1 while unknown
    cdef int64_t written        # body bytes of the response so far
    cdef bint in_flight         # handed over, and either not answered or its app still runs
    cdef bint calling           # its app runs
    cdef bint direct            # the frame that took the request off its connection waits for it
    cdef uint64_t accepted_ns   # timeline, monotonic: its head was here; 0: not stamped
    cdef uint64_t ready_ns      # all was here that its app is called with
    cdef uint64_t called_ns     # its app was, for the last time; 0: it is not called
    cdef uint64_t done_ns       # the last byte of its answer was handed on

    # -- figures: what becomes of a request, told by those who know. Without `reactor` nobody counts.
    cdef void handed(self, int fd, const Sockaddr* peer, bint held) noexcept    # its handler gets it now
    cdef void called(self) noexcept         # by a gateway, on the thread that is about to call the app
    cdef void waits_again(self) noexcept    # its app gave it back: it waits for its next call
    cdef void called_again(self) noexcept   # and that is now
    cdef void returned(self) noexcept       # by a gateway: the app runs no more, and the job is over
    cdef void answered(self) noexcept       # the response is done; `done_ns` is now
    cdef void _release(self) noexcept

    # -- request
    cdef int own_head(self) except -1
    cdef tuple peer(self)               # (host, port) or None
    cdef str peer_host(self)            # None for a Unix socket
    cdef int peer_port(self) noexcept
    cdef tuple server(self)             # (host, port), (path, None) for a Unix socket
    cdef str scheme(self)
    cdef bint believes(self, int known)     # that field comes from a trusted proxy that always sets it itself
    cdef object client(self)            # drawbar.exchange.forwarded.Client

    # -- body, for an app thread that may block: reads on until `wanted` bytes are pending or the body is complete
    cdef int pull(self, size_t wanted) except -1
    # -- body, for a loop: the app wants more (sends 100 Continue, reads on); calls job.body_arrived() later
    cdef int resume_body(self) except -1

    # -- response
    cdef int begin(self, int status, const char* reason, size_t reason_size) except -1
    cdef int field(self, const char* name, size_t name_size, const char* value, size_t value_size) except -1
    cdef int write(self, object owner, const char* data, size_t size, bint last) except -1
    cdef int write_file(self, object owner, int fd, int64_t offset, int64_t size, bint last) except -1
    cdef int flush_head(self) except -1
    cdef int finish(self) except -1
    cdef int trailer(self, const char* name, size_t name_size, const char* value, size_t value_size) except -1
    cdef int informational(self, int status, list fields) except -1
    cdef int replace(self) except -1            # forgets a staged head
    cdef int respond(self, int status, bytes body, bytes content_type) except -1
    cdef void abort(self) noexcept
    # The sentinel won the race for the answer and has sent that much of it: sends the rest, and closes.
    cdef int timed_out(self, const char* answer, size_t size, size_t sent, size_t body) except -1
    cdef bint called_off(self) noexcept         # it did, whether timed_out() was called already or will be
    cdef size_t waiting(self) noexcept          # bytes of output not with the kernel yet
    cdef int wait_output(self) except -1        # for an app thread: blocks while too much waits
    cdef int want_drained(self) except -1       # for a loop: calls job.drained() when little waits

    # -- the connection itself, for protocols that replace HTTP on it
    cdef int take_over(self) except -1
    cdef int read_raw(self, bint reading) except -1     # off: what comes stays in the kernel's buffer
    cdef int raw_write(self, bytes data) except -1
    cdef int raw_close(self) except -1
    # Sends `head`, which ends HTTP, and makes `into` the owner of the descriptor and of what waits to be sent, for the
    # caller to start. The exchange is over. Returns what the client sent after its request.
    cdef bytes detach(self, Connection into, bytes head)
