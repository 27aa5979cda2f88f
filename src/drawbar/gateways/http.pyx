# cython: language_level=3
"""An exchange served by a server of HTTP/1.1 to which there is a connection.

Law: we are the client here, and trust the server with nothing. What it says is parsed as strictly as what a client
says, decoded, and framed anew by the exchange; what breaks framing reaches nobody: 502 as long as nothing was sent,
and then a response broken off so that its client sees it. Nobody waits for anybody: a client that reads slowly has its
response buffered to a bound, and only then is its server left unread; a server that reads slowly leaves its client
unread when the request streams.

A connection serves one request at a time, and is fit for another when the response has ended as it should, all of the
request is sent, and nothing followed. It belongs to whoever made it, who hears of its room and of its end; what becomes
of a request that its server lost, its job decides.

No Python object is made for a field, nor for a piece of a body.
"""
from libc.errno cimport EAGAIN, errno
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memmove
from drawbar.exchange.body cimport BodyStore
from drawbar.exchange.exchange cimport Exchange, RESPONSE_DONE, RESPONSE_STAGED
from drawbar.gateways.hop_by_hop cimport ends_here, gives_back, names_others
from drawbar.gateways.http_job cimport HttpJob, ServerLink
from drawbar.gateways.http_request cimport BODY_IN_CHUNKS, body_size, may_upgrade, put_request
from drawbar.net.output cimport Item, item_free, item_new, output_block, output_bytes, output_file
from drawbar.net.reactor cimport EPOLLIN, SCRATCH_BYTES, TURN_KEPT, Turn
from drawbar.wire.body cimport (
    BODY_CLOSE, BODY_DATA, BODY_END, BODY_REFUSED, BodyEvent, body_eof, body_next, body_of_response)
from drawbar.wire.frames cimport FRAME_OPCODE, frames_walk
from drawbar.wire.head cimport (
    FLAG_KEEP_ALIVE, FLAG_TRAILERS, Field, HEAD_DONE, HEAD_REFUSED, Head, MAX_FIELDS, Progress, head_reset,
    parse_response_head)
from drawbar.wire.tables cimport KNOWN_UPGRADE, same_name
from drawbar.wire.writer cimport (
    Buffer, CHUNK_SIZE_ROOM, buffer_free, buffer_put, buffer_reserve, format_chunk_size, put_field, put_literal,
    put_status_line)

from drawbar.exchange.errors import AppError, ClientDisconnected

cdef extern from "<sys/socket.h>" nogil:
    enum:
        MSG_DONTWAIT
        MSG_PEEK
    ssize_t recv(int fd, void* into, size_t room, int flags)

# Close, masked as a client's frames are (RFC 6455 section 5.3; nobody's text is in it, so the mask is none), 1001:
# "an endpoint is "going away", such as a server going down" (section 7.4.1).
cdef const char* GOING_AWAY = b"\x88\x82\x00\x00\x00\x00\x03\xe9"
cdef enum:
    GOING_AWAY_BYTES = 8


cdef class ServerRules:
    """What all connections to servers of one kind have in common. Sizes in bytes, times in seconds (0: never).

    silence: between two pieces of a response that has begun. send_timeout: a server that takes nothing of a request.
    """

    def __init__(self, *, int head_bytes=65_536, int fields=MAX_FIELDS, int64_t body_bytes=0, int extension_bytes=4_096,
                 int trailer_bytes=8_192, double silence=0, double send_timeout=60):
        self.head_limits.head_bytes = head_bytes
        self.head_limits.target_bytes = head_bytes
        self.head_limits.fields = min(fields, <int>MAX_FIELDS)
        self.body_limits.body_bytes = body_bytes
        self.body_limits.extension_bytes = extension_bytes
        self.body_limits.trailer_bytes = trailer_bytes
        self.body_limits.trailer_fields = min(fields, <int>MAX_FIELDS)
        self.silence_ms = <uint32_t>(silence * 1000)
        self.send_timeout_ms = <uint32_t>(send_timeout * 1000)


cdef class ServerConnection(ServerLink):
    """A connection on which we are the client. One request at a time."""

    def __dealloc__(self):
        buffer_free(&self.input)
        buffer_free(&self.trailers)
        if self.partial is not NULL:
            free(self.partial)

    # -- for subclasses

    cdef int on_idle(self) except -1:
        return 0

    cdef int on_ended(self) except -1:
        return 0

    # -- the request

    cdef int send(self, HttpJob job) except -1:
        """Sends a request over an idle connection. Whatever comes of it, its job will hear."""
        cdef Exchange exchange = job.exchange
        cdef BodyStore body = exchange.body
        cdef Item* item
        cdef int64_t size = body_size(exchange)
        job.upgrades = may_upgrade(exchange)
        item = item_new(&self.reactor.pool)
        try:
            put_request(&item.block, exchange, size, job.prefix, job.upgrades)
            job.put_fields(&item.block)
            if job.upgrades:
                put_literal(&item.block, b"Connection: Upgrade\r\n", 21)
            if self.leaving:
                put_literal(&item.block, b"Connection: close\r\n", 19)
            if exchange.flags & FLAG_TRAILERS:
                put_literal(&item.block, b"Connection: TE\r\n", 16)
            put_literal(&item.block, b"\r\n", 2)
        except BaseException:
            item_free(&self.reactor.pool, item)
            raise
        self.job = job
        job.server = self
        self.state = SERVER_HEAD
        self.interim = 0
        job.unread = False
        output_block(&self.output, item)
        self.whole = self.output.waiting
        if body is not None:
            self.chunks = size == BODY_IN_CHUNKS
            self._put_body(body)
        self.flush()
        return 0

    cdef bint is_stale(self) noexcept:
        """Whether an idle server has closed, or spoken, and nobody has looked yet."""
        cdef char byte
        return recv(self.fd, &byte, 1, MSG_DONTWAIT | MSG_PEEK) >= 0 or errno != EAGAIN

    cdef int _put_body(self, BodyStore body) except -1:
        """Borrowed, not copied: it must be there once more if this server is lost."""
        cdef bytes whole
        if not body.complete:
            self.sending = True
            return self.pump()
        if body.fd >= 0:
            return output_file(&self.output, &self.reactor.pool, body, body.fd, 0, body.received)
        if body.file is not None:
            # Somebody has had it as a file before.
            whole = body.file.getvalue()
            return output_bytes(&self.output, &self.reactor.pool, whole, whole, len(whole))
        return output_bytes(&self.output, &self.reactor.pool, body, body.memory.data, body.memory.size)

    cdef int pump(self) except -1:
        """Passes on what has come of a body that streams, as far as the server takes it."""
        cdef HttpJob job = self.job
        cdef BodyStore body
        if not self.sending or self.deaf or self.closed:
            return 0
        body = job.exchange.body
        while body.pending() and self.output.waiting < SEND_AHEAD_BYTES:
            job.spent = True
            self._put_chunk(body.take(SCRATCH_BYTES))
        if body.complete and body.pending() == 0:
            self.sending = False
            if self.chunks:
                output_bytes(&self.output, &self.reactor.pool, None, b"0\r\n\r\n", 5)
        self.flush()
        if self.sending and not self.deaf and self.output.waiting < SEND_LOW_BYTES and self.job is job:
            job.exchange.resume_body()
        return 0

    cdef int _put_chunk(self, bytes piece) except -1:
        cdef char size[CHUNK_SIZE_ROOM]
        if self.chunks:
            output_bytes(&self.output, &self.reactor.pool, None, size, format_chunk_size(size, len(piece)))
        output_bytes(&self.output, &self.reactor.pool, piece, piece, len(piece))
        if self.chunks:
            output_bytes(&self.output, &self.reactor.pool, None, b"\r\n", 2)
        return 0

    cdef int on_flushed(self) except -1:
        if self.state == SERVER_HEAD:
            self.clear_timeout()
        elif self.state == SERVER_BODY:
            self.set_timeout(self.rules.silence_ms)
        elif self.state == SERVER_TUNNEL and self.parts:
            self.shut_down_writing()
        return self.on_progress()

    cdef int on_progress(self) except -1:
        cdef HttpJob job
        if self.output.waiting > 0 and not self.parts:
            self.set_timeout(self.rules.send_timeout_ms)
        if self.output.waiting >= SEND_LOW_BYTES or self.job is None:
            return 0
        if self.throttled:
            self.throttled = False
            job = self.job
            return job.exchange.read_raw(True)
        return self.pump()

    cdef int on_unsent(self, int error) except -1:
        """A server that refuses a request may close before it has read all of it; what it said comes first."""
        if self.job is None or self.state == SERVER_TUNNEL:
            return self._end_of_stream()
        if self.state == SERVER_HEAD and self.output.waiting >= self.whole and not self.sending:
            self.job.unread = True
            return self._lose(502, "the server closed the connection before the request was sent")
        self.deaf = True
        self.drop_output()
        self.set_timeout(ANSWER_MS)
        return self.want(True)

    # -- the response

    cdef Turn on_readable(self) except *:
        cdef char* data = self.reactor.scratch
        cdef ssize_t n
        if self.partial is NULL:
            n = self.receive(data, SCRATCH_BYTES)
        else:
            buffer_reserve(&self.input, 8_192)
            n = self.receive(self.input.data + self.input.size, self.input.capacity - self.input.size)
        if n == -1:
            return TURN_KEPT
        if n <= 0 or self.job is None:
            # Nobody asked it: what it says now is an answer to nothing.
            self._end_of_stream()
            return TURN_KEPT
        if self.partial is not NULL:
            self.input.size += n
            data = self.input.data
            n = self.input.size
        self._take(data, n)
        if self.partial is NULL and self.input.data is not NULL:
            buffer_free(&self.input)
        return TURN_KEPT

    cdef int _take(self, char* data, size_t size) except -1:
        cdef size_t used
        while self.state == SERVER_HEAD:
            used = self._read_head(data, size)
            if used == 0 or self.job is None:
                return 0
            data += used
            size -= used
            if size == 0 and self.state == SERVER_HEAD:
                return 0
        if self.state == SERVER_BODY:
            return self._pass_body(data, size)
        if self.state == SERVER_TUNNEL and size:
            return self._tunnel(data, size)
        return 0

    cdef size_t _read_head(self, const char* data, size_t size) except? 0:
        """Bytes of the head at `data`, passed on; 0 when it is not whole yet, or refused."""
        cdef Head* head = self.partial
        cdef Progress progress
        cdef size_t used
        if head is NULL:
            head = &self.rules.head
            head_reset(head)
        progress = parse_response_head(head, data, size, &self.rules.head_limits)
        if progress == HEAD_REFUSED:
            self._lose(502, f"the server's response cannot be understood: {head.why.decode()}")
            return 0
        if progress != HEAD_DONE:
            self._keep(data, size)
            return 0
        used = head.size
        self.partial = NULL
        try:
            if head.status == 101:
                self._switch(head, data)
            elif head.status < 200:
                self._pass_interim(head, data)
            else:
                self._pass_head(head, data)
        finally:
            if head is not &self.rules.head:
                free(head)
        return used

    cdef int _keep(self, const char* data, size_t size) except -1:
        """Makes `input` hold exactly these bytes of a head, which may lie in it."""
        if self.partial is NULL:
            self.partial = <Head*>malloc(sizeof(Head))
            if self.partial is NULL:
                raise MemoryError()
            memcpy(self.partial, &self.rules.head, sizeof(Head))
        if self.input.data is not NULL and self.input.data <= data <= self.input.data + self.input.size:
            memmove(self.input.data, data, size)
            self.input.size = size
            return 0
        self.input.size = 0
        return buffer_put(&self.input, data, size)

    cdef int _pass_head(self, Head* head, const char* base) except -1:
        cdef HttpJob job = self.job
        cdef Exchange exchange = job.exchange
        cdef bint others = names_others(head, base)
        cdef Field* field
        cdef int i
        if self.takes_back and gives_back(head, base):
            job.unread = True
            return self._lose(502, "the server left before it had begun the request")
        if body_of_response(&self.decoder, head, exchange.method_id, &self.rules.body_limits):
            return self._lose(502, f"the server's response cannot be passed on: {self.decoder.why.decode()}")
        self.persists = head.flags & FLAG_KEEP_ALIVE and self.decoder.kind != BODY_CLOSE
        self.trailers.size = 0
        self.state = SERVER_BODY
        try:
            exchange.begin(head.status, base + head.reason if head.reason_size else NULL, head.reason_size)
            for i in range(head.n_fields):
                field = &head.fields[i]
                # RFC 9110 section 15.5.22: 426 must say which protocol.
                if ends_here(head, base, field, others) and not (head.status == 426 and field.known == KNOWN_UPGRADE):
                    continue
                exchange.field(base + field.name, field.name_size, base + field.value, field.value_size)
        except AppError as error:
            self._lose(502, f"the server's response cannot be passed on: {error}")
        except ClientDisconnected:
            job.end()
        return 0

    cdef int _pass_interim(self, Head* head, const char* base) except -1:
        """RFC 9110 section 15.2: all but 100, which answers an expectation of ours that we never state, are passed."""
        cdef HttpJob job = self.job
        cdef bint others = names_others(head, base)
        cdef list fields = []
        cdef Field* field
        cdef int i
        self.interim += 1
        if self.interim > INTERIM_LIMIT:
            return self._lose(502, f"the server sent more than {INTERIM_LIMIT} interim responses")
        if head.status == 100:
            return 0
        for i in range(head.n_fields):
            field = &head.fields[i]
            if not ends_here(head, base, field, others):
                fields.append((base[field.name:field.name + field.name_size],
                               base[field.value:field.value + field.value_size]))
        try:
            job.note_begun()
            job.exchange.informational(head.status, fields)
        except ClientDisconnected:
            job.end()
        return 0

    cdef int _pass_body(self, char* data, size_t size) except -1:
        """Passes on what this read has of the body, in one piece, and so in one write to the client."""
        cdef HttpJob job = self.job
        cdef Exchange exchange = job.exchange
        cdef BodyEvent event
        cdef char* start = data
        cdef size_t gathered = 0
        cdef size_t used = 0
        while True:
            event = body_next(&self.decoder, data + used, size - used, &self.rules.body_limits)
            used += self.decoder.consumed
            if event != BODY_DATA:
                break
            if gathered == 0:
                start = <char*>self.decoder.slice
            elif start + gathered != self.decoder.slice:
                # Over the framing between two chunks.
                memmove(start + gathered, self.decoder.slice, self.decoder.slice_size)
            gathered += self.decoder.slice_size
        if event == BODY_REFUSED:
            return self._lose(502, f"the server's response cannot be passed on: {self.decoder.why.decode()}")
        if self.decoder.slice_size:
            buffer_put(&self.trailers, self.decoder.slice, self.decoder.slice_size)
        try:
            job.note_begun()
            if event == BODY_END and self.trailers.size <= 2:
                exchange.write(None, start, gathered, True)
            elif gathered:
                exchange.write(None, start, gathered, False)
            elif exchange.response == RESPONSE_STAGED:
                exchange.flush_head()
            if event == BODY_END and exchange.response < RESPONSE_DONE:
                self._pass_trailers(exchange)
                exchange.finish()
        except AppError as error:
            return self._lose(502, f"the server's response cannot be passed on: {error}")
        except ClientDisconnected:
            return job.end()
        if self.job is not job:
            # Its client left meanwhile.
            return 0
        if event == BODY_END:
            self.persists = self.persists and used == size
            return self._done()
        if exchange.waiting() > exchange.policy.response_spill_bytes:
            self.clear_timeout()
            exchange.want_drained()
            return self.want(False)
        self.set_timeout(self.rules.silence_ms)
        return 0

    cdef int _pass_trailers(self, Exchange exchange) except -1:
        """The section is checked, and whole."""
        cdef bytes line
        for line in self.trailers.data[:self.trailers.size].split(b"\r\n"):
            name, colon, value = line.partition(b":")
            if colon:
                exchange.trailer(name, len(name), value, len(value))
        return 0

    cdef int resume_reading(self) except -1:
        """The client has taken what was buffered for it."""
        if self.closed or self.interest & <uint32_t>EPOLLIN:
            return 0
        if self.state == SERVER_BODY:
            self.set_timeout(self.rules.silence_ms)
        return self.want(True)

    # -- ends

    cdef int _end_of_stream(self) except -1:
        """The server has closed, or said something while it was not asked."""
        cdef HttpJob job = self.job
        if job is None:
            self.drop()
            return 0
        if self.state == SERVER_TUNNEL:
            job.exchange.raw_close()
            return job.end()
        if self.state == SERVER_HEAD:
            return self._lose(502, "the server closed the connection without a response")
        if body_eof(&self.decoder) != BODY_END:
            return self._lose(502, "the server closed the connection before the end of its response")
        try:
            job.exchange.finish()
        except (AppError, ClientDisconnected):
            return job.end()
        if self.job is job:
            self._done()
        return 0

    cdef int _done(self) except -1:
        """The response is complete."""
        cdef HttpJob job = self.job
        cdef bint fit = self.persists and not (
            self.leaving or self.sending or self.deaf or self.output.head is not NULL)
        self.job = None
        job.server = None
        self.state = SERVER_IDLE
        self.clear_timeout()
        try:
            job.end()
        finally:
            if not fit:
                self.drop()
        if not self.closed:
            self.on_idle()
        return 0

    cdef int _lose(self, int status, str why) except -1:
        """The server is of no use any more. `status`: what to answer, if nothing was."""
        cdef HttpJob job = self.job
        try:
            self.drop()
        finally:
            if job is not None:
                job.lost(status, why)
        return 0

    cdef int drop(self) except -1:
        cdef HttpJob job = self.job
        if self.closed:
            return 0
        self.job = None
        if job is not None:
            job.server = None
        self.close()
        return self.on_ended()

    cdef int leave(self) except -1:
        self.leaving = True
        if self.job is None:
            self.drop()
        return 0

    cdef void on_failed(self) noexcept:
        try:
            self._lose(502, "the server's response could not be passed on")
        except Exception as error:
            self.reactor.report(error)

    cdef int on_timeout(self) except -1:
        cdef HttpJob job = self.job
        if job is None:
            return self.drop()
        if self.state == SERVER_TUNNEL:
            job.exchange.raw_close()
            return job.end()
        if self.deaf:
            return self._lose(502, "the server stopped taking the request")
        if self.output.head is not NULL:
            return self._lose(504, "the server did not take the request in time")
        if not self.interest & <uint32_t>EPOLLIN:
            # It is we who do not listen, as its client does not read.
            return 0
        return self._lose(504, "the server did not go on with its response in time")

    # -- tunnels

    # RFC 9110 section 15.2.2: "The server MUST generate an Upgrade header field in the response that indicates which
    # protocol(s) will be in effect after this response."
    cdef int _switch(self, Head* head, const char* base) except -1:
        cdef HttpJob job = self.job
        cdef Exchange exchange = job.exchange
        cdef Buffer answer
        cdef Field* field
        cdef int i
        cdef bytes text
        if not job.upgrades or self.output.head is not NULL:
            return self._lose(502, "the server switched to another protocol without being asked to")
        answer.data = NULL
        answer.size = answer.capacity = 0
        try:
            put_status_line(&answer, 101, NULL, 0)
            for i in range(head.n_fields):
                field = &head.fields[i]
                if field.known == KNOWN_UPGRADE:
                    self.speaks_frames = field.value_size == 9 and same_name(base + field.value, b"websocket", 9)
                if field.known == KNOWN_UPGRADE or not ends_here(head, base, field, False):
                    put_field(&answer, base + field.name, field.name_size, base + field.value, field.value_size)
            put_literal(&answer, b"Connection: Upgrade\r\n\r\n", 23)
            text = answer.data[:answer.size]
        finally:
            buffer_free(&answer)
        job.note_begun()
        job.tunnels = True
        self.state = SERVER_TUNNEL
        self.clear_timeout()
        try:
            exchange.take_over()
            exchange.raw_write(text)
        except ClientDisconnected:
            job.end()
        return 0

    cdef int _tunnel(self, const char* data, size_t size) except -1:
        """From the server to the client."""
        cdef HttpJob job = self.job
        cdef Exchange exchange = job.exchange
        try:
            exchange.raw_write(data[:size])
        except ClientDisconnected:
            return job.end()
        if self.job is job and exchange.waiting() > exchange.policy.output_high_bytes:
            exchange.want_drained()
            return self.want(False)
        return 0

    cdef int client_said(self, bytes data) except -1:
        """From the client to the server; b"" at the client's end."""
        cdef HttpJob job = self.job
        cdef size_t size = len(data)
        if data:
            if self.parted:
                return 0
            if self.speaks_frames:
                size = self._whole_frames(data)
            output_bytes(&self.output, &self.reactor.pool, data, data, size)
            if self.parting and self.frames.part == FRAME_OPCODE:
                return self._say_goodbye()
            self.flush()
            if self.output.waiting > SEND_AHEAD_BYTES and self.job is job:
                self.throttled = True
                return job.exchange.read_raw(False)
            return 0
        if job.exchange.gone:
            return job.end()
        self.parts = True
        if self.output.head is NULL:
            self.shut_down_writing()
        self.set_timeout(TUNNEL_END_MS)
        return 0

    cdef size_t _whole_frames(self, bytes data) noexcept:
        """How much of `data` to pass on: all, or as far as the frame that is the client's last."""
        cdef const uint8_t* start = <const uint8_t*><const char*>data
        cdef size_t size = len(data)
        cdef size_t used = 0
        while used < size:
            used += frames_walk(&self.frames, start + used, size - used)
            if self.parting and self.frames.part == FRAME_OPCODE:
                return used
        return size

    cdef int part(self) except -1:
        """RFC 6455 section 5.5.1: whoever gets a Close frame sends one. So the server ends it, as if its client had
        asked to, and that is how the client hears of it, behind whatever the server had begun to say."""
        if self.state != SERVER_TUNNEL or not self.speaks_frames or self.parting:
            return 0
        self.parting = True
        return self._say_goodbye() if self.frames.part == FRAME_OPCODE else 0

    cdef int _say_goodbye(self) except -1:
        self.parted = True
        self.set_timeout(TUNNEL_END_MS)
        if not self.frames.closes:
            output_bytes(&self.output, &self.reactor.pool, None, GOING_AWAY, GOING_AWAY_BYTES)
        return self.flush()
