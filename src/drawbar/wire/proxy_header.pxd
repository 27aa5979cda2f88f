"""The PROXY protocol's header: whose connection a proxy passes on."""
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint16_t

cdef enum:
    PROXY_V1_BYTES = 107        # the longest line with its CRLF (section 2.1)
    PROXY_V2_BYTES = 4_096      # a version 2 header with what is appended to it; past it: refused

cdef enum ProxyProgress:
    PROXY_PARTIAL
    PROXY_DONE
    PROXY_REFUSED

cdef enum ProxyPeer:
    PROXY_LOCAL                 # the proxy speaks for itself: the connection's own addresses count
    PROXY_UNKNOWN               # for somebody whose address it cannot say
    PROXY_KNOWN

cdef struct ProxyHeader:
    ProxyPeer peer
    size_t size                 # of the header, once PROXY_DONE
    uint8_t family              # 4 or 6
    uint8_t ip[16]
    uint16_t port
    size_t error_at             # offset of what is wrong
    const char* why             # static text: what is wrong

# Reads a header at `data[:size]`, from its first byte in each call. Bytes behind the header are not looked at.
cdef ProxyProgress parse_proxy_header(ProxyHeader* into, const uint8_t* data, size_t size) noexcept nogil
