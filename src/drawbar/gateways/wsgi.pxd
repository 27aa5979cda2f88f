"""WSGI (PEP 3333)."""
from libc.stdint cimport uint32_t
from drawbar.exchange.exchange cimport Exchange, Executor, Handler, Job
from drawbar.gateways.keys cimport KeyTable

# Percent-decoding (RFC 3986 section 2.1); a "%" without two digits stays what it is.
cdef bytes unquote(const char* data, size_t size)

cdef class WsgiKeys(KeyTable):
    pass

cdef class WsgiCall

cdef class WsgiHandler(Handler):
    cdef object app
    cdef Executor executor
    cdef dict base              # copied for every request
    cdef WsgiKeys keys
    cdef str root_path
    cdef bint stream_input
    cdef object error_page      # callable(exception) -> bytes of HTML, or None
    cdef uint32_t requests
    cdef str last_target
    cdef str last_path
    cdef str last_query
    cdef dict environ(self, Exchange exchange, WsgiCall call)
    cdef int _target(self, Exchange exchange, dict environ) except -1
    cdef int _fields(self, Exchange exchange, dict environ) except -1
    cdef int _repeated(self, dict environ, str key, str value) except -1
    cdef int _client(self, Exchange exchange, dict environ) except -1
    cdef object _input(self, Exchange exchange)

cdef class WsgiCall(Job):
    cdef WsgiHandler handler
    cdef dict environ
    cdef bint started
    cdef object _write(self, object data)
    cdef int _respond(self, object result) except -1
    cdef int _send(self, object item, bint last) except -1
    cdef int _send_file(self, object wrapper) except -1
    cdef int _status(self, str status) except -1
    cdef int _headers(self, list headers) except -1
