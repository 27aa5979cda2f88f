# cython: language_level=3
"""ASGI 3 (asgi.readthedocs.io/en/latest/specs): HTTP, and the way in for WebSockets.

Law: `receive` and `send` return something already finished whenever nothing has to be waited for, so an app that
answers at once never goes through the loop. Both are ordinary awaitables, and coroutines to those who ask.

http.disconnect is delivered when the response is complete, when the connection broke, or when the client shut its
side: a client that only half-closes still gets what the app sends. A sent message after the connection broke raises
ClientDisconnected, the OSError of the spec since 2.4.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint32_t
from libc.string cimport memchr, memcmp
from drawbar.exchange.exchange cimport Exchange, Executor, Handler, Job, RESPONSE_DONE, RESPONSE_NONE, RESPONSE_SENT
from drawbar.gateways.keys cimport Key, KeyTable, bytes_pair
from drawbar.gateways.wsgi cimport unquote
from drawbar.net.reactor cimport TURN_KEPT, Turn
from drawbar.wire.head cimport FLAG_UPGRADE, Field, Head, TARGET_ABSOLUTE
from drawbar.wire.tables cimport (
    KNOWN_FORWARDED, KNOWN_NONE, KNOWN_PROXY, KNOWN_UPGRADE, METHOD_GET, known_name, name_hash, same_name)

import os
import stat
from asyncio import CancelledError

from drawbar.exchange.errors import AppError, ClientDisconnected

# Most of one message: enough for one read of the socket.
cdef enum:
    MESSAGE_BYTES = 65_536

cdef list METHOD_NAMES = [None, "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"]


cdef class _Ready:
    """An awaitable that has its result already. Holds nothing that awaiting would change."""
    cdef object value

    def __await__(self):
        return self

    def __iter__(self):
        return self

    def __next__(self):
        if self.value is None:
            raise StopIteration
        raise StopIteration(self.value)

    # What collections.abc.Coroutine asks for, so that create_task(receive()) works as with an async function.
    def send(self, value):
        raise StopIteration(self.value)

    def throw(self, kind, value=None, traceback=None):
        raise kind if value is None else value

    def close(self):
        return None


cdef _Ready NOTHING = _Ready.__new__(_Ready)


cdef object _ready(object value):
    cdef _Ready ready = _Ready.__new__(_Ready)
    ready.value = value
    return ready


cdef class AsgiKeys(KeyTable):
    """Field names of a scope: lower-case bytes."""

    cdef object make_key(self, bytes lower):
        return lower


cdef class AsgiHandler(Handler):
    """Calls one ASGI application.

    executor: runs coroutines on `loop`. state: what the lifespan left, copied into every scope. websocket: coroutine
    function (app, scope, upgrade) that speaks the protocol, or None. error_page: makes the 500 page of an exception.
    """

    def __init__(self, object app, Executor executor, object loop, *, str root_path="", dict state=None,
                 object websocket=None, object error_page=None):
        self.app = app
        self.executor = executor
        self.loop = loop
        self.root_path = root_path
        self.state = state
        self.websocket = websocket
        self.error_page = error_page
        self.streams = True
        self.keys = AsgiKeys()
        # From 2.4 on Starlette's streams look for a departed client only when they send, so a silent one never ends.
        self.asgi = {"version": "3.0", "spec_version": "2.3"}
        self.websocket_asgi = {"version": "3.0", "spec_version": "2.4"}
        self.extensions = {
            "http.response.trailers": {}, "http.response.pathsend": {}, "http.response.early_hint": {}}
        self.websocket_extensions = {"websocket.http.response": {}}

    cdef Turn handle(self, Exchange exchange) except *:
        cdef AsgiCall call
        cdef Upgrade upgrade
        if exchange.flags & FLAG_UPGRADE and self.websocket is not None and self._wants_websocket(exchange):
            upgrade = Upgrade.__new__(Upgrade)
            upgrade.handler = self
            upgrade.exchange = exchange
            upgrade.lasting = True
            upgrade.scope = self.scope(exchange, True)
            # It will outlive the connection's buffer by far, and a report or a log line asks for its target.
            exchange.own_head()
            exchange.job = upgrade
            return self.executor.submit(upgrade)
        if exchange.body is not None and exchange.body.error is not None:
            # It came with its head, and is known to be bad before there is a call that could be told.
            _answer_bad_body(exchange)
            return TURN_KEPT
        call = AsgiCall.__new__(AsgiCall)
        call.handler = self
        call.exchange = exchange
        call.scope = self.scope(exchange, False)
        exchange.job = call
        return self.executor.submit(call)

    cdef bint _wants_websocket(self, Exchange exchange):
        """RFC 6455 section 4.1: a GET whose Upgrade field is "websocket"."""
        cdef Field* field
        cdef uint32_t i
        if exchange.method_id != METHOD_GET or exchange.body is not None:
            # With a body still to come, where HTTP ends and frames begin would be the client's to say.
            return False
        for i in range(exchange.head.n_fields):
            field = &exchange.head.fields[i]
            if field.known == KNOWN_UPGRADE:
                return field.value_size == 9 and same_name(exchange.base + field.value, b"websocket", 9)
        return False

    cdef dict scope(self, Exchange exchange, bint websocket):
        cdef Head* head = exchange.head
        cdef const char* base = exchange.base
        cdef bint forwarded = False
        cdef list headers = self._fields(exchange, &forwarded)
        cdef str path = self._path(exchange)
        cdef str prefix = self.root_path
        cdef object address, scheme
        cdef tuple server = exchange.server()
        cdef bytes host = None
        cdef dict scope
        if head.target_form == TARGET_ABSOLUTE:
            # RFC 9112 section 3.2.2: the Host field gives way to the target's own authority.
            host = base[head.authority:head.authority + head.authority_size]
        if forwarded:
            client = exchange.client()
            address = client.address
            scheme = client.scheme
            if client.prefix is not None:
                prefix = client.prefix
            if client.host is not None:
                host = client.host.encode("latin-1")
            if client.port is not None:
                server = (server[0] if server[1] is not None else "localhost", client.port)
        else:
            address = exchange.peer()
            scheme = exchange.scheme()
        if host is not None:
            headers = [pair for pair in headers if pair[0] != b"host"]
            headers.insert(0, (b"host", host))
        if prefix and not path.startswith(prefix):
            path = prefix + path
        scope = {
            "type": "http",
            "asgi": self.asgi,
            "http_version": "1.1" if head.minor else "1.0",
            "server": server,
            "client": address,
            "scheme": scheme,
            "method": (METHOD_NAMES[head.method_id]
                       or base[head.method:head.method + head.method_size].decode("latin-1")),
            "root_path": prefix,
            "path": path,
            "raw_path": self.last_path_bytes,
            "query_string": base[head.query:head.query + head.query_size] if head.query_size else b"",
            "headers": headers,
            "extensions": self.extensions,
        }
        if websocket:
            scope["type"] = "websocket"
            scope["asgi"] = self.websocket_asgi
            scope["scheme"] = "wss" if scheme == "https" else "ws"
            scope["extensions"] = self.websocket_extensions
            del scope["method"]
        if self.state is not None:
            scope["state"] = self.state.copy()
        return scope

    cdef str _path(self, Exchange exchange):
        cdef Head* head = exchange.head
        cdef const char* path = exchange.base + head.path
        cdef bytes last = self.last_path_bytes
        if last is not None and <uint32_t>PyBytes_GET_SIZE(last) == head.path_size and memcmp(
                PyBytes_AS_STRING(last), path, head.path_size) == 0:
            return self.last_path
        self.last_path_bytes = path[:head.path_size]
        if head.path_size == 0:
            self.last_path = "/" if head.target_form == TARGET_ABSOLUTE else ""
        else:
            self.last_path = unquote(path, head.path_size).decode("utf-8", "replace")
        return self.last_path

    cdef list _fields(self, Exchange exchange, bint* forwarded):
        cdef Head* head = exchange.head
        cdef const char* base = exchange.base
        cdef Field* field
        cdef Key* key
        cdef list headers = []
        cdef uint32_t i
        for i in range(head.n_fields):
            field = &head.fields[i]
            if field.known >= KNOWN_PROXY and field.known <= KNOWN_FORWARDED:
                if field.known == KNOWN_PROXY or not exchange.believes(field.known):
                    # What a stranger says of itself never reaches the app as fact.
                    continue
                forwarded[0] = True
            elif field.known == KNOWN_NONE and memchr(base + field.name, b"_", field.name_size) is not NULL and (
                    _poses_as_forwarded(base + field.name, field.name_size)):
                continue
            key = self.keys.find(base, field)
            headers.append(bytes_pair(key, base + field.value, field.value_size))
        return headers


cdef bint _poses_as_forwarded(const char* name, size_t size):
    """X_Forwarded_For, which frameworks that speak CGI's names inside would take for X-Forwarded-For."""
    cdef bytes plain = name[:size].replace(b"_", b"-")
    cdef int known = known_name(plain, size, name_hash(plain, size))
    return KNOWN_PROXY <= known <= KNOWN_FORWARDED


cdef int _answer_bad_body(Exchange exchange) except -1:
    return exchange.respond(exchange.body.error.status, str(exchange.body.error).encode() + b"\n",
                            b"text/plain; charset=utf-8")


cdef class AsgiCall(Job):
    """One call of the app for one HTTP request."""

    cdef object coroutine(self):
        return self._run()

    async def _run(self):
        self.exchange.called()
        try:
            await self.handler.app(self.scope, self.receive, self.send)
        except BaseException as error:
            self._ended(error)
            # Cancelling and closing end a coroutine by rule. Any other BaseException, sys.exit() first of all, would
            # end the loop, and with it every exchange of the worker: it ends the app's own call and no more.
            if isinstance(error, (CancelledError, GeneratorExit)):
                raise
        else:
            self._ended(None)

    # -- what the exchange says

    cdef int body_arrived(self) except -1:
        cdef Exchange exchange = self.exchange
        if exchange.body is not None and exchange.body.error is not None and not exchange.gone and (
                exchange.response == RESPONSE_NONE):
            # The rest of the request will not come, so this is the answer, whatever the app makes of it.
            self.answered = True
            _answer_bad_body(exchange)
        return self._wake()

    cdef int disconnected(self) except -1:
        self.left = True
        return self.body_arrived()

    cdef int drained(self) except -1:
        return self._wake()

    cdef int timed_out(self) except -1:
        # What the cancelled application still says, being cancelled included, is no mistake of its own.
        self.answered = True
        self.handler.executor.write_off(self)
        return self._wake()

    cdef int _wake(self) except -1:
        cdef list waiters = self.waiters
        if waiters is not None:
            self.waiters = None
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)
        return 0

    async def _wait(self):
        waiter = self.handler.loop.create_future()
        if self.waiters is None:
            self.waiters = []
        self.waiters.append(waiter)
        try:
            await waiter
        except BaseException:
            # Frameworks poll receive() by cancelling it: a long stream would gather a future for each look.
            if self.waiters is not None and waiter in self.waiters:
                self.waiters.remove(waiter)
            raise

    # -- receive

    def receive(self):
        """The next event: http.request until the body is complete, then http.disconnect once it is true."""
        cdef dict message = self._next()
        if message is not None:
            return _ready(message)
        return self._receive()

    async def _receive(self):
        while True:
            message = self._next()
            if message is not None:
                return message
            await self._wait()

    cdef dict _next(self):
        cdef Exchange exchange = self.exchange
        cdef bytes piece
        if exchange.response >= RESPONSE_DONE or exchange.gone:
            return {"type": "http.disconnect"}
        if not self.asked:
            if exchange.body is None:
                self.asked = True
                return {"type": "http.request", "body": b"", "more_body": False}
            if exchange.body.pending() > 0 or exchange.body.complete:
                piece = exchange.body.take(MESSAGE_BYTES)
                if exchange.body.complete and exchange.body.pending() == 0:
                    self.asked = True
                else:
                    exchange.resume_body()
                return {"type": "http.request", "body": piece, "more_body": not self.asked}
            if exchange.body.error is not None:
                return {"type": "http.disconnect"}
            exchange.resume_body()
            return None
        if self.left:
            return {"type": "http.disconnect"}
        return None

    # -- send

    def send(self, message):
        """Takes one event of the app; finished at once unless the client is too slow for it."""
        cdef str kind
        cdef Exchange exchange = self.exchange
        if self.answered:
            raise ClientDisconnected("the client has its answer already")
        if not isinstance(message, dict):
            try:
                message = dict(message)
            except (TypeError, ValueError):
                raise AppError(f"an event must be a dict, not {type(message).__name__}") from None
        kind = message.get("type")
        if kind == "http.response.body":
            return self._body(message)
        if kind == "http.response.start":
            return self._start(message)
        if kind == "http.response.early_hint":
            exchange.informational(103, [(b"Link", bytes(link)) for link in message.get("links", ())])
            return NOTHING
        if kind == "http.response.pathsend":
            return self._path(message)
        if kind == "http.response.trailers":
            return self._trailers(message)
        if kind == "http.response.debug":
            return NOTHING
        raise AppError(f"an http application may not send {kind!r}: it sends http.response.start, then "
                       "http.response.body")

    cdef object _start(self, dict message):
        cdef Exchange exchange = self.exchange
        status = message.get("status")
        if not isinstance(status, int) or not 200 <= status <= 999:
            raise AppError(f"http.response.start: status must be an int from 200 to 999, not {status!r}")
        exchange.begin(status, NULL, 0)
        try:
            _put_headers(exchange, message.get("headers", ()))
        except BaseException:
            # What the app makes of its mistake starts afresh.
            exchange.replace()
            raise
        self.wants_trailers = message.get("trailers", False)
        return NOTHING

    cdef object _body(self, dict message):
        cdef Exchange exchange = self.exchange
        cdef bint more = bool(message.get("more_body", False))
        cdef bint last = not more and not self.wants_trailers
        cdef object body = message.get("body", b"")
        if type(body) is not bytes:
            if not isinstance(body, (bytes, bytearray, memoryview)):
                raise AppError(f"http.response.body: body must be bytes, not {type(body).__name__}")
            body = bytes(body)
        if exchange.response == RESPONSE_NONE:
            raise AppError("http.response.body before http.response.start")
        if not last and PyBytes_GET_SIZE(body) == 0:
            exchange.flush_head()
        else:
            exchange.write(body, PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body), last)
        return self._sent()

    cdef object _sent(self):
        """Back-pressure: waits while more than the high water mark is queued for the client."""
        cdef Exchange exchange = self.exchange
        if exchange.response >= RESPONSE_DONE:
            self._wake()
            return NOTHING
        if exchange.waiting() <= exchange.policy.output_high_bytes:
            return NOTHING
        return self._until_drained()

    async def _until_drained(self):
        cdef Exchange exchange = self.exchange
        while not exchange.gone and exchange.response < RESPONSE_DONE and (
                exchange.waiting() > exchange.policy.output_low_bytes):
            exchange.want_drained()
            await self._wait()
        if exchange.gone:
            raise ClientDisconnected("the client has closed the connection")

    def _path(self, dict message):
        """http.response.pathsend: the kernel sends the file."""
        cdef Exchange exchange = self.exchange
        cdef int fd
        path = message.get("path")
        if exchange.response == RESPONSE_NONE:
            raise AppError("http.response.pathsend before http.response.start")
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise AppError(f"http.response.pathsend: {path!r} is no regular file")
        except BaseException:
            os.close(fd)
            raise
        exchange.write_file(None, fd, 0, status.st_size, not self.wants_trailers)
        return self._sent()

    def _trailers(self, dict message):
        cdef bytes name, value
        cdef Exchange exchange = self.exchange
        if not self.wants_trailers:
            raise AppError("http.response.trailers needs trailers=True in http.response.start")
        for name, value in message.get("headers", ()):
            exchange.trailer(name, len(name), value, len(value))
        if not message.get("more_trailers", False):
            exchange.finish()
        return self._sent()

    # -- the end

    cdef int _ended(self, object error) except -1:
        cdef Exchange exchange = self.exchange
        page = None
        if exchange.response < RESPONSE_DONE:
            # One that stops because it was told that the client left has done nothing wrong.
            if error is None and not exchange.gone and not self.left:
                error = AppError(
                    "the application returned without sending a response" if exchange.response == RESPONSE_NONE
                    else "the application returned before the end of its response")
            if error is not None and not isinstance(error, ClientDisconnected) and not exchange.gone:
                self._report(error)
            if error is None or exchange.gone or exchange.response == RESPONSE_SENT:
                exchange.abort()
            else:
                if self.handler.error_page is not None:
                    page = self.handler.error_page(error, exchange)
                try:
                    exchange.respond(500, page or b"Internal Server Error\n",
                                     b"text/html; charset=utf-8" if page else b"text/plain; charset=utf-8")
                except (AppError, OSError):
                    exchange.abort()
        elif error is not None and not isinstance(error, ClientDisconnected) and not self.answered:
            self._report(error)
        self._wake()
        exchange.returned()
        self.scope = None
        return 0

    def _report(self, error):
        if self.exchange.policy.on_app_error is not None:
            self.exchange.policy.on_app_error(self.exchange, error)


cdef int _put_headers(Exchange exchange, object headers) except -1:
    """Header fields of an event: an iterable of (bytes, bytes)."""
    cdef object name, value
    if headers is None or isinstance(headers, (str, bytes)):
        raise AppError(f"headers must be an iterable of (name, value) pairs, not {type(headers).__name__}")
    for pair in headers:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise AppError(f"a header must be a (name, value) pair, not {pair!r}")
        name, value = pair
        if type(name) is not bytes or type(value) is not bytes:
            if not isinstance(name, (bytes, bytearray)) or not isinstance(value, (bytes, bytearray)):
                raise AppError(f"header name and value must be bytes, not {type(name).__name__} and "
                               f"{type(value).__name__}: {pair!r}")
            name = bytes(name)
            value = bytes(value)
        exchange.field(PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name), PyBytes_AS_STRING(value),
                       PyBytes_GET_SIZE(value))
    return 0


cdef class Upgrade(Job):
    """A connection on its way from HTTP to another protocol, as Python code sees it.

    Either respond() refuses, or take_over() hands the connection over: from then on bytes come to `on_data` (b"" at
    the end of the stream) and go out with write(). `on_drained`, `on_disconnected` and `on_draining` are called
    without arguments, all on the loop's thread.
    """

    cdef object coroutine(self):
        self.exchange.called()
        return self.handler.websocket(self.handler.app, self.scope, self)

    cdef int data_received(self, bytes data) except -1:
        if self.on_data is not None:
            self.on_data(data)
        return 0

    cdef int drained(self) except -1:
        if self.on_drained is not None:
            self.on_drained()
        return 0

    cdef int disconnected(self) except -1:
        if self.on_disconnected is not None:
            self.on_disconnected()
        return 0

    cdef int draining(self) except -1:
        if self.on_draining is not None:
            self.on_draining()
        return 0

    cdef int timed_out(self) except -1:
        self.handler.executor.write_off(self)
        return self.disconnected()

    def target(self):
        """Request target and fields as the client wrote them: (str, list of (name, value) in str)."""
        return self.exchange.target

    def take_over(self):
        """HTTP ends: set the callbacks, and write the head of the 101 response, before."""
        self.exchange.take_over()

    def pause_reading(self):
        """Leaves what the client sends in the kernel's buffer, the end of its stream included."""
        self.exchange.read_raw(False)

    def resume_reading(self):
        """Reads on."""
        self.exchange.read_raw(True)

    def write(self, bytes data):
        """Queues bytes; ClientDisconnected when the connection is gone."""
        self.exchange.raw_write(data)

    def waiting(self):
        """Bytes not with the kernel yet."""
        return self.exchange.waiting()

    def must_wait(self):
        """More than the high water mark waits; on_drained() will be called when it is below the low one."""
        if self.exchange.waiting() <= self.exchange.policy.output_high_bytes:
            return False
        self.exchange.want_drained()
        return True

    def close(self):
        """Closes when everything queued is sent."""
        self.exchange.raw_close()

    def abort(self):
        """Closes at once."""
        self.exchange.abort()

    def is_gone(self):
        """The connection broke or was closed."""
        return self.exchange.gone

    def respond(self, int status, headers, bytes body):
        """A whole HTTP response in place of one that is not sent yet; breaks off one that is."""
        if self.exchange.response >= RESPONSE_SENT:
            self.exchange.abort()
            return
        self.exchange.replace()
        self.start_response(status, headers)
        self.send_body(body, True)

    def start_response(self, int status, headers):
        """Begins a refusal: an ordinary HTTP response."""
        self.exchange.begin(status, NULL, 0)
        _put_headers(self.exchange, headers)

    def send_body(self, bytes body, bint last):
        """More of a refusal's body."""
        self.exchange.write(body, PyBytes_AS_STRING(body), PyBytes_GET_SIZE(body), last)

    def report(self, error):
        """Logs an exception of the app."""
        if self.exchange.policy.on_app_error is not None:
            self.exchange.policy.on_app_error(self.exchange, error)

    def finished(self):
        """The coroutine is at its end: lets go of the exchange, and of the connection if it still has it."""
        self.exchange.abort()
        self.exchange.returned()
        self.on_data = self.on_drained = self.on_disconnected = self.on_draining = None
