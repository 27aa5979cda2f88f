# cython: language_level=3
"""Addresses of peers in few bytes, and their text.

A connection keeps twenty bytes of address as long as it is open; text is made when somebody asks, and remembered by
address: one client's requests come one after the other.
"""
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcmp, memcpy


cdef extern from "<sys/socket.h>" nogil:
    ctypedef unsigned int socklen_t
    enum:
        AF_INET
        AF_INET6

cdef extern from "<netinet/in.h>" nogil:
    struct in_addr:
        uint32_t s_addr
    struct sockaddr_in:
        uint16_t sin_port
        in_addr sin_addr
    struct in6_addr:
        uint8_t s6_addr[16]
    struct sockaddr_in6:
        uint16_t sin6_port
        in6_addr sin6_addr
    uint16_t ntohs(uint16_t value)
    uint16_t htons(uint16_t value)

cdef extern from "<arpa/inet.h>" nogil:
    int inet_pton(int family, const char* text, void* into)
    const char* inet_ntop(int family, const void* address, char* into, socklen_t room)


cdef void read_address(Sockaddr* into, sockaddr_storage* address) noexcept nogil:
    cdef sockaddr_in* v4
    cdef sockaddr_in6* v6
    if address.ss_family == AF_INET:
        v4 = <sockaddr_in*>address
        into.family = 4
        into.port = ntohs(v4.sin_port)
        memcpy(into.ip, &v4.sin_addr, 4)
    elif address.ss_family == AF_INET6:
        v6 = <sockaddr_in6*>address
        into.port = ntohs(v6.sin6_port)
        if v6.sin6_addr.s6_addr[10] == 0xff and v6.sin6_addr.s6_addr[11] == 0xff and _zero(v6.sin6_addr.s6_addr, 10):
            # An IPv4 client of a dual-stack socket (RFC 4291 section 2.5.5.2) is an IPv4 client.
            into.family = 4
            memcpy(into.ip, &v6.sin6_addr.s6_addr[12], 4)
        else:
            into.family = 6
            memcpy(into.ip, v6.sin6_addr.s6_addr, 16)
    else:
        into.family = 0


cdef int parse_address(Sockaddr* into, str host, uint16_t port) except -1:
    cdef sockaddr_storage address
    cdef sockaddr_in* v4 = <sockaddr_in*>&address
    cdef sockaddr_in6* v6 = <sockaddr_in6*>&address
    cdef bytes text = host.partition("%")[0].encode("ascii", "replace")
    if inet_pton(AF_INET, text, &v4.sin_addr) == 1:
        address.ss_family = AF_INET
        v4.sin_port = htons(port)
    elif inet_pton(AF_INET6, text, &v6.sin6_addr) == 1:
        address.ss_family = AF_INET6
        v6.sin6_port = htons(port)
    else:
        raise ValueError(f"{host!r} is no address")
    read_address(into, &address)
    return 0


cdef inline bint _zero(const uint8_t* data, int size) noexcept nogil:
    cdef int i
    for i in range(size):
        if data[i]:
            return False
    return True


cdef str host_name(HostNames* names, const Sockaddr* address):
    cdef char text[64]
    cdef int size = 4 if address.family == 4 else 16
    cdef uint32_t slot = 0
    cdef int i
    cdef HostName* entry
    for i in range(size):
        slot = slot * 31 + address.ip[i]
    entry = &names.names[slot & (HOST_NAMES - 1)]
    if entry.text is not NULL and entry.address.family == address.family and (
            memcmp(entry.address.ip, address.ip, size) == 0):
        return <str><object>entry.text
    inet_ntop(AF_INET if address.family == 4 else AF_INET6, address.ip, text, sizeof(text))
    name = (<bytes>(<char*>text)).decode("ascii")
    Py_XDECREF(entry.text)
    Py_INCREF(name)
    entry.text = <PyObject*>name
    entry.address = address[0]
    return name


cdef void host_names_clear(HostNames* names) noexcept:
    cdef int i
    for i in range(HOST_NAMES):
        Py_XDECREF(names.names[i].text)
        names.names[i].text = NULL
