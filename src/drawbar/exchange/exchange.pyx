# cython: language_level=3
"""The seam between front and app: one request and its response in flight.

Law: a gateway knows exchanges and never connections; an exchange speaks to one stream of its connection, whatever the
protocol. The base class holds what every protocol shares: the request as offsets, the state of the response, the
rules an app cannot break. Subclasses say how bytes go out.

A request's head is only borrowed from the connection's buffer. Whoever needs it after handle() has returned, or after
an app may have run, calls own_head() first.
"""
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec
from drawbar.net.addresses cimport Sockaddr
from drawbar.net.connection cimport Connection
from drawbar.net.reactor cimport Reactor, Turn
from drawbar.net.scoreboard cimport (
    CellPage, COUNTING, ENTRY_HTTP, ENTRY_TIMED_OUT, Entry, LEADER_CALLS, TEXT_BYTES, entry_free, entry_new,
    entry_publish, entry_state, observe)
from drawbar.wire.head cimport Field, Head, MAX_FIELDS
from drawbar.wire.tables cimport same_name

from drawbar.exchange.forwarded import Client


cdef extern from "pythread.h":
    unsigned long PyThread_get_thread_ident()


cdef uint64_t now_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <uint64_t>now.tv_sec * 1_000_000_000 + <uint64_t>now.tv_nsec


cdef class Job:
    """A gateway's side of an exchange: the call of its app, and what it hears meanwhile."""

    cdef int run(self) except -1:
        raise NotImplementedError("this job needs an event loop")

    cdef object coroutine(self):
        raise NotImplementedError("this job needs a thread that may block")

    cdef bint wanted(self) noexcept:
        cdef Exchange exchange = self.exchange
        return exchange is None or exchange.response == RESPONSE_NONE and not exchange.gone

    cdef int dismiss(self) except -1:
        cdef Exchange exchange = self.exchange
        if exchange is None:
            return 0
        if exchange.response < RESPONSE_DONE:
            exchange.abort()
        if exchange.body is not None:
            exchange.body.close_file()
        exchange.returned()
        return 0

    cdef int failed(self, object error) except -1:
        return self.dismiss()

    cdef int body_arrived(self) except -1:
        return 0

    cdef int disconnected(self) except -1:
        return 0

    cdef int drained(self) except -1:
        return 0

    cdef int data_received(self, bytes data) except -1:
        return 0

    cdef int draining(self) except -1:
        return 0

    cdef int timed_out(self) except -1:
        return 0


cdef class Executor:
    """Decides on which thread, and when, a job runs."""

    cdef Turn submit(self, Job job) except *:
        raise NotImplementedError("an executor runs jobs")

    cdef int write_off(self, Job job) except -1:
        return 0


cdef class Handler:
    """Whoever takes an exchange next: an edge handler or an executor with its gateway."""

    cdef bint streams_body(self, Exchange exchange) except *:
        return self.streams

    cdef Turn handle(self, Exchange exchange) except *:
        raise NotImplementedError("a handler takes exchanges")


cdef inline str _latin1(const char* data, size_t size):
    return data[:size].decode("latin-1")


cdef class Exchange:
    """One request and its response in flight."""

    def __dealloc__(self):
        if self.in_flight and self.reactor is not None:
            # Its handler broke before there was an answer or a call.
            self._release()
        if self.owned is not NULL:
            free(self.owned)

    # -- figures

    cdef void handed(self, int fd, const Sockaddr* peer, bint held) noexcept:
        cdef Reactor reactor = self.reactor
        cdef Head* head = self.head
        cdef Entry* entry
        cdef uint32_t size
        if not COUNTING:
            return
        self.ready_ns = reactor.turn_ns
        self.in_flight = True
        self.direct = True
        reactor.page.in_flight += 1
        entry = entry_new(reactor.page)
        self.entry = entry
        if entry is NULL:
            return
        entry.started_ns = self.ready_ns
        entry.called_ns = 0
        entry.thread = 0
        entry.fd = fd
        entry.kind = ENTRY_HTTP
        entry.ip_family = peer.family
        entry.port = peer.port
        memcpy(entry.ip, peer.ip, sizeof(peer.ip))
        # One space stands between them (RFC 9112 section 3).
        size = min(head.target + head.target_size - head.method, <uint32_t>TEXT_BYTES)
        memcpy(entry.text, self.base + head.method, size)
        entry.text_size = <uint8_t>size
        entry_publish(reactor.page, entry, held)

    cdef void called(self) noexcept:
        cdef Reactor reactor = self.reactor
        cdef CellPage* page
        if not COUNTING or not self.in_flight:
            return
        page = reactor.page
        if not self.direct:
            # It has waited. Else the clock was read when the turn began, or when the call before ended.
            reactor.stamp()
        elif not reactor.nested:
            page.leader = LEADER_CALLS
        self.called_ns = reactor.now_ns
        self.calling = True
        page.busy += 1
        observe(&page.tally.queued, self.called_ns - self.ready_ns)
        if self.entry is not NULL:
            self.entry.thread = PyThread_get_thread_ident()
            self.entry.called_ns = self.called_ns

    cdef void waits_again(self) noexcept:
        if not self.calling:
            return
        self.calling = False
        self.called_ns = 0
        self.reactor.page.busy -= 1
        if self.entry is not NULL:
            self.entry.called_ns = 0

    cdef void called_again(self) noexcept:
        # Its first wait is the one that was counted: a request waits once in the figures, as it is answered once.
        if not COUNTING or not self.in_flight or self.calling:
            return
        self.reactor.stamp()
        self.called_ns = self.reactor.now_ns
        self.calling = True
        self.reactor.page.busy += 1
        if self.entry is not NULL:
            self.entry.called_ns = self.called_ns

    cdef void returned(self) noexcept:
        self.job = None
        if self.calling:
            self.calling = False
            self.reactor.page.busy -= 1
        if self.in_flight and self.response >= RESPONSE_DONE:
            self._release()

    cdef void answered(self) noexcept:
        cdef CellPage* page
        if not COUNTING or self.reactor is None:
            return
        page = self.reactor.page
        # One that timed out was counted by whoever called it off.
        # One whose connection another protocol took over was counted then, and how long it lasts is no latency.
        if self.status != 101 and (self.entry is NULL or entry_state(self.entry) != ENTRY_TIMED_OUT):
            # RFC 9110 section 15: what is above 599 counts as a server's error.
            page.tally.requests[min(self.status // 100, 5)] += 1
            if self.in_flight:
                observe(&page.tally.latency, self.done_ns - self.ready_ns)
        if self.job is None:
            self._release()

    cdef void _release(self) noexcept:
        """No longer in flight."""
        cdef CellPage* page = self.reactor.page
        if not self.in_flight:
            return
        self.in_flight = False
        page.in_flight -= 1
        if self.entry is not NULL:
            entry_free(page, self.entry)
            self.entry = NULL

    cdef int own_head(self) except -1:
        """Copies the head out of the connection's buffer. Idempotent; nothing once the response has ended."""
        cdef size_t table, text
        cdef char* block
        if self.owned is not NULL or self.head is NULL:
            return 0
        table = sizeof(Head) - (MAX_FIELDS - self.head.n_fields) * sizeof(Field)
        text = self.head.size
        block = <char*>malloc(table + text)
        if block is NULL:
            raise MemoryError()
        memcpy(block, self.head, table)
        memcpy(block + table, self.base, text)
        self.owned = block
        self.head = <Head*>block
        self.base = block + table
        return 0

    # -- what a log line or a test asks; not for the hot path. Empty once a head that nobody copied is gone.

    @property
    def method(self):
        """The method as the client wrote it."""
        if self.head is NULL:
            return ""
        return _latin1(self.base + self.head.method, self.head.method_size)

    @property
    def target(self):
        """The request target as the client wrote it."""
        if self.head is NULL:
            return ""
        return _latin1(self.base + self.head.target, self.head.target_size)

    @property
    def http_version(self):
        """"1.1" or "1.0"."""
        return "1.1" if self.minor else "1.0"

    @property
    def remote(self):
        """The client: (address, port), behind trusted proxies the one they name; None for a bare Unix socket."""
        return self.client().address

    @property
    def status_code(self):
        """Status of the response, 0 while there is none."""
        return self.status

    @property
    def body_bytes(self):
        """Bytes of response body handed on so far."""
        return self.written

    @property
    def complete(self):
        """The response went out whole, as far as this side can tell."""
        return self.response == RESPONSE_DONE and not self.gone

    @property
    def duration_ns(self):
        """Nanoseconds from the request's head to its end here; 0 when it was not timed."""
        return self.done_ns - self.accepted_ns if self.done_ns and self.accepted_ns else 0

    @property
    def client_ns(self):
        """Of these, those until all was here that its app is called with: its client's."""
        return self.ready_ns - self.accepted_ns if self.ready_ns and self.accepted_ns else 0

    @property
    def queue_ns(self):
        """Then, those until the call of its app that answered; without one, until the end."""
        cdef uint64_t end = self.called_ns or self.done_ns
        return end - self.ready_ns if self.ready_ns and end else 0

    @property
    def app_ns(self):
        """Then, those until the end; None when its app was not called, or did not answer."""
        return self.done_ns - self.called_ns if self.done_ns and self.called_ns else None

    def header(self, bytes name):
        """Value of the first field of that lower-case name, or None."""
        cdef int i
        cdef Field* field
        if self.head is NULL:
            return None
        for i in range(self.head.n_fields):
            field = &self.head.fields[i]
            if field.name_size == len(name) and same_name(self.base + field.name, name, field.name_size):
                return _latin1(self.base + field.value, field.value_size)
        return None

    @property
    def headers(self):
        """All fields as (name, value), as the client wrote them."""
        cdef int i
        if self.head is NULL:
            return []
        return [
            (_latin1(self.base + self.head.fields[i].name, self.head.fields[i].name_size),
             _latin1(self.base + self.head.fields[i].value, self.head.fields[i].value_size))
            for i in range(self.head.n_fields)]

    cdef tuple peer(self):
        return None

    cdef str peer_host(self):
        return None

    cdef int peer_port(self) noexcept:
        return 0

    cdef tuple server(self):
        return None

    cdef str scheme(self):
        return "http"

    cdef bint believes(self, int known):
        return False

    cdef object client(self):
        return Client(self.peer(), self.scheme(), None, None, None)

    cdef int pull(self, size_t wanted) except -1:
        return 0

    cdef int resume_body(self) except -1:
        return 0

    cdef int begin(self, int status, const char* reason, size_t reason_size) except -1:
        raise NotImplementedError

    cdef int field(self, const char* name, size_t name_size, const char* value, size_t value_size) except -1:
        raise NotImplementedError

    cdef int write(self, object owner, const char* data, size_t size, bint last) except -1:
        raise NotImplementedError

    cdef int write_file(self, object owner, int fd, int64_t offset, int64_t size, bint last) except -1:
        raise NotImplementedError

    cdef int flush_head(self) except -1:
        raise NotImplementedError

    cdef int finish(self) except -1:
        raise NotImplementedError

    cdef int trailer(self, const char* name, size_t name_size, const char* value, size_t value_size) except -1:
        raise NotImplementedError

    cdef int informational(self, int status, list fields) except -1:
        raise NotImplementedError

    cdef int replace(self) except -1:
        raise NotImplementedError

    cdef int respond(self, int status, bytes body, bytes content_type) except -1:
        """A whole response of ours, in place of what was staged."""
        self.replace()
        self.begin(status, NULL, 0)
        self.field(b"Content-Type", 12, content_type, len(content_type))
        return self.write(body, body, len(body), True)

    cdef void abort(self) noexcept:
        pass

    cdef bint called_off(self) noexcept:
        return self.entry is not NULL and entry_state(self.entry) == ENTRY_TIMED_OUT

    cdef int timed_out(self, const char* answer, size_t size, size_t sent, size_t body) except -1:
        return 0

    cdef size_t waiting(self) noexcept:
        return 0

    cdef int wait_output(self) except -1:
        return 0

    cdef int want_drained(self) except -1:
        return 0

    cdef int take_over(self) except -1:
        raise NotImplementedError

    cdef int read_raw(self, bint reading) except -1:
        raise NotImplementedError

    cdef int raw_write(self, bytes data) except -1:
        raise NotImplementedError

    cdef int raw_close(self) except -1:
        raise NotImplementedError

    cdef bytes detach(self, Connection into, bytes head):
        raise NotImplementedError
