"""Addresses of peers in few bytes, and their text."""
from cpython.object cimport PyObject
from libc.stdint cimport uint8_t, uint16_t

cdef enum:
    HOST_NAMES = 64             # addresses whose text is kept; a power of two

cdef extern from "<sys/socket.h>" nogil:
    struct sockaddr:
        uint16_t sa_family
    struct sockaddr_storage:
        uint16_t ss_family

cdef struct Sockaddr:           # an address in as few bytes as it takes; Unix sockets have none
    uint8_t family              # 4, 6, or 0
    uint16_t port
    uint8_t ip[16]

cdef struct HostName:           # the text of an address, made once
    Sockaddr address
    PyObject* text

cdef struct HostNames:
    HostName names[HOST_NAMES]

cdef void read_address(Sockaddr* into, sockaddr_storage* address) noexcept nogil
# What is written so: ValueError for text that is no IP address. A zone (RFC 4007) is left out.
cdef int parse_address(Sockaddr* into, str host, uint16_t port) except -1
# Text of an IP address. Clients come again, so the last ones are remembered.
cdef str host_name(HostNames* names, const Sockaddr* address)
cdef void host_names_clear(HostNames* names) noexcept
