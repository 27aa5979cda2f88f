# cython: language_level=3
"""The response side of HTTP/1: an exchange that is the only one on its connection.

Law: framing is decided here and nowhere else (RFC 9112 section 6). An app gives a status, fields and bytes; whether
they end by Content-Length, by chunks or by closing follows from what is known when the first byte of the body goes
out. What an app says about framing is checked against what it does, and never sent when the two disagree.

The head is written into a block of its own as the app names its fields, so a mistake is an exception at the line that
made it, and a whole small response leaves as one block with one system call.
"""
from libc.stdint cimport int64_t
from libc.stddef cimport size_t
from libc.string cimport memcpy
from posix.unistd cimport close
from drawbar.exchange.exchange cimport (
    Exchange, Job, RESPONSE_ABORTED, RESPONSE_DONE, RESPONSE_NONE, RESPONSE_SENT, RESPONSE_STAGED, now_ns)
from drawbar.exchange.policy cimport Policy
from drawbar.exchange.sentinel cimport Sentinel
from drawbar.exchange.timing cimport put_timing
from drawbar.net.addresses cimport host_name
from drawbar.net.output cimport (
    Item, POOL_BLOCKS, Pool, item_free, item_new, output_block, output_bytes, output_file, output_spill)
from drawbar.net.connection cimport Connection
from drawbar.net.scoreboard cimport COUNTING, ENTRY_RAW, entry_answer, entry_hold, entry_listed, entry_unhold
from drawbar.wire.head cimport FLAG_TRAILERS
from drawbar.wire.tables cimport (
    KNOWN_CONNECTION, KNOWN_CONTENT_LENGTH, KNOWN_DATE, KNOWN_KEEP_ALIVE, KNOWN_NONE, KNOWN_PROXY_CONNECTION,
    KNOWN_SERVER, KNOWN_TE, KNOWN_TRAILER, KNOWN_TRANSFER_ENCODING, KNOWN_UPGRADE, METHOD_HEAD, known_name, name_hash)
from drawbar.wire.writer cimport (
    CHUNK_SIZE_ROOM, format_chunk_size, put_content_length, put_field, put_literal, put_status_line)

from drawbar.exchange.errors import AppError, BodyError, ClientDisconnected

cdef class Http1Link(Connection):
    """What an exchange asks of its connection."""

    cdef int response_done(self) except -1:
        raise NotImplementedError

    cdef int pull(self, Http1Exchange exchange, size_t wanted) except -1:
        raise NotImplementedError

    cdef int resume_body(self, Http1Exchange exchange) except -1:
        raise NotImplementedError

    cdef int start_raw(self, Http1Exchange exchange) except -1:
        raise NotImplementedError

    cdef bytes detach(self, Http1Exchange exchange, Connection into):
        raise NotImplementedError

    cdef object client_of(self, Http1Exchange exchange):
        raise NotImplementedError

    cdef bint is_trusted(self):
        return False

    cdef tuple server_name(self):
        return None

    cdef str scheme_name(self):
        return "http"


cdef str _quote(const char* data, size_t size):
    """Text of an app for an error message, shortened."""
    cdef str text = data[:min(size, <size_t>80)].decode("latin-1")
    return repr(text + "..." if size > 80 else text)


cdef class Http1Exchange(Exchange):
    """One request and its response on an HTTP/1 connection."""

    def __dealloc__(self):
        cdef Pool none
        if self.staged is not NULL:
            # The collector of cycles may have taken the link, and with it the pool.
            none.free = NULL
            none.size = POOL_BLOCKS
            item_free(&none, self.staged)
            self.staged = NULL

    # -- request

    cdef tuple peer(self):
        return self.link.peer_name()

    cdef str peer_host(self):
        return host_name(&self.link.reactor.host_names, &self.link.peer) if self.link.peer.family else None

    cdef int peer_port(self) noexcept:
        return self.link.peer.port

    cdef tuple server(self):
        return self.link.server_name()

    cdef str scheme(self):
        return self.link.scheme_name()

    cdef bint believes(self, int known):
        return self.policy.believed >> known & 1 and self.link.is_trusted()

    cdef object client(self):
        return self.link.client_of(self)

    cdef int pull(self, size_t wanted) except -1:
        return self.link.pull(self, wanted)

    cdef int resume_body(self) except -1:
        return self.link.resume_body(self)

    cdef int send_continue(self) except -1:
        """100 Continue, once, when the app first asks for the body (RFC 9110 section 10.1.1)."""
        if self.expects:
            self.expects = False
            if self.response <= RESPONSE_STAGED and not self.gone:
                if not entry_hold(self.entry):
                    # What is queued behind the answer would be taken for the next one.
                    return 0
                output_bytes(&self.link.output, &self.link.reactor.pool, None, b"HTTP/1.1 100 Continue\r\n\r\n", 25)
                self.link.flush()
                self.unhold()
        return 0

    # -- response head

    cdef bint _may_answer(self) except *:
        """The answer is ours from here on. False: the request timed out, and its client is told by others."""
        if not entry_listed(self.link.reactor.page, self.entry) or entry_answer(self.entry):
            return True
        # Another thread may have taken the claim, and not have come to it yet.
        self.overdue = True
        if self.link.reactor.sentinel is not None:
            (<Sentinel>self.link.reactor.sentinel).take()
        return False

    cdef int _called_off(self) except -1:
        raise ClientDisconnected("the request timed out, and its client was told so")

    cdef void unhold(self) noexcept:
        """Nothing is queued before the answer any more: it may be sent from anywhere."""
        if self.link.output.head is NULL:
            entry_unhold(self.entry)

    cdef int timed_out(self, const char* answer, size_t size, size_t sent, size_t body) except -1:
        cdef Http1Link link = self.link
        cdef Job job = self.job
        self.overdue = True
        if self.response >= RESPONSE_DONE:
            return 0
        self.replace()
        self.expects = False
        self.keep_open = False
        if self.body is not None and not self.body.complete and self.body.error is None:
            self.body.error = BodyError(408, "the request timed out before its body was read")
        if link.closed:
            self.gone = True
            self.response = RESPONSE_ABORTED
        else:
            self.status = 504
            self.written = body
            self.response = RESPONSE_DONE
            output_bytes(&link.output, &link.reactor.pool, None, answer + sent, size - sent)
        # Its job first: on_complete() may let other threads run, for which the call must count no longer.
        try:
            if job is not None:
                job.timed_out()
        finally:
            link.response_done()
            self.gone = True
        return 0

    cdef int _check_open(self) except -1:
        if self.overdue:
            return self._called_off()
        if self.gone or self.link.closed:
            raise ClientDisconnected("the client has closed the connection")
        if self.response >= RESPONSE_DONE:
            raise AppError("the response is complete: nothing can be sent after its end")
        return 0

    cdef int begin(self, int status, const char* reason, size_t reason_size) except -1:
        """Starts a head. The caller has checked the status and the reason phrase."""
        self._check_open()
        if self.response != RESPONSE_NONE:
            raise AppError("the response has begun already")
        self.staged = item_new(&self.link.reactor.pool)
        put_status_line(&self.staged.block, status, reason, reason_size)
        self.status = status
        self.declared = -1
        self.response = RESPONSE_STAGED
        # RFC 9112 section 6.3, rules 1 and 2.
        self.no_body = self.method_id == METHOD_HEAD or status == 204 or status == 304 or status < 200
        return 0

    cdef int field(self, const char* name, size_t name_size, const char* value, size_t value_size) except -1:
        cdef int known = known_name(name, name_size, name_hash(name, name_size))
        if self.response != RESPONSE_STAGED:
            raise AppError("a header field comes after the head")
        if known == KNOWN_NONE:
            try:
                return put_field(&self.staged.block, name, name_size, value, value_size)
            except ValueError as error:
                raise AppError(str(error)) from None
        if known == KNOWN_CONTENT_LENGTH:
            return self._declare(value, value_size)
        if known <= KNOWN_TE and self._hop_by_hop(known, name, name_size, value, value_size):
            return 0
        if known == KNOWN_DATE:
            self.has_date = True
        elif known == KNOWN_SERVER:
            self.has_server = True
        try:
            return put_field(&self.staged.block, name, name_size, value, value_size)
        except ValueError as error:
            raise AppError(str(error)) from None

    cdef int _declare(self, const char* value, size_t size) except -1:
        """Content-Length = 1*DIGIT (RFC 9110 section 8.6). Written with the rest of the framing."""
        cdef int64_t length = 0
        cdef size_t i
        for i in range(size):
            if not 48 <= value[i] <= 57 or i >= 18:
                raise AppError(f"Content-Length must be a decimal number, not {_quote(value, size)}")
            length = length * 10 + (value[i] - 48)
        if size == 0:
            raise AppError("Content-Length must be a decimal number, not empty")
        if self.declared >= 0 and self.declared != length:
            raise AppError(f"two different Content-Length fields: {self.declared} and {length}")
        self.declared = length
        return 0

    cdef int _hop_by_hop(
            self, int known, const char* name, size_t name_size, const char* value, size_t value_size) except -1:
        """1 when the field is dealt with here and must not be sent as the app wrote it (RFC 9110 section 7.6.1)."""
        cdef bytes lower
        if known == KNOWN_CONNECTION:
            lower = value[:value_size].lower()
            if b"close" in [option.strip() for option in lower.split(b",")]:
                self.keep_open = False
            return 1
        if known == KNOWN_KEEP_ALIVE or known == KNOWN_PROXY_CONNECTION or known == KNOWN_TE:
            return 1
        if known == KNOWN_TRANSFER_ENCODING:
            if value[:value_size].strip().lower() == b"chunked":
                return 1
            raise AppError(
                f"Transfer-Encoding is the server's to set, and {_quote(value, value_size)} is none it can send: "
                "leave the field out")
        if known == KNOWN_UPGRADE:
            if self.status == 426:
                # RFC 9110 section 15.5.22: 426 must say which protocol.
                put_literal(&self.staged.block, b"Connection: upgrade\r\n", 21)
                return 0
            return 1
        return 0

    cdef int replace(self) except -1:
        """Forgets a staged head: start_response with exc_info, or an error page in its place."""
        if self.response == RESPONSE_STAGED:
            item_free(&self.link.reactor.pool, self.staged)
            self.staged = NULL
            self.response = RESPONSE_NONE
            self.status = 0
            self.has_date = self.has_server = False
        return 0

    cdef int _commit(self, int64_t size, bint last) except -1:
        """Completes the head, now that what is known about the body decides its framing (RFC 9112 section 6)."""
        cdef Policy policy = self.policy
        cdef Item* item = self.staged
        if not self._may_answer():
            return self._called_off()
        if self.no_body:
            if self.status >= 200 and self.status != 204:
                # HEAD and 304 may say what a GET would have got.
                if self.declared >= 0:
                    put_content_length(&item.block, self.declared)
                elif last and size > 0:
                    put_content_length(&item.block, size)
        elif self.declared >= 0:
            put_content_length(&item.block, self.declared)
        elif last:
            self.declared = size
            put_content_length(&item.block, size)
        elif self.minor >= 1:
            self.chunked = True
            put_literal(&item.block, b"Transfer-Encoding: chunked\r\n", 28)
        else:
            self.keep_open = False
        if self.expects or self.link.reactor.draining:
            # The client that got no 100 may or may not send its body: only closing is unambiguous.
            self.keep_open = False
        if policy.server_timing:
            put_timing(&item.block, self.ready_ns, self.called_ns, now_ns())
        policy.refresh_date()
        if not self.has_date and not self.has_server:
            put_literal(&item.block, policy.date, policy.date_size)
        elif not self.has_date:
            put_literal(&item.block, policy.date, policy.date_size - policy.server_size)
        elif not self.has_server:
            put_literal(&item.block, policy.server_header, policy.server_size)
        if not self.keep_open:
            put_literal(&item.block, b"Connection: close\r\n\r\n", 21)
        elif self.minor == 0:
            put_literal(&item.block, b"Connection: keep-alive\r\n\r\n", 26)
        else:
            put_literal(&item.block, b"\r\n", 2)
        self.response = RESPONSE_SENT
        return 0

    cdef int flush_head(self) except -1:
        """Sends the head before there is a body byte: for apps that stream."""
        self._check_open()
        if self.response == RESPONSE_STAGED:
            self._commit(0, False)
            output_block(&self.link.output, self.staged)
            self.staged = NULL
            self._push(False)
        return 0

    cdef int informational(self, int status, list fields) except -1:
        """A 1xx response ahead of the final one (RFC 9110 section 15.2); nothing for a 1.0 client."""
        cdef Item* item
        cdef bytes name, value
        self._check_open()
        if self.minor == 0 or self.response > RESPONSE_STAGED:
            return 0
        if not entry_hold(self.entry):
            return 0
        item = item_new(&self.link.reactor.pool)
        try:
            put_status_line(&item.block, status, NULL, 0)
            for name, value in fields:
                put_field(&item.block, name, len(name), value, len(value))
            put_literal(&item.block, b"\r\n", 2)
        except ValueError as error:
            item_free(&self.link.reactor.pool, item)
            raise AppError(str(error)) from None
        except BaseException:
            item_free(&self.link.reactor.pool, item)
            raise
        output_block(&self.link.output, item)
        self._push(False)
        self.unhold()
        return 0

    # -- response body

    cdef int write(self, object owner, const char* data, size_t size, bint last) except -1:
        """Sends bytes of the body; `last` when they are the last. `owner` keeps them alive; without one: copied."""
        cdef Item* item
        cdef Http1Link link = self.link
        cdef char chunk[CHUNK_SIZE_ROOM]
        cdef size_t chunk_size
        self._check_open()
        if self.response == RESPONSE_NONE:
            raise AppError("a body without a head: the response must be started first")
        if self.no_body:
            return self._write_none(size, last)
        if self.declared >= 0 and self.written + <int64_t>size > self.declared:
            raise AppError(f"the body is longer than its Content-Length: {self.declared} declared, "
                           f"{self.written + <int64_t>size} sent")
        if last and self.declared > self.written + <int64_t>size:
            return self._short(self.written + <int64_t>size)
        item = NULL
        if self.response == RESPONSE_STAGED:
            self._commit(size, last)
            item = self.staged
        self.written += size
        if item is not NULL and not self.chunked and item.block.capacity - item.block.size >= size:
            # The common case: head and body leave as one block.
            memcpy(item.block.data + item.block.size, data, size)
            item.block.size += size
            self.staged = NULL
            output_block(&link.output, item)
        else:
            if item is not NULL:
                self.staged = NULL
                output_block(&link.output, item)
            if self.chunked and size > 0:
                chunk_size = format_chunk_size(chunk, size)
                output_bytes(&link.output, &link.reactor.pool, None, chunk, chunk_size)
                output_bytes(&link.output, &link.reactor.pool, owner, data, size)
                output_bytes(&link.output, &link.reactor.pool, None, b"\r\n", 2)
            else:
                output_bytes(&link.output, &link.reactor.pool, owner, data, size)
        if last:
            return self._end()
        return self._push(False)

    cdef int _write_none(self, size_t size, bint last) except -1:
        """A response that has no body by its status or by HEAD."""
        if size > 0 and self.method_id != METHOD_HEAD:
            if self.response == RESPONSE_STAGED:
                raise AppError(f"a response with status {self.status} has no body, but the application sent "
                               f"{size} bytes")
            return 0
        if self.response == RESPONSE_STAGED:
            self._commit(size, last)
            output_block(&self.link.output, self.staged)
            self.staged = NULL
        if last:
            return self._end()
        return 0

    cdef int _short(self, int64_t got) except -1:
        cdef int64_t declared = self.declared
        if self.response == RESPONSE_SENT:
            self.abort()
        raise AppError(f"the body is shorter than its Content-Length: {declared} declared, {got} sent")

    cdef int write_file(self, object owner, int fd, int64_t offset, int64_t size, bint last) except -1:
        """Sends `size` bytes of a file from `offset` on, straight from the kernel. `owner` None: closes `fd` after."""
        cdef Http1Link link = self.link
        cdef char chunk[CHUNK_SIZE_ROOM]
        cdef size_t chunk_size
        if self.no_body or size == 0:
            if owner is None:
                close(fd)
            self._check_open()
            return self.write(None, b"", 0, last) if not self.no_body else self._write_none(size, last)
        try:
            self._check_open()
            if self.declared >= 0 and self.written + size > self.declared:
                raise AppError(f"the file is longer than the Content-Length: {self.declared} declared, "
                               f"{self.written + size} sent")
            if last and self.declared > self.written + size:
                self._short(self.written + size)
            if self.response == RESPONSE_STAGED:
                self._commit(size, last)
        except BaseException:
            if owner is None:
                close(fd)
            raise
        if self.staged is not NULL:
            output_block(&link.output, self.staged)
            self.staged = NULL
        self.written += size
        if self.chunked:
            chunk_size = format_chunk_size(chunk, size)
            output_bytes(&link.output, &link.reactor.pool, None, chunk, chunk_size)
            output_file(&link.output, &link.reactor.pool, owner, fd, offset, size)
            output_bytes(&link.output, &link.reactor.pool, None, b"\r\n", 2)
        else:
            output_file(&link.output, &link.reactor.pool, owner, fd, offset, size)
        return self._end() if last else self._push(False)

    cdef int trailer(self, const char* name, size_t name_size, const char* value, size_t value_size) except -1:
        """A trailer field (RFC 9110 section 6.5); only a chunked body can carry one, elsewhere it is dropped."""
        cdef Item* item
        # Section 6.5.1: none that frames, routes or describes the body, which has been taken as it is by now.
        if KNOWN_NONE < known_name(name, name_size, name_hash(name, name_size)) <= KNOWN_TRAILER:
            raise AppError(f"{_quote(name, name_size)} cannot be a trailer: it belongs in the head")
        if not self.chunked or not self.flags & FLAG_TRAILERS:
            return 0
        item = item_new(&self.link.reactor.pool)
        try:
            put_field(&item.block, name, name_size, value, value_size)
            self.trailers = (self.trailers or b"") + item.block.data[:item.block.size]
        except ValueError as error:
            raise AppError(str(error)) from None
        finally:
            item_free(&self.link.reactor.pool, item)
        return 0

    cdef int finish(self) except -1:
        """No more body. AppError, and a broken-off connection, when Content-Length promised more."""
        self._check_open()
        if self.response == RESPONSE_NONE:
            raise AppError("the application ended without starting a response")
        if self.response == RESPONSE_STAGED:
            return self.write(None, b"", 0, True)
        if not self.no_body and self.declared > self.written:
            return self._short(self.written)
        return self._end()

    cdef int _end(self) except -1:
        cdef Http1Link link = self.link
        if self.chunked:
            if self.trailers is not None:
                output_bytes(&link.output, &link.reactor.pool, None, b"0\r\n", 3)
                output_bytes(&link.output, &link.reactor.pool, None, self.trailers, len(self.trailers))
                output_bytes(&link.output, &link.reactor.pool, None, b"\r\n", 2)
            else:
                output_bytes(&link.output, &link.reactor.pool, None, b"0\r\n\r\n", 5)
        self.response = RESPONSE_DONE
        self._push(True)
        return link.response_done()

    cdef int _push(self, bint last) except -1:
        """Sends what is queued, unless it ends an answer and the next pipelined request is already here."""
        cdef Http1Link link = self.link
        if last and link.processing and link.more_input and link.output.memory < COALESCE_BYTES:
            return 0
        if link.output.memory > self.policy.output_high_bytes:
            return self._bound_memory()
        link.flush()
        return 0

    cdef int _bound_memory(self) except -1:
        """Keeps the memory one slow client can hold within the high water mark; the rest goes to a file."""
        cdef Http1Link link = self.link
        link.flush()
        if link.closed:
            return 0
        try:
            output_spill(&link.output, &link.reactor.pool, self.policy.output_high_bytes, self.policy.temp_dir)
        except OSError as error:
            link.reactor.report(error)
            # What was to be its end is not queued any more.
            link.drop_output()
            self.response = RESPONSE_SENT
            self.abort()
            raise ClientDisconnected(f"the response cannot be buffered for its client: {error}") from error
        if link.closed:
            # It went while the file was written: clear what close() had to leave.
            link.drop_output()
        else:
            link.flush()
        return 0

    cdef void abort(self) noexcept:
        """Breaks the response off so that no client can take it for complete."""
        if self.overdue or self.response >= RESPONSE_DONE:
            return
        try:
            if not self._may_answer():
                return
            if self.response == RESPONSE_STAGED:
                self.replace()
            self.response = RESPONSE_ABORTED
            self.keep_open = False
            self.link.response_done()
        except Exception as error:
            self.link.reactor.report(error)

    # -- flow

    cdef size_t waiting(self) noexcept:
        return self.link.output.waiting

    cdef int want_drained(self) except -1:
        self.link.notify_drained = True
        return 0

    cdef int wait_output(self) except -1:
        """Blocks the calling app thread while the spill file is at its limit."""
        cdef Http1Link link = self.link
        while not link.closed and link.output.spilled > self.policy.response_spill_bytes:
            if not link.poll_writable(self.policy.send_timeout_ms):
                self.abort()
                raise ClientDisconnected("the client has not read the response in time")
            link.blocked = False
            link.flush()
        return self._check_open()

    # -- the connection itself

    cdef int take_over(self) except -1:
        """HTTP ends here: bytes go to the job as they come."""
        self._check_open()
        if not self._may_answer():
            return self._called_off()
        self.raw = True
        self.replace()
        self.status = 101
        if COUNTING:
            # Now, and not in the hours when it ends.
            self.reactor.page.tally.requests[1] += 1
            if self.entry is not NULL:
                self.entry.kind = ENTRY_RAW
        return self.link.start_raw(self)

    cdef int read_raw(self, bint reading) except -1:
        if self.raw and self.response < RESPONSE_DONE:
            self.link.held = not reading
            self.link.want(reading)
        return 0

    cdef int raw_write(self, bytes data) except -1:
        if self.gone:
            raise ClientDisconnected("the client has closed the connection")
        if self.overdue:
            return self._called_off()
        output_bytes(&self.link.output, &self.link.reactor.pool, data, data, len(data))
        self.link.flush()
        return 0

    cdef int raw_close(self) except -1:
        """Closes after what is queued is sent."""
        if self.response < RESPONSE_DONE:
            self.keep_open = False
            self.response = RESPONSE_DONE
            self.link.response_done()
        return 0

    cdef bytes detach(self, Connection into, bytes head):
        self._check_open()
        if self.response != RESPONSE_NONE or self.body is not None and not self.body.complete:
            raise AppError("a connection can be given away when its request is whole, and has no answer yet")
        if not self._may_answer():
            self._called_off()
        output_bytes(&self.link.output, &self.link.reactor.pool, head, head, len(head))
        self.status = 101
        self.response = RESPONSE_DONE
        # Whoever takes a connection over in this way is no client, and counted by nobody.
        return self.link.detach(self, into)
