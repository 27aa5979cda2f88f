"""Which fields of a message end at its next recipient."""
from libc.stdint cimport uint8_t
from drawbar.wire.head cimport Field, Head

# Says what Connection names that no rule here knows; to be asked once for each message.
cdef bint names_others(const Head* head, const char* base) noexcept nogil
# Whether the field is for the next recipient alone. `others`: what names_others() said.
cdef bint ends_here(const Head* head, const char* base, const Field* field, bint others) noexcept nogil
cdef bint is_hop_by_hop(uint8_t known) noexcept nogil
# Whether a response says that its request was not begun: the last words of a worker that leaves.
cdef bint gives_back(const Head* head, const char* base) noexcept nogil
