"""The head of a request as it is passed on to a server."""
from libc.stdint cimport int64_t
from drawbar.exchange.exchange cimport Exchange
from drawbar.wire.writer cimport Buffer

cdef enum BodyFraming:
    BODY_ABSENT = -1            # the request has none
    BODY_IN_CHUNKS = -2         # its length is not known yet

# Bytes of the request's body, or one of BodyFraming.
cdef int64_t body_size(Exchange exchange)
# Whether the request's Upgrade is passed on.
cdef bint may_upgrade(Exchange exchange)
# The request line and all fields but those of the connection to the server; the empty line is the caller's.
# size: of the body, or one of BodyFraming. prefix: of the app, or None.
cdef int put_request(Buffer* into, Exchange exchange, int64_t size, bytes prefix, bint upgrade) except -1
