"""The request-target and the host of a request."""
from libc.stdint cimport uint8_t, uint32_t
from drawbar.wire.head cimport Head

# Sorts the target (`head.target`, `target_size`, and `query` when there is a "?") into its form and parts, checked
# against the method. Returns NULL, or what is wrong with it, with `head.error_at` set; the answer then is 400.
cdef const char* parse_target(Head* head, const uint8_t* data) noexcept nogil
# The number of digits of the port in `data[start:end]`, 0 without one; -1 when that is no host and port, or has no
# host.
cdef int parse_authority(const uint8_t* data, uint32_t start, uint32_t end) noexcept nogil
