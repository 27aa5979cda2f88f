"""An exchange that a server somewhere else answers."""
from libc.stdint cimport uint32_t
from drawbar.exchange.exchange cimport Job
from drawbar.net.connection cimport Connection
from drawbar.wire.writer cimport Buffer

cdef class ServerLink(Connection):
    """What a job asks of the connection to its server."""
    cdef int pump(self) except -1               # more of the request's body is here
    cdef int resume_reading(self) except -1     # the client has taken what waited for it
    cdef int client_said(self, bytes data) except -1    # in a tunnel; b"" at the client's end
    cdef int part(self) except -1               # in a tunnel: its client is to go
    cdef int drop(self) except -1               # closes at once; its job goes on without it

cdef class HttpJob(Job):
    """An exchange on its way to a server, at one, or on its way back."""
    cdef ServerLink server              # that has it; None: nobody
    cdef readonly bint begun            # something of its answer has gone to the client: never again
    cdef readonly bint over             # its client is answered, or gone
    cdef bint unread                    # its last server was gone before it had a byte of the request
    cdef bint spent                     # some of its body was given away while it came, and is nowhere any more
    cdef bint upgrades                  # its server may answer with 101
    cdef bint tunnels                   # and did
    cdef bytes prefix                   # X-Forwarded-Prefix; None: none
    cdef int put_fields(self, Buffer* into) except -1       # those of the request that only a subclass knows
    cdef int began(self) except -1                          # `begun` is true from now on
    cdef int lost(self, int status, str why) except -1      # its server is gone, or broke off; what to answer then
    cdef int ended(self) except -1                          # `over` is true: once, from whatever cause
    # -- to call
    cdef int end(self) except -1                            # the exchange is done with: lets go of all
    cdef int answer(self, int status, str why, uint32_t retry_after_s) except -1    # ours; breaks off a begun one
    cdef int note_begun(self) except -1
