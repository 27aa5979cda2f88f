"""Who is at the other end of a Unix socket."""

cdef int peer_pid(int fd) noexcept nogil    # the process that connected it; 0 when that is not known
