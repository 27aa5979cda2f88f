# cython: language_level=3
"""An exchange that a Python function serves on the leading thread, at once or later.

Law: the function is called when the head is in, and must not block. It answers before it returns, or keeps the call and
answers from a later event of the same thread: an alarm, another exchange, more of the body. Nothing of a body is read
before somebody asks for it, so a request that is refused costs its head alone. Whatever the function raises, the client
gets an answer, or the end of its connection.

Calls are no requests of the site: they are not counted, timed or listed among those, as most of them only wait.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t
from drawbar.exchange.body cimport BodyStore
from drawbar.exchange.exchange cimport (
    Exchange, Handler, Job, RESPONSE_DONE, RESPONSE_STAGED)
from drawbar.exchange.http1_response cimport Http1Exchange
from drawbar.net.credentials cimport peer_pid
from drawbar.net.reactor cimport Reactor, Source, TURN_KEPT, Turn
from drawbar.net.timers cimport TICK_MS, wheel_remove, wheel_set

import os

from drawbar.exchange.errors import AppError, BodyError, ClientDisconnected


cdef inline str _latin1(const char* data, size_t size):
    return data[:size].decode("latin-1")


cdef class CallHandler(Handler):
    """Serves exchanges by a function.

    serve: called with a Call. fail: called with a Call nobody has answered, a status and what went wrong.
    """

    def __init__(self, object serve, object fail):
        self.serve = serve
        self.fail = fail
        self.streams = True

    cdef Turn handle(self, Exchange exchange) except *:
        cdef Call call = Call.__new__(Call)
        call.handler = self
        call.exchange = exchange
        call.reactor = exchange.reactor
        call.method = exchange.method
        call.path = _latin1(exchange.base + exchange.head.path, exchange.head.path_size)
        call.query = _latin1(exchange.base + exchange.head.query, exchange.head.query_size)
        exchange._release()
        # Without one nobody counts it.
        exchange.reactor = None
        exchange.job = call
        call._guarded(self.serve, (call,))
        return TURN_KEPT


cdef class _Whole:
    """Keeps the pieces of a body until all are here."""
    cdef Call call
    cdef object then
    cdef list pieces
    cdef int64_t left

    def __call__(self, bytes piece, bint last):
        self.left -= len(piece)
        if self.left < 0:
            self.call._break_body(_too_long(self.call))
            return
        if piece:
            self.pieces.append(piece)
        if last:
            self.then(b"".join(self.pieces))


cdef object _too_long(Call call):
    return BodyError(413, f"the body of this request is longer than {call.path} takes")


cdef class Call(Job):
    """One request and the answer to it."""

    # -- the request

    def header(self, bytes name):
        """Value of the first field of that lower-case name, or None."""
        return self.exchange.header(name)

    @property
    def fields(self):
        """All fields as (name, value) in the client's order."""
        return self.exchange.headers

    @property
    def remote(self):
        """(address, port) of the client; None on a Unix socket."""
        return self.exchange.peer()

    @property
    def pid(self):
        """The process at the other end of a Unix socket; 0 when it is not known."""
        cdef Exchange exchange = self.exchange
        if not isinstance(exchange, Http1Exchange) or (<Http1Exchange>exchange).link is None:
            return 0
        return peer_pid((<Http1Exchange>exchange).link.fd)

    @property
    def has_body(self):
        """The request has one, here or still to come."""
        return self.exchange.body is not None

    @property
    def is_gone(self):
        """Nothing that is sent reaches anybody."""
        return self.exchange.gone

    # -- its body

    def receive(self, object on_body, object on_broken=None):
        """Calls on_body(piece, last) for the body as it comes; on_broken(error) when its end never will.

        A request without a body is one empty piece, the last. Without on_broken it is the handler's `fail`.
        """
        cdef BodyStore body = self.exchange.body
        if body is None:
            on_body(b"", True)
            return
        self.on_body = on_body
        self.on_broken = on_broken
        self._feed()

    def collect(self, int64_t most, object then, object on_broken=None):
        """Calls then(body) once it is whole; on_broken() if it never will be, or has more than `most` bytes (413)."""
        cdef Exchange exchange = self.exchange
        cdef BodyStore body = exchange.body
        cdef _Whole whole
        self.on_broken = on_broken
        if body is None:
            then(b"")
        elif body.received > most or exchange.head is not NULL and exchange.head.content_length > most:
            self._break_body(_too_long(self))
        elif body.complete:
            # The common case: it came with the head.
            then(body.take(body.pending()))
        else:
            whole = _Whole.__new__(_Whole)
            whole.call = self
            whole.then = then
            whole.pieces = []
            whole.left = most
            self.receive(whole, on_broken)

    def pause_body(self):
        """No more pieces until resume_body(): what comes stays in the kernel, and the client waits."""
        self.paused = True

    def resume_body(self):
        """Ends pause_body()."""
        if self.paused:
            self.paused = False
            self._feed()

    # What a connection calls holds the call itself: its end lets go of it everywhere else.

    cdef int body_arrived(self) except -1:
        cdef Call call = self
        return call._feed()

    cdef int _feed(self) except -1:
        cdef BodyStore body
        if self.feeding or self.paused or self.is_over or self.on_body is None:
            return 0
        self.feeding = True
        try:
            self._take_pieces()
        finally:
            self.feeding = False
        if self.is_over or self.on_body is None or self.paused:
            return 0
        body = self.exchange.body
        if body.error is not None:
            return self._break_body(body.error)
        return self.exchange.resume_body()

    cdef int _take_pieces(self) except -1:
        cdef BodyStore body = self.exchange.body
        cdef object function
        cdef bytes piece
        cdef bint last
        while not self.is_over and not self.paused and self.on_body is not None:
            piece = body.take(PIECE_BYTES)
            last = body.complete and body.pending() == 0
            if not piece and not last:
                return 0
            function = self.on_body
            if last:
                self.on_body = None
            self._guarded(function, (piece, last))
        return 0

    cdef int _break_body(self, object error) except -1:
        cdef object function = self.on_broken
        self.on_body = self.on_broken = None
        if function is None:
            return self._fail(error.status, error.why)
        return self._guarded(function, (error,))

    # -- what happens meanwhile

    cdef int disconnected(self) except -1:
        cdef Call call = self
        cdef object function = call.on_gone
        if call.is_over:
            return 0
        call.on_gone = None
        if call.on_body is not None and call.exchange.body.error is not None:
            call.paused = False
            call._feed()
        if function is not None and not call.is_over:
            call._guarded(function, ())
        if call.exchange.gone:
            call.abort()
        return 0

    cdef int drained(self) except -1:
        cdef Call call = self
        cdef object function = call.on_drained
        call.on_drained = None
        if function is not None and not call.is_over:
            call._guarded(function, ())
        return 0

    # -- the answer

    def respond(self, int status, object fields, bytes body=b""):
        """A whole answer. Raises ClientDisconnected when nobody is there to take it."""
        self.begin(status, fields)
        self.exchange.write(body, body, len(body), True)
        self._end()

    def begin(self, int status, object fields):
        """The head of an answer, of (name, value) pairs of bytes; sent with the first piece of its body."""
        cdef Exchange exchange = self.exchange
        cdef bytes name, value
        self._open()
        if not 200 <= status <= 999:
            raise AppError(f"{status} is not the status of an answer")
        exchange.begin(status, NULL, 0)
        try:
            for name, value in fields:
                exchange.field(name, len(name), value, len(value))
        except BaseException:
            exchange.replace()
            raise

    def write(self, bytes piece):
        """A piece of the body. What the client does not take is kept for it: look at `waiting`."""
        self._open()
        if piece:
            self.exchange.write(piece, piece, len(piece), False)

    def send_file(self, int fd, int64_t offset, int64_t size):
        """A piece of the body from an open file. The descriptor is copied."""
        self._open()
        self.exchange.write_file(None, os.dup(fd), offset, size, False)

    def flush_head(self):
        """Sends the head before there is a piece of the body."""
        self._open()
        self.exchange.flush_head()

    @property
    def waiting(self):
        """Bytes written that the client has not taken."""
        return 0 if self.is_over else self.exchange.waiting()

    def await_drained(self, object function):
        """Calls `function()` once little is waiting."""
        self.on_drained = function
        self.exchange.want_drained()

    def finish(self):
        """The end of the body."""
        self._open()
        self.exchange.finish()
        self._end()

    def abort(self):
        """Ends the connection, so that no client takes what it has got for whole."""
        if self.is_over:
            return
        if self.exchange.response < RESPONSE_DONE:
            self.exchange.abort()
        self._end()

    def hand_over(self, object take):
        """Has take(exchange) serve it from here on: the call is over. When that raises, it is the call's as before."""
        cdef Exchange exchange = self.exchange
        self._open()
        exchange.job = None
        exchange.reactor = self.reactor
        try:
            take(exchange)
        except BaseException:
            exchange.job = self
            exchange.reactor = None
            raise
        self.is_over = True
        self._let_go()

    cdef void _let_go(self) noexcept:
        # Whoever answers later may hold the call, and the call what they gave it.
        self.on_body = self.on_broken = self.on_gone = self.on_drained = None

    cdef int _open(self) except -1:
        if self.is_over:
            raise ClientDisconnected("this call is over")
        return 0

    cdef int _end(self) except -1:
        self.is_over = True
        if self.exchange.body is not None:
            self.exchange.body.close_file()
        self.exchange.returned()
        self._let_go()
        return 0

    # -- what goes wrong

    cdef int _guarded(self, object function, tuple arguments) except -1:
        try:
            function(*arguments)
        except Exception as error:
            self._failed(error)
        return 0

    cdef int _failed(self, object error) except -1:
        if not isinstance(error, ClientDisconnected):
            self.reactor.report(error)
            if not self.is_over and self.exchange.response <= RESPONSE_STAGED:
                return self._fail(500, "the server failed to serve this request; its log says how")
        self.abort()
        return 0

    def fail(self, int status, str why):
        """Answers as the handler's `fail` has it."""
        self._fail(status, why)

    cdef int _fail(self, int status, str why) except -1:
        """An answer by the handler; what has begun is broken off instead."""
        if self.is_over:
            return 0
        if self.exchange.response > RESPONSE_STAGED or self.exchange.gone:
            self.abort()
            return 0
        self.exchange.replace()
        try:
            self.handler.fail(self, status, why)
        except Exception as error:
            if not isinstance(error, ClientDisconnected):
                self.reactor.report(error)
            self.abort()
        return 0


cdef class Alarm(Source):
    """Calls `function()` on the leading thread when its time has come. One that nobody holds any more never rings."""

    def __cinit__(self, Reactor reactor, object function):
        self.fd = -1
        self.reactor = reactor
        self.function = function
        self.timer.owner = <void*>self

    def __dealloc__(self):
        wheel_remove(&self.timer)

    def set(self, int64_t ms):
        """Rings once, in `ms` milliseconds, rounded up to the reactor's tick; set again: then instead."""
        cdef Reactor reactor = self.reactor
        cdef uint32_t deadline
        reactor.refresh_clock()
        deadline = <uint32_t>((reactor.now_ms + <uint64_t>max(ms, 0) + TICK_MS - 1) // TICK_MS)
        wheel_set(&reactor.wheel, &self.timer, deadline)
        if reactor.waiting and deadline < reactor.sleeps_until:
            reactor.sleeps_until = deadline
            reactor.wake()

    def cancel(self):
        """Does not ring, unless set again."""
        wheel_remove(&self.timer)

    cdef int on_timeout(self) except -1:
        self.function()
        return 0
