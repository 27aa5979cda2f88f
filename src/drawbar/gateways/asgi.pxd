"""ASGI 3: HTTP."""
from drawbar.exchange.exchange cimport Exchange, Executor, Handler, Job
from drawbar.gateways.keys cimport KeyTable

cdef class AsgiKeys(KeyTable):
    pass

cdef class AsgiHandler(Handler):
    cdef object app
    cdef object loop
    cdef Executor executor
    cdef AsgiKeys keys
    cdef str root_path
    cdef readonly dict state            # of the lifespan; copied into every scope
    cdef dict asgi
    cdef dict websocket_asgi
    cdef dict extensions
    cdef dict websocket_extensions
    cdef object websocket               # coroutine function (app, scope, upgrade), or None: no WebSockets
    cdef object error_page
    cdef bytes last_path_bytes
    cdef str last_path
    cdef list methods
    cdef dict scope(self, Exchange exchange, bint websocket)
    cdef list _fields(self, Exchange exchange, bint* forwarded)
    cdef str _path(self, Exchange exchange)
    cdef bint _wants_websocket(self, Exchange exchange)

cdef class AsgiCall(Job):
    cdef AsgiHandler handler
    cdef dict scope
    cdef bint answered                  # by us, as the body went bad: what the app still says has no reader
    cdef bint asked                     # the app got the (end of the) body
    cdef bint wants_trailers
    cdef list waiters                   # futures of receive() and send()
    cdef bint left                      # the client closed its side
    cdef dict _next(self)
    cdef object _start(self, dict message)
    cdef object _body(self, dict message)
    cdef object _sent(self)
    cdef int _wake(self) except -1
    cdef int _ended(self, object error) except -1

cdef class Upgrade(Job):
    cdef AsgiHandler handler
    cdef readonly dict scope
    cdef public object on_data
    cdef public object on_drained
    cdef public object on_disconnected
    cdef public object on_draining
