"""Where the time of a request went, said in its response."""
from libc.stdint cimport uint64_t
from drawbar.wire.writer cimport Buffer

# Adds the field to a head. Nanoseconds of the monotonic clock; called_ns 0: no app has the request. Without ready_ns
# nothing is known, and nothing said.
cdef int put_timing(Buffer* into, uint64_t ready_ns, uint64_t called_ns, uint64_t now) except -1
