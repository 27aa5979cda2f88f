"""The clock that no application can stop: requests that get no answer in time get one."""
from libc.stddef cimport size_t
from libc.stdint cimport uint32_t, uint64_t
from drawbar.exchange.exchange cimport Exchange
from drawbar.net.reactor cimport Reactor
from drawbar.net.scoreboard cimport CellPage, Entry, TEXT_BYTES

cdef extern from "<pthread.h>" nogil:
    ctypedef unsigned long pthread_t
    ctypedef struct pthread_mutex_t:
        pass

cdef extern from "<semaphore.h>" nogil:
    ctypedef struct sem_t:
        pass

cdef enum:
    PATIENCE_NS = 250_000_000   # for the reactor to hear of a call it did not answer; then its stack is dumped
    RETRY_NS = 100_000_000      # after the machine refused memory
    ANSWER_BYTES = 512          # a whole 504; its Server field has at most 64 characters

# The body of the 504 for a request whose application did not answer in time, whoever sends it.
cdef const char* TOO_LATE

cdef struct Claim:              # one request that was called off, until the reactor hears of it
    Claim* next
    uint32_t index              # of its entry
    uint64_t word               # of that, as long as it is this request's
    uint64_t claimed_ns
    uint64_t thread             # threading.get_ident() of the thread it was called on
    bint told                   # its line and its stack are in the log already
    size_t size                 # of `answer`
    size_t body                 # of that, behind the head
    size_t sent                 # of that, what the client's socket has taken
    size_t text_size
    char text[TEXT_BYTES]       # "METHOD target"
    char answer[ANSWER_BYTES]

cdef struct Watch:              # what the threads of the interpreter share with the one that is not
    pthread_t thread
    pthread_mutex_t mutex       # of the list of claims, and of the descriptors that are sent to
    sem_t end
    CellPage* page
    uint64_t timeout_ns
    Claim* first                # not heard of yet
    Claim* last
    int event_fd
    int report_fd
    int log_fd
    int dump_signal
    bint reported               # to the master
    char ending[96]             # of the line in the log
    char server[80]             # "Server: ...\r\n"

cdef class Sentinel:
    cdef Reactor reactor
    cdef object look
    cdef object tell
    cdef Watch watch
    cdef void** owners          # exchanges by entry: borrowed, and valid as long as their entry is
    cdef readonly bint running
    cdef int process            # that has the thread

    # For those who hold the GIL.
    cdef void own(self, Entry* entry, object exchange) noexcept     # before the entry is published
    cdef void detach(self, Entry* entry) noexcept                   # before its descriptor is closed
    cdef int _settle(self, Claim* claim, Exchange exchange) except -1
    cdef Exchange _owner(self, Claim* claim)
    cdef int take(self) except -1                                   # after an entry was found timed out
