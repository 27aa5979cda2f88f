# cython: language_level=3
"""WSGI (PEP 3333): a request becomes an environ, what the app returns becomes a response.

Law: every rule of the PEP an app can break is checked where it is broken, with an AppError that names the rule; what
an app gets wrong before its head is out becomes a 500, after that a broken-off response, and never a clean end.
`close()` of what the app returned is called in every case.

An environ is a copy of one base dictionary plus what this request brings. Header keys and repeated values are shared
objects (keys.pyx); nothing is looked up twice.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Copy, PyDict_SetItem
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.tuple cimport PyTuple_CheckExact, PyTuple_GET_ITEM, PyTuple_GET_SIZE
from cpython.unicode cimport PyUnicode_Check
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memchr, memcmp
from drawbar.exchange.exchange cimport (
    Exchange, Executor, Handler, Job, RESPONSE_DONE, RESPONSE_NONE, RESPONSE_SENT, RESPONSE_STAGED)
from drawbar.gateways.keys cimport Key, KeyTable, text_value
from drawbar.net.reactor cimport Turn
from drawbar.wire.head cimport Field, Head, TARGET_ABSOLUTE
from drawbar.wire.tables cimport (
    KNOWN_FORWARDED, KNOWN_PROXY, KNOWN_X_FORWARDED_FOR, KNOWN_X_FORWARDED_HOST, clean_value)

import sys

from drawbar.exchange.errors import AppError, BodyError, ClientDisconnected
from drawbar.gateways.wsgi_files import EMPTY_INPUT, ErrorStream, FileWrapper, StreamInput, sendable


cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    int PyUnicode_KIND(object text)
    void* PyUnicode_DATA(object text)
    str PyUnicode_DecodeLatin1(const char* data, Py_ssize_t size, const char* errors)

# Of a path, in telling routes apart.
cdef enum:
    ROUTE_BYTES = 64

cdef str PATH_INFO = sys.intern("PATH_INFO")
cdef str QUERY_STRING = sys.intern("QUERY_STRING")
cdef str REQUEST_METHOD = sys.intern("REQUEST_METHOD")
cdef str REQUEST_URI = sys.intern("REQUEST_URI")
cdef str SCRIPT_NAME = sys.intern("SCRIPT_NAME")
cdef str SERVER_PROTOCOL = sys.intern("SERVER_PROTOCOL")
cdef str REMOTE_ADDR = sys.intern("REMOTE_ADDR")
cdef str REMOTE_PORT = sys.intern("REMOTE_PORT")
cdef str WSGI_INPUT = sys.intern("wsgi.input")
cdef str EARLY_HINTS = sys.intern("wsgi.early_hints")
cdef str HTTP_10 = "HTTP/1.0"
cdef list METHOD_NAMES = [None, "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "CONNECT", "TRACE"]


cdef class WsgiKeys(KeyTable):
    """Environ keys (RFC 3875 section 4.1.18)."""

    cdef object make_key(self, bytes lower):
        cdef str name = lower.decode("latin-1").upper().replace("-", "_")
        if name == "CONTENT_TYPE" or name == "CONTENT_LENGTH":
            return sys.intern(name)
        return sys.intern("HTTP_" + name)


cdef inline str _latin1(const char* data, size_t size):
    return PyUnicode_DecodeLatin1(data, size, NULL)


cdef inline bint _same(str text, const char* data, size_t size):
    return text is not None and <size_t>PyUnicode_GET_LENGTH(text) == size and PyUnicode_KIND(text) == 1 and memcmp(
        PyUnicode_DATA(text), data, size) == 0


cdef str _decimal(int number):
    cdef char digits[12]
    cdef int i = 12
    while True:
        i -= 1
        digits[i] = <char>(48 + number % 10)
        number //= 10
        if number == 0:
            return PyUnicode_DecodeLatin1(digits + i, 12 - i, NULL)


cdef inline int _hex(int c) noexcept:
    if 48 <= c <= 57:
        return c - 48
    c |= 32
    return c - 87 if 97 <= c <= 102 else -1


cdef bytes unquote(const char* data, size_t size):
    """Percent-decoding (RFC 3986 section 2.1); a "%" without two digits stays what it is."""
    cdef bytes out = data[:size]
    cdef char* into = PyBytes_AS_STRING(out)
    cdef size_t i = 0
    cdef size_t n = 0
    cdef int high, low
    while i < size:
        if data[i] == b"%" and i + 2 < size:
            high = _hex(<unsigned char>data[i + 1])
            low = _hex(<unsigned char>data[i + 2])
            if high >= 0 and low >= 0:
                into[n] = <char>(high * 16 + low)
                n += 1
                i += 3
                continue
        into[n] = data[i]
        n += 1
        i += 1
    return out[:n]


cdef uint32_t _route(Exchange exchange) noexcept:
    """Equal for /orders/17 and /orders/18: requests that are likely to take equally long."""
    cdef const char* path = exchange.base + exchange.head.path
    cdef uint32_t size = min(exchange.head.path_size, <uint32_t>ROUTE_BYTES)
    cdef uint32_t route = exchange.method_id
    cdef uint32_t i
    for i in range(size):
        if not 48 <= path[i] <= 57:
            route = (route ^ <unsigned char>path[i]) * <uint32_t>16_777_619
    # The executor looks at the low bits: fold the high ones in.
    return route ^ route >> 16


cdef class WsgiHandler(Handler):
    """Calls one WSGI application.

    root_path: SCRIPT_NAME; taken off the front of paths that have it. multithread, multiprocess, run_once: as the PEP
    defines. stream_input: wsgi.input reads from the client while the app runs. buffers: the app is never called before
    the body is here, as it is called where there is no client to read from. error_page: makes the 500 page of an
    exception.
    """

    def __init__(self, object app, Executor executor, *, str root_path="", tuple server=("", 0), str scheme="http",
                 bint multithread=False, bint multiprocess=False, bint run_once=False, bint stream_input=False,
                 bint buffers=False, object error_page=None):
        self.app = app
        self.executor = executor
        self.root_path = root_path
        self.stream_input = stream_input
        self.streams = stream_input
        self.buffers = buffers
        self.error_page = error_page
        self.keys = WsgiKeys()
        self.base = {
            REQUEST_METHOD: "GET",
            SCRIPT_NAME: "",
            PATH_INFO: "/",
            QUERY_STRING: "",
            REQUEST_URI: "/",
            "SERVER_NAME": server[0] if server[1] is not None else "localhost",
            "SERVER_PORT": str(server[1]) if server[1] is not None else "80",
            SERVER_PROTOCOL: "HTTP/1.1",
            "SERVER_SOFTWARE": "drawbar",
            REMOTE_ADDR: "",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": scheme,
            WSGI_INPUT: EMPTY_INPUT,
            "wsgi.errors": ErrorStream(),
            "wsgi.multithread": multithread,
            "wsgi.multiprocess": multiprocess,
            "wsgi.run_once": run_once,
            "wsgi.file_wrapper": FileWrapper,
            "wsgi.input_terminated": True,
        }
        # A copy keeps the room of its original: one that grew past 42 entries takes a request's own without growing.
        for i in range(4):
            self.base[i] = None
        for i in range(4):
            del self.base[i]

    cdef Turn handle(self, Exchange exchange) except *:
        cdef WsgiCall call = WsgiCall.__new__(WsgiCall)
        call.handler = self
        call.exchange = exchange
        call.environ = self.environ(exchange, call)
        call.route = _route(exchange)
        exchange.job = call
        return self.executor.submit(call)

    # -- the environ

    cdef dict environ(self, Exchange exchange, WsgiCall call):
        cdef dict environ = PyDict_Copy(self.base)
        cdef Head* head = exchange.head
        cdef _EarlyHints hints
        if head.method_id != 1:
            environ[REQUEST_METHOD] = METHOD_NAMES[head.method_id] or _latin1(
                exchange.base + head.method, head.method_size)
        if head.minor == 0:
            environ[SERVER_PROTOCOL] = HTTP_10
        self._target(exchange, environ)
        self._fields(exchange, environ)
        if head.target_form == TARGET_ABSOLUTE and not exchange.believes(KNOWN_X_FORWARDED_HOST):
            # RFC 9112 section 3.2.2: the Host field gives way to the target's own authority.
            environ["HTTP_HOST"] = _latin1(exchange.base + head.authority, head.authority_size)
        if exchange.body is not None:
            environ[WSGI_INPUT] = self._input(exchange)
        if head.minor != 0:
            hints = _EarlyHints.__new__(_EarlyHints)
            hints.call = call
            PyDict_SetItem(environ, EARLY_HINTS, hints)
        return environ

    cdef int _target(self, Exchange exchange, dict environ) except -1:
        cdef Head* head = exchange.head
        cdef const char* base = exchange.base
        cdef str path, prefix
        # Most requests ask for what the last one asked for, or have no query.
        if not _same(self.last_target, base + head.target, head.target_size):
            self.last_target = _latin1(base + head.target, head.target_size)
            if memchr(base + head.path, b"%", head.path_size) is NULL:
                self.last_path = _latin1(base + head.path, head.path_size)
            else:
                self.last_path = unquote(base + head.path, head.path_size).decode("latin-1")
            if not self.last_path:
                # An absolute-form without a path asks for "/" (RFC 9112 section 3.2.2); "*" has no path at all.
                self.last_path = "/" if head.target_form == TARGET_ABSOLUTE else ""
            self.last_query = _latin1(base + head.query, head.query_size)
        path = self.last_path
        PyDict_SetItem(environ, REQUEST_URI, self.last_target)
        prefix = self.root_path
        if prefix:
            PyDict_SetItem(environ, SCRIPT_NAME, prefix)
            if path.startswith(prefix) and (len(path) == len(prefix) or path[len(prefix)] == "/"):
                path = path[len(prefix):]
        PyDict_SetItem(environ, PATH_INFO, path)
        if head.query_size:
            PyDict_SetItem(environ, QUERY_STRING, self.last_query)
        return 0

    cdef int _fields(self, Exchange exchange, dict environ) except -1:
        cdef Head* head = exchange.head
        cdef Field* field
        cdef Key* key
        cdef str value
        cdef const char* base = exchange.base
        cdef bint forwarded = False
        cdef uint32_t i, number
        self.requests += 1
        # Asking who is believed may run Python, and so another thread.
        number = self.requests
        for i in range(head.n_fields):
            field = &head.fields[i]
            if field.known >= KNOWN_PROXY and field.known <= KNOWN_FORWARDED:
                if field.known >= KNOWN_X_FORWARDED_FOR:
                    # What a stranger says of itself never reaches the app as fact.
                    if not exchange.believes(field.known):
                        continue
                    forwarded = True
                else:
                    # "Proxy" would become HTTP_PROXY, which many clients obey (CVE-2016-5385).
                    continue
            elif field.known == 0 and memchr(base + field.name, b"_", field.name_size) is not NULL:
                # X_Forwarded_For and X-Forwarded-For would be one key.
                continue
            key = self.keys.find(base, field)
            value = text_value(key, base + field.value, field.value_size)
            if key.request == number or key is &self.keys.spare:
                self._repeated(environ, <object>key.key, value)
            else:
                PyDict_SetItem(environ, <object>key.key, value)
            key.request = number
        if forwarded:
            return self._client(exchange, environ)
        host = exchange.peer_host()
        if host is not None:
            PyDict_SetItem(environ, REMOTE_ADDR, host)
            PyDict_SetItem(environ, REMOTE_PORT, _decimal(exchange.peer_port()))
        return 0

    cdef int _repeated(self, dict environ, str key, str value) except -1:
        """Field lines of one name join with a comma (RFC 9110 section 5.3), cookies with a semicolon."""
        if key in environ:
            value = environ[key] + ("; " if key == "HTTP_COOKIE" else ", ") + value
        environ[key] = value
        return 0

    cdef int _client(self, Exchange exchange, dict environ) except -1:
        client = exchange.client()
        if client.address is not None:
            environ[REMOTE_ADDR] = client.address[0]
            environ[REMOTE_PORT] = str(client.address[1])
        environ["wsgi.url_scheme"] = client.scheme
        if client.scheme == "https":
            environ["HTTPS"] = "on"
        if client.host is not None:
            environ["HTTP_HOST"] = client.host
        if client.port is not None:
            environ["SERVER_PORT"] = str(client.port)
        if client.prefix is not None:
            environ[SCRIPT_NAME] = client.prefix
            path = environ[PATH_INFO]
            if path.startswith(client.prefix + "/") or path == client.prefix:
                environ[PATH_INFO] = path[len(client.prefix):]
        return 0

    cdef object _input(self, Exchange exchange):
        if exchange.body.complete:
            return exchange.body.open()
        return StreamInput(_BodyReader.__new__(_BodyReader, exchange), self.stream_input)


cdef class _BodyReader:
    """What StreamInput asks: the body of an exchange, read on the app's own thread."""
    cdef Exchange exchange

    def __cinit__(self, Exchange exchange):
        self.exchange = exchange

    def read(self, Py_ssize_t size):
        """Up to `size` bytes, at least one unless the body is at its end."""
        cdef Exchange exchange = self.exchange
        exchange.pull(1)
        return exchange.body.take(size)

    def open(self):
        """The whole body as a seekable file."""
        self.exchange.pull(<size_t>-1)
        return self.exchange.body.open()


cdef class _EarlyHints:
    """wsgi.early_hints: call with a list of (name, value), sent as 103 (RFC 8297)."""
    # Its exchange may be another by then, in another process.
    cdef WsgiCall call

    def __call__(self, headers):
        self.call.exchange.informational(103, [
            (name.encode("latin-1"), value.encode("latin-1")) for name, value in headers])


cdef class WsgiCall(Job):
    """One call of the app. Is itself the `start_response` the app gets."""

    cdef int run(self) except -1:
        """Calls the app and sends what it returns. Raises nothing of the app's."""
        cdef object result = None
        self.exchange.called()
        try:
            try:
                result = self.handler.app(self.environ, self)
                self._respond(result)
            except BaseException as error:
                self.failed(error)
            try:
                if result is not None and not PyBytes_CheckExact(result) and type(result) is not list and (
                        hasattr(result, "close")):
                    result.close()
                    # Code of the app ran after the answer: the next call in this turn begins now.
                    self.exchange.reactor.stamp()
            except BaseException as error:
                self.failed(error)
        finally:
            # Whatever went wrong with telling what went wrong, no client waits for ever.
            if self.exchange.response < RESPONSE_DONE:
                self.exchange.abort()
            if self.exchange.body is not None:
                self.exchange.body.close_file()
            self.exchange.returned()
            self.environ = None
        return 0

    def __call__(self, status, headers=None, exc_info=None):
        """start_response(status, response_headers, exc_info=None) -> write; write(data)

        One object is both, so that the write() hardly any app uses costs nothing to return.
        """
        cdef Exchange exchange = self.exchange
        if headers is None and self.started:
            return self._write(status)
        if exc_info is not None:
            if exchange.response >= RESPONSE_SENT:
                try:
                    raise exc_info[1].with_traceback(exc_info[2])
                finally:
                    exc_info = None
            exchange.replace()
        elif self.started:
            raise AppError("start_response called a second time without exc_info")
        if type(status) is not str:
            if not isinstance(status, str):
                raise AppError(f"the status must be a str such as '200 OK', not {type(status).__name__}")
            status = str(status)
        if type(headers) is not list:
            raise AppError(f"the headers must be a list of (name, value) tuples, not {type(headers).__name__}")
        self._status(status)
        try:
            self._headers(headers)
        except BaseException:
            # Half a head must not go out, whatever the app makes of this.
            exchange.replace()
            raise
        self.started = True
        return self

    cdef object _write(self, object data):
        """The imperative write() of the PEP: sent at once."""
        if not isinstance(data, bytes):
            raise AppError(f"write() takes bytes, not {type(data).__name__}")
        if data:
            self._send(data, False)

    cdef int _status(self, str status) except -1:
        """`status` is "NNN reason" (PEP 3333, "The start_response() Callable")."""
        cdef const unsigned char* text
        cdef Py_ssize_t size
        cdef int code
        if not PyUnicode_IS_ASCII(status):
            raise AppError(f"the status must be an ASCII str such as '200 OK', not {status!r}")
        text = <const unsigned char*>PyUnicode_DATA(status)
        size = PyUnicode_GET_LENGTH(status)
        if size < 3 or not (49 <= text[0] <= 57 and 48 <= text[1] <= 57 and 48 <= text[2] <= 57) or (
                size > 3 and text[3] != 32):
            raise AppError(f"the status must be three digits, a space and a reason, not {status!r}")
        code = (text[0] - 48) * 100 + (text[1] - 48) * 10 + text[2] - 48
        if code < 200:
            raise AppError(f"the status of a response is 200 or above; {code} is interim, "
                           "use wsgi.early_hints for 103")
        if size <= 4:
            return self.exchange.begin(code, NULL, 0)
        if not clean_value(<const char*>text + 4, size - 4):
            raise AppError(f"the status has a control character: {status!r}")
        return self.exchange.begin(code, <const char*>text + 4, size - 4)

    cdef int _headers(self, list headers) except -1:
        cdef Py_ssize_t i
        cdef object pair, name, value
        cdef Exchange exchange = self.exchange
        for i in range(PyList_GET_SIZE(headers)):
            pair = <object>PyList_GET_ITEM(headers, i)
            if not PyTuple_CheckExact(pair) or PyTuple_GET_SIZE(pair) != 2:
                raise AppError(f"a header must be a (name, value) tuple, not {pair!r}")
            name = <object>PyTuple_GET_ITEM(pair, 0)
            value = <object>PyTuple_GET_ITEM(pair, 1)
            if not PyUnicode_Check(name) or not PyUnicode_Check(value):
                raise AppError(f"header name and value must be str, not {type(name).__name__} and "
                               f"{type(value).__name__}: {pair!r}")
            if PyUnicode_KIND(name) != 1 or PyUnicode_KIND(value) != 1:
                raise AppError(f"a header must be latin-1 text (PEP 3333): {pair!r}")
            exchange.field(<const char*>PyUnicode_DATA(name), PyUnicode_GET_LENGTH(name),
                           <const char*>PyUnicode_DATA(value), PyUnicode_GET_LENGTH(value))
        return 0

    cdef int _respond(self, object result) except -1:
        cdef object item
        cdef Py_ssize_t n
        cdef int64_t total
        cdef Exchange exchange = self.exchange
        if type(result) is list or type(result) is tuple:
            n = len(result)
            if n == 1:
                return self._send(result[0], True)
            if exchange.response == RESPONSE_STAGED and exchange.declared < 0:
                total = 0
                for item in result:
                    if not isinstance(item, bytes):
                        raise AppError(f"the body must be bytes, not {type(item).__name__}")
                    total += PyBytes_GET_SIZE(item)
                # An empty list for HEAD or 304 does not say that a GET would get nothing.
                if total > 0 or not exchange.no_body:
                    exchange.declared = total
        elif result is None:
            raise AppError("the application returned None instead of an iterable of bytes")
        elif isinstance(result, (bytes, str)):
            if isinstance(result, str):
                raise AppError("the application returned a str instead of an iterable of bytes")
            return self._send(result, True)
        else:
            # Its close() is called after the response, and may raise: the log then needs the request.
            exchange.own_head()
            if not hasattr(result, "__iter__") and not hasattr(result, "__getitem__"):
                raise AppError(f"the application returned {type(result).__name__} instead of an iterable of bytes")
            if isinstance(result, FileWrapper) and exchange.response != RESPONSE_NONE and self._send_file(result):
                return 0
        for item in result:
            if not PyBytes_CheckExact(item) and not isinstance(item, bytes):
                raise AppError(f"the body must be bytes, not {type(item).__name__}")
            if item:
                self._send(item, False)
        return exchange.finish()

    cdef int _send(self, object item, bint last) except -1:
        if not PyBytes_CheckExact(item) and not isinstance(item, bytes):
            raise AppError(f"the body must be bytes, not {type(item).__name__}")
        if self.exchange.response == RESPONSE_NONE:
            raise AppError("a body before start_response was called")
        # Letting go of a subclass's object may run code of the app's, so those are copied.
        self.exchange.write(item if PyBytes_CheckExact(item) else None, PyBytes_AS_STRING(item),
                            PyBytes_GET_SIZE(item), last)
        if not last:
            self.exchange.wait_output()
        return 0

    cdef int _send_file(self, object wrapper) except -1:
        """wsgi.file_wrapper ("Optional Platform-Specific File Handling"): 1 when the kernel sends the file."""
        cdef Exchange exchange = self.exchange
        cdef int64_t size, offset
        found = sendable(wrapper.filelike)
        if found is None:
            return 0
        fd, offset, size = found
        if exchange.declared >= 0:
            # The PEP lets an app send part of a file by declaring fewer bytes.
            size = min(size, exchange.declared - exchange.written)
        exchange.write_file(None, fd, offset, size, True)
        return 1

    cdef int timed_out(self) except -1:
        return self.handler.executor.write_off(self)

    cdef int failed(self, object error) except -1:
        """The app, or what it returned, raised."""
        cdef Exchange exchange = self.exchange
        cdef int status = 500
        # The log and the error page ask for it, and the next leader may be here before they have.
        exchange.own_head()
        if exchange.called_off():
            # Whoever did so answers and logs, perhaps at this moment on another thread.
            return 0
        if isinstance(error, ClientDisconnected) or exchange.gone:
            exchange.abort()
            return 0
        if isinstance(error, BodyError):
            # The client's doing: logged where it was noticed.
            status = error.status
        elif exchange.policy.on_app_error is not None:
            exchange.policy.on_app_error(exchange, error)
        if exchange.response >= RESPONSE_DONE:
            return 0
        if exchange.response == RESPONSE_SENT:
            exchange.abort()
            return 0
        page = None
        if self.handler.error_page is not None and status == 500:
            page = self.handler.error_page(error, exchange)
        try:
            if page is not None:
                exchange.respond(status, page, b"text/html; charset=utf-8")
            else:
                exchange.respond(status, b"Internal Server Error\n" if status == 500 else str(error).encode() + b"\n",
                                 b"text/plain; charset=utf-8")
        except (AppError, OSError):
            exchange.abort()
        return 0
