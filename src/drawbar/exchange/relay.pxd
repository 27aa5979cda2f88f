"""An exchange whose application runs in another process: both ends of the line between them."""
from drawbar.exchange.exchange cimport Exchange

cdef enum:
    PIECE_BYTES = 49_152        # of a body in one record; what is longer is sent as several
    RECORD_BYTES = 65_536       # the longest record. A socket takes one as a whole, of more than 200 kB by default

cdef class RelayExchange(Exchange):
    cdef Exchange front
    cdef int line
    cdef bint unread            # a reply is still to come
    cdef int _call(self, int operation, int number, bint last, bytes payload) except -1

# In the process of the application: what the app does to the result is done to `front` at the other end of `line`.
cdef RelayExchange relay(Exchange front, int line)

# In the process of the exchange: does what a record asks for, and makes the reply. ValueError when it is no record.
cdef bytes obey(Exchange exchange, bytes record)
# The reply to a record that was obeyed, when the app may go on. late: the request has its answer, and not from the app.
cdef bytes go_on(Exchange exchange, bint late)
