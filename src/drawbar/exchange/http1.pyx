# cython: language_level=3
"""HTTP/1 connections of clients: the request side.

Law: one state says what the next byte means (`State`); one stack frame at a time takes requests off a connection
(`processing`). Bytes are parsed where they were read, in the reactor's shared buffer, and copied only when they must
outlive the read: an incomplete head, a body, or requests behind the one being answered.

While a handler has the exchange, the leader may have changed (Turn). So before a handler is called everything unread
is in `input`, and after it returned only the connection's own fields are looked at. A frame whose thread was relieved
looks at nothing any more: on_relieved() let go of the connection for it, and another frame may have it by then.
"""
from libc.stddef cimport size_t
from libc.stdint cimport uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memmove
from drawbar.exchange.body cimport BodyStore
from drawbar.exchange.exchange cimport RESPONSE_DONE
from drawbar.exchange.http1_end cimport (
    DISCARD_BYTES, H1_BODY, H1_CLOSING, H1_DISCARD, H1_HEAD, H1_RAW, H1_RUN, Http1Ending, Http1Site)
from drawbar.exchange.http1_response cimport Http1Exchange
from drawbar.exchange.policy cimport Policy
from drawbar.exchange.sentinel cimport Sentinel
from drawbar.net.connection cimport Connection
from drawbar.net.reactor cimport Reactor, SCRATCH_BYTES, TURN_KEPT, TURN_LOST, Turn
from drawbar.net.scoreboard cimport LEADER_MOVES
from drawbar.wire.body cimport BODY_DATA, BODY_END, BODY_NEED, BODY_NONE, BodyEvent, body_next, body_of_request
from drawbar.wire.head cimport (
    FLAG_EXPECT_CONTINUE, FLAG_KEEP_ALIVE, Field, HEAD_DONE, HEAD_REFUSED, Head, MAX_FIELDS, Progress, head_reset,
    parse_request_head)
from drawbar.wire.tables cimport METHOD_CONNECT
from drawbar.wire.writer cimport Buffer, buffer_put, buffer_reserve

from drawbar.exchange.errors import BodyError


cdef bytes _excerpt(const char* data, size_t size, size_t start):
    """The offending bytes, for the log."""
    if start >= size:
        return b""
    return data[start:start + min(<size_t>EXCERPT_BYTES, size - start)]


cdef class Http1Connector(Http1Site):
    """Makes the connections of one listener."""

    cdef Connection connect(self, Reactor reactor, int fd):
        cdef Http1Connection connection = Http1Connection.__new__(Http1Connection)
        connection.reactor = reactor
        connection.site = self
        connection.trusted = -1
        return connection


cdef class Http1Connection(Http1Ending):
    """One client's connection."""

    cdef int start(self, uint32_t events) except -1:
        self.set_timeout(self.site.policy.head_timeout_ms)
        return self.reactor.add(self, events)

    # -- reading

    cdef Turn on_readable(self) except *:
        cdef ssize_t n
        cdef Buffer* buffer = &self.input
        if self.state == H1_RUN or self.processing or self.state == H1_RAW:
            return self._read_running()
        if self.blocked and self.state == H1_HEAD:
            # Its answers wait for it: on_flushed() reads on.
            self.want(False)
            return TURN_KEPT
        if self.state >= H1_CLOSING:
            self._read_linger()
            return TURN_KEPT
        if buffer.size == 0:
            n = self.receive(self.reactor.scratch, SCRATCH_BYTES)
            if n <= 0:
                return self._no_bytes(n)
            return self._process(self.reactor.scratch, n)
        if self.input_start > 0:
            memmove(buffer.data, buffer.data + self.input_start, buffer.size - self.input_start)
            buffer.size -= self.input_start
            self.input_start = 0
        buffer_reserve(buffer, 8_192)
        n = self.receive(buffer.data + buffer.size, buffer.capacity - buffer.size)
        if n <= 0:
            return self._no_bytes(n)
        buffer.size += n
        return self._process(buffer.data, buffer.size)

    cdef Turn on_resume(self) except *:
        """The answer was completed by another thread, and there is more input to take."""
        if self.closed or self.processing or self.state not in (H1_HEAD, H1_DISCARD):
            return TURN_KEPT
        return self._process(self.input.data + self.input_start, self.input.size - self.input_start)

    cdef Turn _no_bytes(self, ssize_t n) except *:
        """End of stream (0), nothing there after all (-1), or a broken connection (-2), between or inside requests."""
        if n == -1:
            return TURN_KEPT
        if n == -2 or self.state == H1_HEAD or self.state == H1_DISCARD:
            if n == 0 and self.more_input and self.partial is NULL:
                return self._end_behind_requests()
            # RFC 9112 section 8: an incomplete head is nobody's request.
            if n == 0 and self.output.head is not NULL:
                self.half_closed = True
                self.state = H1_CLOSING
                self.want(False)
                return TURN_KEPT
            self.close()
            self._lost_client()
            return TURN_KEPT
        self.half_closed = True
        self.want(False)
        self._refuse(400, b"the client closed before the end of the body", b"")
        return TURN_KEPT

    cdef Turn _end_behind_requests(self) except *:
        """The client's stream ended, and requests that came before are still to be taken by on_resume()."""
        cdef Turn turn
        self.half_closed = True
        self.want(False)
        turn = self.on_resume()
        if turn == TURN_KEPT and self.state == H1_DISCARD:
            self.close()
        return turn

    cdef int _set_aside(self, const char* data, size_t size) except -1:
        """As _keep(), for the time of a call: the head before these bytes, which may lie in `input` too, stays."""
        if size > 0 or self.input.data is NULL:
            return self._keep(data, size)
        self.more_input = False
        self.input_start = self.input.size
        return 0

    cdef Turn _process(self, const char* data, size_t size) except *:
        """Takes as many requests as there are whole ones. `data` is everything unread."""
        cdef Http1Exchange exchange
        cdef size_t used
        cdef Turn turn = TURN_KEPT
        self.processing = True
        try:
            while True:
                if self.state == H1_HEAD:
                    # A client that does not read its answers gets no more of them.
                    if size == 0 or self.blocked:
                        break
                    used = self._read_head(data, size)
                    data += used
                    size -= used
                    if used == 0 or self.state != H1_RUN and self.state != H1_BODY:
                        break
                if self.state == H1_BODY or self.state == H1_DISCARD or (
                        self.state == H1_RUN and self.exchange.body is not None and not self.exchange.body.complete):
                    used = self._feed(data, size)
                    data += used
                    size -= used
                if self.state == H1_HEAD:
                    continue
                if self.state != H1_RUN:
                    break
                exchange = self.exchange
                self._set_aside(data, size)
                exchange.handed(self.fd, &self.peer, self.output.head is not NULL)
                if self.reactor.sentinel is not None and exchange.entry is not NULL:
                    # Before its call begins, and with it its time.
                    (<Sentinel>self.reactor.sentinel).own(exchange.entry, exchange)
                turn = self.site.handler.handle(exchange)
                if turn == TURN_LOST:
                    return TURN_LOST
                exchange.direct = False
                self.reactor.page.leader = LEADER_MOVES
                if self.exchange is exchange:
                    # Its app runs on: what comes next must not overwrite what it was asked.
                    exchange.own_head()
                data = self.input.data + self.input_start
                size = self.input.size - self.input_start
                if self.state == H1_RUN or self.closed:
                    break
        finally:
            if turn != TURN_LOST:
                self.processing = False
        if self.closed:
            return TURN_KEPT
        if self.state == H1_HEAD or self.state == H1_BODY or self.state == H1_DISCARD:
            self._keep(data, size)
        self.flush()
        if self.half_closed and self.state == H1_HEAD and not self.closed and not self.blocked:
            self._close_politely()
        return TURN_KEPT

    cdef int _settle(self) except -1:
        """After an answer that no frame here waits for: the leader takes the next request."""
        if self.closed:
            return 0
        self.flush()
        if self.closed:
            return 0
        if self.state == H1_HEAD or self.state == H1_DISCARD:
            if self.more_input or self.state == H1_DISCARD:
                self.reactor.defer(self)
            elif self.half_closed:
                return self._close_politely()
            else:
                self._keep(NULL, 0)
                self._idle()
            if not self.half_closed:
                self.want(True)
        return 0

    # -- heads

    cdef size_t _read_head(self, const char* data, size_t size) except? 0:
        """Bytes of the head at `data`, with its exchange made; 0 when it is not whole yet or refused."""
        cdef Head* head = self.partial
        cdef Policy policy = self.site.policy
        cdef Progress progress
        cdef size_t used
        if head is NULL:
            head = &self.site.head
            head_reset(head)
        progress = parse_request_head(head, data, size, &policy.head)
        if progress == HEAD_DONE:
            used = head.size
            self._admit(head, data, size)
            return used if self.state == H1_RUN or self.state == H1_BODY else 0
        if progress == HEAD_REFUSED:
            self._refuse(head.error, head.why, _excerpt(data, size, head.error_at))
            return 0
        self._keep_partial(data, size)
        return 0

    cdef int _keep_partial(self, const char* data, size_t size) except -1:
        cdef size_t table = sizeof(Head) - (MAX_FIELDS - self.site.policy.head.fields) * sizeof(Field)
        if self.partial is NULL:
            self.partial = <Head*>malloc(table)
            if self.partial is NULL:
                raise MemoryError()
            memcpy(self.partial, &self.site.head, table)
            # The whole head must come in this time, not each of its bytes.
            self.set_timeout(self.site.policy.head_timeout_ms)
        return 0

    cdef int _admit(self, Head* head, const char* data, size_t size) except -1:
        """Makes the exchange of a complete head, or refuses it."""
        cdef Policy policy = self.site.policy
        cdef Http1Exchange exchange = Http1Exchange.__new__(Http1Exchange)
        cdef int refused
        exchange.policy = policy
        exchange.log_files = policy.log_files
        exchange.reactor = self.reactor
        exchange.link = self
        exchange.head = head
        exchange.base = data
        exchange.method_id = head.method_id
        exchange.minor = head.minor
        exchange.flags = head.flags
        exchange.declared = -1
        exchange.accepted_ns = self.reactor.turn_ns
        self.requests += 1
        exchange.keep_open = head.flags & FLAG_KEEP_ALIVE and (
            policy.keepalive_requests == 0 or self.requests < policy.keepalive_requests)
        refused = body_of_request(&exchange.decoder, head, &policy.body)
        if refused:
            length = exchange.header(b"content-length") or ""
            return self._refuse(refused, exchange.decoder.why, length.encode("latin-1"))
        if head.method_id == METHOD_CONNECT:
            return self._refuse(501, b"CONNECT asks for a tunnel, and this is no proxy",
                                _excerpt(data, size, head.target))
        if self.partial is not NULL or policy.on_complete is not None:
            exchange.own_head()
            if self.partial is not NULL:
                free(self.partial)
                self.partial = NULL
        self.exchange = exchange
        if exchange.decoder.kind == BODY_NONE:
            self.timer.deadline = 0xffffffff
            self.state = H1_RUN
        else:
            # Reading the body writes where the head lies.
            exchange.own_head()
            exchange.expects = exchange.flags & FLAG_EXPECT_CONTINUE
            exchange.streams = self.site.handler.streams_body(exchange)
            if exchange.streams or exchange.expects and not self.site.handler.buffers:
                exchange.body = BodyStore(<size_t>-1 if exchange.streams else policy.body_memory_bytes,
                                          policy.temp_dir)
                self.timer.deadline = 0xffffffff
                self.state = H1_RUN
            else:
                exchange.body = BodyStore(policy.body_memory_bytes, policy.temp_dir)
                self.set_timeout(policy.body_timeout_ms)
                self.state = H1_BODY
                exchange.send_continue()
        return 0

    # -- bodies

    cdef ssize_t _feed(self, const char* data, size_t size) except -1:
        """Decodes body bytes; how many were taken. Moves the state on at the body's end."""
        cdef Http1Exchange exchange = self.exchange
        cdef size_t used = 0
        cdef BodyEvent event
        while True:
            event = body_next(&exchange.decoder, data + used, size - used, &self.site.policy.body)
            used += exchange.decoder.consumed
            if event == BODY_DATA:
                if self.state == H1_DISCARD:
                    self.discarded += exchange.decoder.slice_size
                    if self.discarded > DISCARD_BYTES:
                        self.lingers = True
                        self._close_politely()
                        return used
                    continue
                try:
                    exchange.body.append(exchange.decoder.slice, exchange.decoder.slice_size)
                except OSError as error:
                    self.reactor.report(error)
                    self._body_failed(503, b"there is no room to buffer the request's body", b"")
                    return used
            elif event == BODY_NEED:
                if self.state == H1_BODY:
                    self.set_timeout(self.site.policy.body_timeout_ms)
                return used
            elif event == BODY_END:
                if self.state == H1_DISCARD:
                    self.exchange = None
                    self.state = H1_HEAD
                    self._idle()
                else:
                    exchange.body.complete = True
                    exchange.expects = False
                    if self.state == H1_BODY:
                        self.timer.deadline = 0xffffffff
                        self.state = H1_RUN
                return used
            else:
                self._body_failed(exchange.decoder.error, exchange.decoder.why, _excerpt(data, size, used))
                return used

    cdef int _body_failed(self, int status, const char* why, bytes offending) except -1:
        """The body will not come whole: a refusal when its app was not called yet, else the app's to know."""
        cdef Http1Exchange exchange = self.exchange
        if self.state == H1_DISCARD:
            self.lingers = True
            return self._close_politely()
        if self.state == H1_BODY:
            return self._refuse(status, why, offending)
        exchange.keep_open = False
        exchange.body.error = BodyError(status, why.decode())
        self.lingers = True
        if self.site.policy.on_refused is not None:
            self.site.policy.on_refused(
                self.peer_name(), status, exchange.body.error.why, offending, exchange.log_files)
        if exchange.job is not None:
            exchange.job.body_arrived()
        return 0

    cdef Turn _read_running(self) except *:
        """Bytes while an app has the exchange: more of its body, the next request, or the client's end."""
        cdef Http1Exchange exchange = self.exchange
        cdef BodyStore body
        cdef ssize_t n
        cdef size_t used
        if self.pulling or self.held or self.half_closed:
            self.want(False)
            return TURN_KEPT
        body = exchange.body if exchange is not None else None
        if self.input.size - self.input_start >= READ_AHEAD_BYTES or (
                body is not None and body.pending() >= BODY_AHEAD_BYTES) or (
                # Without streaming the body is the app thread's to read; 100 Continue may not even be sent.
                body is not None and not body.complete and not exchange.streams):
            self.want(False)
            return TURN_KEPT
        n = self.receive(self.reactor.scratch, SCRATCH_BYTES)
        if n == -1:
            return TURN_KEPT
        if n <= 0:
            self.half_closed = True
            if n == -2:
                self.close()
            else:
                self.want(False)
            self._lost_client()
            return TURN_KEPT
        if self.state == H1_RAW:
            exchange.job.data_received(self.reactor.scratch[:n])
            return TURN_KEPT
        used = 0
        if body is not None and not body.complete and body.error is None:
            used = self._feed(self.reactor.scratch, n)
            if not body.complete:
                self.set_timeout(self.site.policy.body_timeout_ms)
            else:
                self.clear_timeout()
        if used < <size_t>n:
            buffer_put(&self.input, self.reactor.scratch + used, n - used)
            self.more_input = True
        if used > 0 and exchange.job is not None:
            exchange.job.body_arrived()
        return TURN_KEPT

    cdef int resume_body(self, Http1Exchange exchange) except -1:
        exchange.send_continue()
        if not self.half_closed and exchange.body is not None and not exchange.body.complete and (
                exchange.body.pending() < BODY_AHEAD_BYTES):
            self.set_timeout(self.site.policy.body_timeout_ms)
            return self.want(True)
        return 0

    cdef int pull(self, Http1Exchange exchange, size_t wanted) except -1:
        """Reads the body on the calling app thread. BodyError when it cannot be had."""
        cdef BodyStore body = exchange.body
        cdef char* room
        if body.complete or body.pending() >= wanted:
            return 0
        if body.error is not None:
            raise body.error
        if self.closed or self.exchange is not exchange or exchange.response >= RESPONSE_DONE:
            # What comes now is the next request's.
            raise BodyError(400, "the body can be read until the response is complete, and no longer")
        exchange.send_continue()
        room = <char*>malloc(SCRATCH_BYTES)
        if room is NULL:
            raise MemoryError()
        self.pulling = True
        self.want(False)
        try:
            while not body.complete and body.error is None and body.pending() < wanted:
                self._pull_once(room)
        finally:
            self.pulling = False
            free(room)
            if not self.closed and not self.half_closed and body.complete:
                self.want(True)
        if body.error is not None:
            raise body.error
        return 0

    cdef int _pull_once(self, char* room) except -1:
        cdef ssize_t n, used
        cdef bint ready = self.poll_readable(self.site.policy.body_timeout_ms)
        if self.closed:
            # By the leader, meanwhile.
            return self._lost_client()
        if self.exchange is None or self.exchange.response >= RESPONSE_DONE:
            # It timed out, and what comes is read away by the leader.
            return 0
        if not ready:
            return self._body_failed(408, b"the body did not come in time", b"")
        n = self.receive(room, SCRATCH_BYTES)
        if n == -1:
            return 0
        if n <= 0:
            self.half_closed = True
            if n == -2:
                self.close()
            return self._lost_client()
        used = self._feed(room, n)
        if used < n:
            buffer_put(&self.input, room + used, n - used)
            self.more_input = True
        return 0

    # -- the connection itself

    cdef int start_raw(self, Http1Exchange exchange) except -1:
        cdef bytes rest = b""
        self.state = H1_RAW
        self.clear_timeout()
        if self.more_input:
            rest = self.input.data[self.input_start:self.input.size]
            self._keep(NULL, 0)
        if not self.half_closed:
            self.want(True)
        if rest:
            exchange.job.data_received(rest)
        if self.reactor.draining and exchange.job is not None:
            # It came too late to hear of it as the others did.
            exchange.job.draining()
        return 0
