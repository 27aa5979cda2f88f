# cython: language_level=3
"""Who is at the other end of a Unix socket.

Law: what the kernel noted when the socket was connected (unix(7), SO_PEERCRED). The process may have ended since.
"""

cdef extern from "<sys/socket.h>" nogil:
    enum:
        SOL_SOCKET
        SO_PEERCRED
    int getsockopt(int fd, int level, int option, void* value, unsigned int* size)

cdef struct Credentials:        # struct ucred, which the header has only with _GNU_SOURCE
    int pid
    unsigned int uid
    unsigned int gid


cdef int peer_pid(int fd) noexcept nogil:
    cdef Credentials found
    cdef unsigned int size = sizeof(found)
    if getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &found, &size) != 0 or found.pid < 0:
        return 0
    return found.pid
