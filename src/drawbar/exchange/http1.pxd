"""HTTP/1 connections of clients: the request side."""
from drawbar.exchange.http1_end cimport Http1Ending, Http1Site
from drawbar.net.reactor cimport Turn
from drawbar.wire.head cimport Head

cdef enum:
    READ_AHEAD_BYTES = 65_536       # of pipelined requests while one is answered; then the kernel's buffer fills
    BODY_AHEAD_BYTES = 131_072      # of a streamed body the app has not taken; then the kernel's buffer fills
    EXCERPT_BYTES = 40              # of a refused request in the log

cdef class Http1Connector(Http1Site):
    pass

cdef class Http1Connection(Http1Ending):
    cdef int _set_aside(self, const char* data, size_t size) except -1
    cdef Turn _process(self, const char* data, size_t size) except *
    cdef size_t _read_head(self, const char* data, size_t size) except? 0
    cdef int _keep_partial(self, const char* data, size_t size) except -1
    cdef int _admit(self, Head* head, const char* data, size_t size) except -1
    cdef ssize_t _feed(self, const char* data, size_t size) except -1
    cdef int _pull_once(self, char* room) except -1
    cdef Turn _read_running(self) except *
    cdef Turn _no_bytes(self, ssize_t n) except *
    cdef Turn _end_behind_requests(self) except *
