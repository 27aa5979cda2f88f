# cython: language_level=3
"""HTTP/1 connections of clients: how answers, and the connections themselves, come to an end.

Law: a connection whose client may still be sending is shut down and read to its end before it is closed, because
closing with unread bytes makes the kernel send a reset, which may overtake the response (RFC 9112 section 9.6). What
is read that way is bounded in bytes and time. A response that broke off ends so that no client takes it for complete.
A response never waits for its client: what the socket does not take is queued, and the connection goes on when the
queue is empty.
"""
from libc.stddef cimport size_t
from libc.stdint cimport uint32_t
from libc.stdlib cimport free
from libc.string cimport memset
from drawbar.exchange.behind cimport client_behind
from drawbar.exchange.body cimport BodyStore
from drawbar.exchange.exchange cimport Handler, RESPONSE_ABORTED, RESPONSE_DONE
from drawbar.exchange.http1_response cimport Http1Exchange, Http1Link
from drawbar.exchange.policy cimport Policy
from drawbar.exchange.sentinel cimport Sentinel
from drawbar.net.connection cimport Connection
from drawbar.net.listener cimport Connector
from drawbar.net.output cimport output_bytes
from drawbar.net.reactor cimport EPOLLIN, Reactor, SCRATCH_BYTES
from drawbar.net.scoreboard cimport COUNTING
from drawbar.net.timers cimport wheel_remove
from drawbar.wire.body cimport BODY_LENGTH
from drawbar.wire.head cimport FLAG_KEEP_ALIVE
from drawbar.wire.tables cimport reason_phrase
from drawbar.wire.writer cimport Buffer, buffer_free, buffer_put

from drawbar.exchange.errors import BodyError
from drawbar.exchange.forwarded import Client


cdef extern from "<sys/socket.h>" nogil:
    struct linger:
        int l_onoff
        int l_linger
    enum:
        SOL_SOCKET
        SO_LINGER
    int setsockopt(int fd, int level, int option, const void* value, unsigned int size)


cdef class Http1Site(Connector):
    """What the connections of one listener are allowed and who answers them.

    scheme: "http" or "https". server: (host, port), or (path, None) for a Unix socket.
    """

    def __init__(self, Policy policy, Handler handler, str scheme="http", tuple server=("", 0)):
        self.policy = policy
        self.handler = handler
        self.scheme = scheme
        self.server = server

cdef class Http1Ending(Http1Link):
    """A client's connection without its request side, which Http1Connection adds."""

    def __dealloc__(self):
        buffer_free(&self.input)
        if self.partial is not NULL:
            free(self.partial)

    cdef int _settle(self) except -1:
        raise NotImplementedError

    cdef void close(self) noexcept:
        if not self.closed and self.exchange is not None and self.exchange.entry is not NULL and (
                self.reactor.sentinel is not None):
            (<Sentinel>self.reactor.sentinel).detach(self.exchange.entry)
        Http1Link.close(self)

    cdef void on_forked(self) noexcept:
        if self.exchange is not None:
            # Listed where the parent lists it, and the parent's to answer.
            self.exchange.entry = NULL
        Http1Link.on_forked(self)

    cdef int _body_failed(self, int status, const char* why, bytes offending) except -1:
        raise NotImplementedError

    cdef int _keep(self, const char* data, size_t size) except -1:
        """Makes `input` hold exactly these unread bytes, which may lie in it or in the shared buffer."""
        cdef Buffer* buffer = &self.input
        self.more_input = size > 0
        if size == 0:
            if buffer.data is not NULL:
                buffer_free(buffer)
            self.input_start = 0
            return 0
        if buffer.data is not NULL and buffer.data <= data <= buffer.data + buffer.size:
            self.input_start = data - buffer.data
            return 0
        buffer.size = 0
        self.input_start = 0
        return buffer_put(buffer, data, size)

    cdef int _lost_client(self) except -1:
        """The client's stream ended, or the connection broke, with an exchange in flight."""
        cdef Http1Exchange exchange = self.exchange
        if exchange is None or exchange.response >= RESPONSE_DONE:
            return 0
        if self.closed:
            exchange.gone = True
        if exchange.body is not None and not exchange.body.complete and exchange.body.error is None:
            exchange.body.error = BodyError(400, "the client closed before the end of the body")
        if exchange.job is None:
            return 0
        if self.state == H1_RAW:
            return exchange.job.data_received(b"")
        return exchange.job.disconnected()

    cdef int response_done(self) except -1:
        """The exchange's answer is complete or broken off: what becomes of the connection."""
        cdef Http1Exchange exchange = self.exchange
        cdef BodyStore body = exchange.body
        exchange.head = exchange.head if exchange.owned is not NULL else NULL
        self.reactor.stamp()
        exchange.done_ns = self.reactor.now_ns
        exchange.answered()
        if self.site.policy.on_complete is not None:
            exchange.gone = exchange.gone or exchange.response == RESPONSE_ABORTED
            try:
                self.site.policy.on_complete(exchange)
            except Exception as error:
                self.reactor.report(error)
        if self.closed:
            self.exchange = None
            return 0
        if exchange.response == RESPONSE_ABORTED:
            self._break_off(exchange)
            return 0
        if not exchange.keep_open:
            # Only a client that asked for the end itself will send no more.
            if exchange.raw or exchange.flags & FLAG_KEEP_ALIVE or body is not None and not body.complete:
                self.lingers = True
            self.exchange = None
            return self._close_politely()
        if body is not None and not body.complete:
            if exchange.decoder.kind == BODY_LENGTH and exchange.decoder.left > DISCARD_BYTES:
                self.exchange = None
                self.lingers = True
                return self._close_politely()
            self.discarded = 0
            self.state = H1_DISCARD
            self.set_timeout(self.site.policy.body_timeout_ms)
        else:
            self.exchange = None
            self.state = H1_HEAD
        if not self.processing:
            return self._settle()
        if self.output.head is NULL or self.blocked:
            self._idle()
        if not self.interest & <uint32_t>EPOLLIN and not self.half_closed:
            self.want(True)
        return 0

    cdef int _break_off(self, Http1Exchange exchange) except -1:
        """Ends a response so that its client sees it is not whole."""
        self.exchange = None
        if not exchange.chunked and (exchange.declared < 0 or exchange.written >= exchange.declared):
            # Only a reset tells a body that ends by closing, or had all it declared, from one that is whole.
            self._reset()
            return 0
        self.lingers = True
        return self._close_politely()

    cdef void _reset(self) noexcept:
        """Closes by a reset, and has the kernel drop what it holds for the client."""
        cdef linger reset
        reset.l_onoff = 1
        reset.l_linger = 0
        if not self.closed:
            setsockopt(self.fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset))
        self.close()

    cdef int _idle(self) except -1:
        """Everything is answered: waits for the client to take the answers, then for its next request."""
        if self.output.head is not NULL:
            self.set_timeout(self.site.policy.send_timeout_ms)
        elif self.reactor.draining:
            self.set_timeout(DRAIN_IDLE_MS)
        else:
            self.set_timeout(self.site.policy.keepalive_timeout_ms)
        return 0

    cdef int on_flushed(self) except -1:
        if self.state == H1_HEAD:
            return self._answers_taken()
        elif self.state == H1_CLOSING:
            return self._close_politely()
        elif self.state == H1_RUN or self.state == H1_RAW:
            if self.exchange is not None:
                self.exchange.unhold()
            if self.exchange is not None and (self.exchange.body is None or self.exchange.body.complete):
                self.clear_timeout()
            self.on_progress()
        return 0

    cdef int _answers_taken(self) except -1:
        """The client has all answers so far: goes on with what it asked or will ask next."""
        if self.partial is NULL:
            self._idle()
        if self.processing:
            return 0
        if self.more_input and self.partial is NULL:
            self.reactor.defer(self)
        elif self.half_closed:
            return self._close_politely()
        if not self.half_closed and not self.interest & <uint32_t>EPOLLIN:
            self.want(True)
        return 0

    cdef int on_progress(self) except -1:
        if self.output.waiting > 0:
            self.set_timeout(self.site.policy.send_timeout_ms)
        if self.notify_drained and self.output.waiting <= self.site.policy.output_low_bytes:
            self.notify_drained = False
            if self.exchange is not None and self.exchange.job is not None:
                self.exchange.job.drained()
        return 0

    cdef int on_broken(self, int error) except -1:
        return self._lost_client()

    cdef int on_timeout(self) except -1:
        if self.state == H1_HEAD and self.partial is not NULL:
            return self._refuse(408, b"the head of the request did not come in time", b"")
        if self.state == H1_BODY:
            return self._refuse(408, b"the body of the request did not come in time", b"")
        if self.state == H1_HEAD and self.output.head is NULL:
            return self._close_politely()
        if self.state == H1_RUN and self.output.head is NULL:
            if self.exchange.body is not None and not self.exchange.body.complete and (
                    self.interest & <uint32_t>EPOLLIN):
                return self._body_failed(408, b"the body of the request did not come in time", b"")
            return 0
        if self.state == H1_RAW and self.output.head is NULL:
            return 0
        if self.output.head is not NULL:
            # A client that reads nothing. Closed without a reset, the kernel would keep megabytes for it for minutes.
            self._reset()
        else:
            # One that does not close.
            self.close()
        return self._lost_client()

    cdef int on_drain(self) except -1:
        # A response whose head is not out yet will say `Connection: close`; after one that said otherwise the client
        # may send one more request.
        if self.state == H1_HEAD and self.partial is NULL:
            self._idle()
        elif self.state == H1_RAW and self.exchange is not None and self.exchange.job is not None:
            self.exchange.job.draining()
        return 0

    cdef int on_relieved(self) except -1:
        # First of all: the next leader reads where the head lies.
        if self.exchange is not None:
            self.exchange.own_head()
            self.exchange.direct = False
        # The frame that took the request is stuck in its call, perhaps in what the app does after its answer: the
        # connection goes on without it.
        self.processing = False
        if self.state != H1_RUN:
            return self._settle()
        # Answers to earlier pipelined requests wait here for the one that takes long.
        self.flush()
        return 0

    cdef int _close_politely(self) except -1:
        """Sends what is queued, then our FIN, and closes when the client has nothing more to say."""
        if self.closed:
            return 0
        self.state = H1_CLOSING
        if self.output.head is not NULL:
            self.set_timeout(self.site.policy.send_timeout_ms)
            self.flush()
            return 0
        self.lingers = self.lingers or self.reactor.draining or self.more_input
        self._keep(NULL, 0)
        if self.half_closed or self.site.policy.linger_timeout_ms == 0 or not self.lingers:
            self.close()
            return 0
        self.shut_down_writing()
        self.state = H1_LINGER
        self.discarded = 0
        self.set_timeout(min(self.site.policy.linger_timeout_ms, <uint32_t>DRAIN_LINGER_MS) if self.reactor.draining
                         else self.site.policy.linger_timeout_ms)
        return self.want(True)

    cdef int _read_linger(self) except -1:
        """What comes after the end is read away, within bounds, until the client's FIN."""
        cdef ssize_t n
        if self.state == H1_CLOSING:
            if self.lingers:
                # Keeps the window open for a client that sends all before it reads.
                n = self.receive(self.reactor.scratch, SCRATCH_BYTES)
                if n > 0:
                    self.discarded += <uint32_t>n
                    if self.discarded <= LINGER_BYTES:
                        return 0
            return self.want(False)
        n = self.receive(self.reactor.scratch, SCRATCH_BYTES)
        if n == -1:
            return 0
        if n > 0:
            self.discarded += <uint32_t>n
            if self.discarded <= LINGER_BYTES:
                return 0
        self.close()
        return 0

    cdef int _refuse(self, int status, const char* why, bytes offending) except -1:
        """Answers a request no app will see, and closes: where its end lies is in doubt."""
        cdef bytes body, head
        if COUNTING:
            self.reactor.page.tally.requests[status // 100] += 1
            self.reactor.page.tally.refused += 1
        if self.site.policy.on_refused is not None:
            # One line and no other of that request: any file will do.
            self.site.policy.on_refused(self.peer_name(), status, why.decode(), offending, None)
        body = b"%d %s\n\n%s\n" % (status, reason_phrase(status), why)
        self.site.policy.refresh_date()
        head = (b"HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n%s"
                b"Connection: close\r\n\r\n"
                % (status, reason_phrase(status), len(body), self.site.policy.date[:self.site.policy.date_size]))
        self.exchange = None
        if self.partial is not NULL:
            free(self.partial)
            self.partial = NULL
        self.lingers = True
        output_bytes(&self.output, &self.reactor.pool, None, head + body, len(head) + len(body))
        return self._close_politely()

    cdef bytes detach(self, Http1Exchange exchange, Connection into):
        cdef Reactor reactor = self.reactor
        cdef bytes rest = self.input.data[self.input_start:self.input.size] if self.more_input else b""
        if exchange.entry is not NULL and reactor.sentinel is not None:
            (<Sentinel>reactor.sentinel).detach(exchange.entry)
        into.reactor = reactor
        into.peer = self.peer
        into.blocked = self.blocked
        into.output = self.output
        memset(&self.output, 0, sizeof(self.output))
        # Before its new owner has the descriptor: the set knows one source for each.
        reactor.remove(self)
        wheel_remove(&self.timer)
        into.fd = self.fd
        self.closed = True
        if into.uncounted:
            reactor.connection_closed()
        self.response_done()
        return rest

    # -- who is it

    cdef bint is_trusted(self):
        cdef bint trusted = False
        if self.trusted < 0:
            if self.site.policy.proxies is not None:
                name = self.peer_name()
                trusted = self.site.policy.proxies.trusts(name[0] if name is not None else None)
            self.trusted = trusted
        return self.trusted

    cdef object client_of(self, Http1Exchange exchange):
        peer = self.peer_name()
        if exchange.head is NULL or not self.is_trusted():
            return Client(peer, self.site.scheme, None, None, None)
        return client_behind(exchange, peer, self.site.scheme, self.site.policy.proxies)

    cdef tuple server_name(self):
        return self.site.server

    cdef str scheme_name(self):
        return self.site.scheme
