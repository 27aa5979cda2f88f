# cython: language_level=3
"""The front: exchanges of clients on their way into their apps' queues, and to whoever comes for them.

Law: one thread. The front decides nothing about who is next, for how long and how often: its queues do (queue.pyx). It
tells them what happens to clients and workers, brings together what they match, and turns what they say into answers:
503 for a queue that is full, stopped or too slow, 504 past the deadline, 502 when a worker is lost and the request may
not run again. A client's answer never waits for a worker that is lost, and a worker that answers too late meets nobody.

A client that closes its side is gone (as it is to nginx): over TCP nothing tells one that waits without speaking from
one that left, and a request that nobody waits for must not reach a worker. `answer_half_closed` says otherwise.
"""
cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint32_t, uint64_t
from drawbar.exchange.exchange cimport (
    Exchange, Handler, RESPONSE_DONE, RESPONSE_NONE, RESPONSE_STAGED)
from drawbar.gateways.hop_by_hop cimport is_hop_by_hop
from drawbar.gateways.http cimport ServerRules
from drawbar.gateways.http_job cimport HttpJob
from drawbar.gateways.http_request cimport body_size, put_request
from drawbar.net.reactor cimport Reactor, Source, TURN_KEPT, Turn
from drawbar.net.timers cimport NEVER, TICK_MS, wheel_remove, wheel_set
from drawbar.pull.entry cimport Due, ID_DIGITS, Room, State
from drawbar.pull.queue cimport (
    ACCEPTED, AGAIN, AppQueue, Back, Entry, STOPPED, UNWATCHED, Verdict, WATCHED_FOR_ALL)
from drawbar.pull.routes cimport Route, RouteTable
from drawbar.wire.tables cimport (
    KNOWN_UPGRADE, METHOD_DELETE, METHOD_GET, METHOD_HEAD, METHOD_OPTIONS, METHOD_PUT, METHOD_TRACE, clean_value,
    known_name, name_hash)
from drawbar.wire.writer cimport Buffer, buffer_free, put_decimal, put_literal

from drawbar.exchange.errors import AppError, ClientDisconnected


# RFC 9110 section 9.2.2: "Of the request methods defined by this specification, PUT, DELETE, and safe request methods
# are idempotent"; safe are GET, HEAD, OPTIONS and TRACE (section 9.2.1).
cdef inline bint _is_idempotent(int method) noexcept nogil:
    return (method == METHOD_GET or method == METHOD_HEAD or method == METHOD_OPTIONS or method == METHOD_PUT
            or method == METHOD_DELETE or method == METHOD_TRACE)


# Its timer is in the reactor's wheel, so that must not go first.
@cython.no_gc_clear
cdef class Clock(Source):
    """Calls the front when a request's time is up."""

    def __cinit__(self):
        self.timer.owner = <void*>self
        self.timer.deadline = <uint32_t>NEVER

    def __dealloc__(self):
        wheel_remove(&self.timer)

    cdef int on_timeout(self) except -1:
        return self.front.tick()


cdef class Front(Handler):
    """Takes what the connections of public sites bring.

    stream_input: requests of apps that do not say otherwise go to their app when their head is here, and their body
    follows as it comes; without it, when all is here, and a slow client holds no worker. answer_half_closed: a client
    that has closed its side may still read. retry_after: seconds, said with 503. rules: what workers may answer, and
    how slowly. on_lost: told, as on_lost(delivery, worker, label, why, again), that a worker lost a request, and
    whether that runs again. on_watched: told an app whose queue has come to what it is watched for; each time, until
    that is changed.
    """

    def __init__(self, Reactor reactor, *, bint stream_input=False, bint answer_half_closed=False,
                 uint32_t retry_after=1, ServerRules rules=None, object on_lost=None):
        self.reactor = reactor
        # Its calls are its workers', and their number is theirs.
        reactor.page.threads = 0
        self.streams = stream_input
        self.buffers = True
        self.answer_half_closed = answer_half_closed
        self.retry_after_s = retry_after
        self.rules = rules if rules is not None else ServerRules()
        self.on_lost = on_lost
        self.queues = {}
        self.attached = set()
        self.routes = RouteTable()
        self.clock = Clock()
        self.clock.front = self
        self.clock.reactor = reactor

    @property
    def now_ms(self):
        """The time queues are told."""
        return self.reactor.now_ms

    def add_app(self, str name, AppQueue queue, routes=None, stream_input=None):
        """Leads `routes` to a queue; None: all requests. ValueError when one of them leads to another app.

        stream_input: None: as the front's.
        """
        cdef Route route
        for route in routes if routes is not None else (Route(),):
            self.routes.add(route, queue)
            route.streams = self.streams if stream_input is None else stream_input
        self.queues[name] = queue

    # -- requests

    cdef bint streams_body(self, Exchange exchange) except *:
        cdef Route route = self.routes.find(exchange)
        # What is no app's is refused at once.
        return route is None or route.streams

    cdef Turn handle(self, Exchange exchange) except *:
        cdef Route route = self.routes.find(exchange)
        cdef Delivery delivery = Delivery.__new__(Delivery)
        cdef Entry entry
        cdef Verdict verdict
        delivery.exchange = exchange
        delivery.front = self
        exchange.job = delivery
        if exchange.body is not None and exchange.body.error is not None:
            # It came with its head, and is known to be bad before anybody gets it.
            delivery.answer(exchange.body.error.status, str(exchange.body.error), 0)
            return TURN_KEPT
        if route is None:
            delivery.answer(404, "no app is served at this host and path", 0)
            return TURN_KEPT
        entry = Entry.__new__(Entry)
        entry.payload = delivery
        entry.safe = route.repeatable or _is_idempotent(exchange.method_id)
        delivery.entry = entry
        delivery.queue = route.app
        delivery.prefix = route.shown
        verdict = delivery.queue.put(entry, _held(exchange), route.priority, self.reactor.now_ms)
        if verdict != ACCEPTED:
            self.refuse(delivery, verdict)
            return TURN_KEPT
        self.dispatch(delivery.queue)
        return TURN_KEPT

    cdef int refuse(self, Delivery delivery, Verdict verdict) except -1:
        if verdict == STOPPED:
            return delivery.answer(503, delivery.queue.message or "the app is stopped", self.retry_after_s)
        return delivery.answer(503, "more requests wait than may wait", self.retry_after_s)

    cpdef dispatch(self, AppQueue queue):
        """Gives rooms what waits, until one of the two is used up: when a queue got room, or was resumed."""
        cdef Entry entry
        cdef AppQueue before = self.dispatching
        if before is queue:
            # A room that was given something broke at once: the loop below goes on.
            return
        self.dispatching = queue
        try:
            entry = queue.match(self.reactor.now_ms)
            while entry is not None:
                self.give(entry)
                entry = queue.match(self.reactor.now_ms)
        finally:
            self.dispatching = before
        self.watch_time(queue)
        if queue.watch != UNWATCHED and (queue.queued or (queue.watch == WATCHED_FOR_ALL and queue.peak)):
            self.on_watched(queue.name)

    cdef int give(self, Entry entry) except -1:
        cdef Delivery delivery = entry.payload
        try:
            delivery.given()
            entry.room.give(entry)
        except Exception as error:
            self.reactor.report(error)
            if delivery.server is not None:
                delivery.server.drop()
            delivery.lost(502, "the request could not be given to a worker")
        return 0

    # -- time

    cdef int watch_time(self, AppQueue queue) except -1:
        """Sets the clock to when the queue's next request is due, if that is before it rings anyway."""
        cdef uint64_t at = queue.next_due_ms()
        cdef uint32_t tick
        if at:
            tick = <uint32_t>((at + TICK_MS - 1) // TICK_MS)
            if tick < self.clock.timer.deadline:
                wheel_set(&self.reactor.wheel, &self.clock.timer, tick)
        return 0

    cdef int tick(self) except -1:
        """Ends what is due, so many at most, and looks again."""
        cdef AppQueue queue
        cdef Entry entry
        cdef int ended = 0
        self.clock.timer.deadline = <uint32_t>NEVER
        for queue in list(self.queues.values()):
            while ended < DUE_AT_ONCE:
                entry = queue.pop_due(self.reactor.now_ms)
                if entry is None:
                    break
                ended += 1
                self.end_due(<Delivery>entry.payload, entry)
            self.watch_time(queue)
        return 0

    cdef int end_due(self, Delivery delivery, Entry entry) except -1:
        if entry.due == Due.LEASE_LOST:
            # Not past its deadline: that would be due first.
            return delivery.lost(502, "the worker that had the request did not answer within its lease")
        if entry.due == Due.QUEUED_TOO_LONG:
            return delivery.answer(503, "no worker had room for the request in time", self.retry_after_s)
        return delivery.answer(504, "the request was not answered in time", 0)

    # -- for lanes

    def lose(self, Delivery delivery, str why):
        """The worker that had it is gone. True: it waits again; False: its client was told, with `why`."""
        delivery.told = True
        delivery.lost(502, why)
        delivery.told = delivery.over
        return not delivery.over

    def release(self, Delivery delivery, bint unrun=True):
        """The worker gives it back. unrun: it has not begun. True: it waits again; False: its client was told."""
        delivery.told = True
        delivery.unread = unrun
        delivery.lost(502, "the worker gave the request back, and it may have begun")
        delivery.told = delivery.over
        return not delivery.over

    def delivery_of(self, Exchange exchange):
        """The delivery of an exchange that is not over; None when it has none."""
        return exchange.job if isinstance(exchange.job, Delivery) else None


cdef uint64_t _held(Exchange exchange):
    """Bytes in memory that belong to the request alone."""
    return exchange.head.size + (exchange.body.memory.size if exchange.body is not None else 0)


cdef class Delivery(HttpJob):
    """A client's exchange and its place in the queue: what lanes in Python see of it.

    When it is `over`, its client has an answer, or is gone, and everything below raises ClientDisconnected. `on_gone()`
    is called when that was not the lane's doing, `on_drained()`, once, when little waits for the client.
    """

    cdef int given(self) except -1:
        if self.entry._serial == 1:
            self.exchange.called()
        else:
            self.exchange.called_again()
        return 0

    # -- what its server, or its lane, does

    cdef int put_fields(self, Buffer* into) except -1:
        """Which attempt at what this is."""
        cdef Entry entry = self.entry
        cdef char identity[ID_DIGITS]
        cdef uint64_t now = self.front.reactor.now_ms
        entry.put_id(identity)
        put_literal(into, "Drawbar-Request-Id: ", 20)
        put_literal(into, identity, ID_DIGITS)
        put_literal(into, "\r\nDrawbar-Attempt: ", 19)
        put_decimal(into, entry.attempts, 1)
        if entry.deadline_ms:
            put_literal(into, "\r\nDrawbar-Deadline-Ms: ", 23)
            put_decimal(into, entry.deadline_ms - now if entry.deadline_ms > now else 0, 1)
        return put_literal(into, "\r\n", 2)

    cdef int began(self) except -1:
        self.queue.begin(self.entry)
        return 0

    cdef int lost(self, int status, str why) except -1:
        cdef Entry entry = self.entry
        cdef Room room
        cdef Back back
        # Held while the queue, which lets go of it, goes on to serve others.
        cdef Delivery delivery = self
        if delivery.over:
            return 0
        room = entry.room
        if self.spent:
            # What was sent of its body is nowhere any more.
            entry.safe = False
        if self.unread and not self.spent:
            self.unread = False
            back = self.queue.release(entry, self.front.reactor.now_ms)
        else:
            back = self.queue.lose(entry, self.front.reactor.now_ms)
        if self.front.on_lost is not None and room is not None:
            self.tell(room, why, back == AGAIN)
        if back != AGAIN:
            return self.answer(status, why, 0)
        self.exchange.replace()
        self.exchange.waits_again()
        self.front.dispatch(self.queue)
        return 0

    cdef int tell(self, Room room, str why, bint again) except -1:
        try:
            self.front.on_lost(self, room.worker, room.label, why, again)
        except Exception as error:
            self.front.reactor.report(error)
        return 0

    cdef int ended(self) except -1:
        cdef Entry entry = self.entry
        cdef object on_gone = self.on_gone
        self.on_gone = self.on_drained = None
        if entry is None:
            return 0
        self.entry = None
        entry.payload = None
        if entry.state != State.NEW:
            # One that was refused has waited for nobody.
            self.queue.times.add(self.exchange)
        if entry.state == State.QUEUED or entry.state == State.LEASED:
            if entry.state == State.LEASED and (self.told or self.exchange.response == RESPONSE_DONE):
                self.queue.finish(entry, self.exchange.status >= 500 or self.exchange.response != RESPONSE_DONE)
            else:
                self.queue.forget(entry)
        if on_gone is not None and not self.told:
            try:
                on_gone()
            except Exception as error:
                self.front.reactor.report(error)
        return 0

    # -- what its client does

    cdef int disconnected(self) except -1:
        if self.exchange.gone or not self.front.answer_half_closed:
            return self.end()
        return 0

    cdef int drained(self) except -1:
        cdef object callback = self.on_drained
        if self.server is not None:
            return HttpJob.drained(self)
        self.on_drained = None
        if callback is not None:
            callback()
        return 0

    # -- the request, for lanes in Python

    @property
    def app(self):
        """Whose request it is."""
        return self.queue.name

    @property
    def method(self):
        return self.exchange.method

    @property
    def target(self):
        """As the client wrote it."""
        return self.exchange.target

    @property
    def http_version(self):
        """"1.1" or "1.0"."""
        return self.exchange.http_version

    @property
    def remote(self):
        """The client: (address, port); None on a Unix socket."""
        return self.exchange.remote

    @property
    def scheme(self):
        """"http" or "https", as the client used it."""
        return self.exchange.client().scheme

    @property
    def head(self):
        """The head of the request as workers get it: request line, fields, empty line."""
        cdef Buffer into
        into.data = NULL
        into.size = into.capacity = 0
        self.open()
        try:
            put_request(&into, self.exchange, body_size(self.exchange), self.prefix, False)
            self.put_fields(&into)
            put_literal(&into, "\r\n", 2)
            return into.data[:into.size]
        finally:
            buffer_free(&into)

    @property
    def fields(self):
        """The fields of that head: pairs of bytes, in order."""
        cdef bytes line
        cdef list pairs = []
        for line in self.head.split(b"\r\n"):
            name, colon, value = line.partition(b": ")
            if colon:
                pairs.append((name, value))
        return pairs

    @property
    def body_size(self):
        """Bytes of body."""
        return self.exchange.body.received if self.exchange.body is not None else 0

    def open_body(self):
        """The body as a binary file at its start; None without one. Not to be closed: it may be needed again."""
        self.open()
        if self.exchange.body is None:
            return None
        file = self.exchange.body.open()
        file.seek(0)
        return file

    @property
    def is_gone(self):
        """Its client is, or it has been answered otherwise."""
        return self.over or self.exchange.gone

    @property
    def waiting(self):
        """Bytes of the response that its client has not taken."""
        return self.exchange.waiting()

    # -- the response, for lanes in Python

    cdef int open(self) except -1:
        if self.over:
            raise ClientDisconnected("the request has been answered, or its client is gone")
        return 0

    def begin(self, int status, bytes reason, fields):
        """Starts the response. AppError for what cannot be sent; fail(502, ...) is still possible then."""
        cdef bytes name, value
        cdef int known
        self.open()
        if not 200 <= status <= 999:
            raise AppError(f"a response's status is 200 to 999, not {status}")
        if reason is not None and not clean_value(reason, len(reason)):
            raise AppError("control character in the reason phrase")
        if self.exchange.response == RESPONSE_STAGED:
            self.exchange.replace()
        self.exchange.begin(status, PyBytes_AS_STRING(reason) if reason else NULL, len(reason) if reason else 0)
        for name, value in fields:
            known = known_name(name, len(name), name_hash(name, len(name)))
            if is_hop_by_hop(known) and not (status == 426 and known == KNOWN_UPGRADE):
                continue
            self.exchange.field(PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name), PyBytes_AS_STRING(value),
                                PyBytes_GET_SIZE(value))

    def write(self, bytes data, bint last=False):
        """More of the body. AppError when it contradicts what was said before."""
        self.open()
        if self.exchange.response == RESPONSE_NONE:
            raise AppError("a body without a head: the response must be started first")
        self.note_begun()
        try:
            if data or last:
                self.exchange.write(data, PyBytes_AS_STRING(data), PyBytes_GET_SIZE(data), last)
            else:
                self.exchange.flush_head()
        finally:
            self.settle()
        if not self.over and self.on_drained is not None:
            self.exchange.want_drained()

    def trailer(self, bytes name, bytes value):
        """A field after the body. Dropped where the client did not ask for any."""
        self.open()
        self.exchange.trailer(PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name), PyBytes_AS_STRING(value),
                              PyBytes_GET_SIZE(value))

    def finish(self):
        """The end of the body."""
        self.open()
        self.note_begun()
        try:
            self.exchange.finish()
        finally:
            self.settle()

    cdef int settle(self) except -1:
        """After a call that may have ended the response, one way or the other."""
        if self.exchange.response >= RESPONSE_DONE or self.exchange.gone:
            self.told = True
            self.end()
        return 0

    def abort(self):
        """Breaks the response off, so that its client sees it."""
        if not self.over:
            self.told = True
            self.end()

    def fail(self, int status, str why, uint32_t retry_after=0):
        """Answers in the worker's place; breaks off what has begun."""
        if not self.over:
            self.told = True
            self.answer(status, why, retry_after)
