# cython: language_level=3
"""The PROXY protocol's header: whose connection a proxy passes on.

Versions 1 (a line of text) and 2 (binary) of haproxy's `proxy-protocol.txt`; section numbers below are its. A header
is taken whole or not at all, and what is not exactly one is refused at the first byte that tells: a receiver "MUST not
try to guess whether the protocol header is present or not" (section 2). Who may send one is for the caller to know.
"""
from libc.stddef cimport size_t
from libc.stdint cimport uint8_t, uint16_t
from libc.string cimport memchr, memcmp, memcpy, memset


cdef extern from "<sys/socket.h>" nogil:
    enum:
        AF_INET
        AF_INET6

cdef extern from "<arpa/inet.h>" nogil:
    int inet_pton(int family, const char* text, void* address)

cdef const uint8_t* V1 = b"PROXY "
cdef const uint8_t* V2 = b"\r\n\r\n\x00\r\nQUIT\n"

cdef enum:
    V1_SIZE = 6
    V2_SIZE = 12
    V2_FIXED = 16               # signature, version and command, family and transport, length
    LONGEST_ADDRESS = 45        # of IPv6 with an IPv4 tail (INET6_ADDRSTRLEN)


cdef ProxyProgress _refuse(ProxyHeader* into, size_t at, const char* why) noexcept nogil:
    into.error_at = at
    into.why = why
    return PROXY_REFUSED


cdef ProxyProgress parse_proxy_header(ProxyHeader* into, const uint8_t* data, size_t size) noexcept nogil:
    cdef const uint8_t* signature = V2
    cdef size_t length = V2_SIZE
    cdef size_t i
    memset(into, 0, sizeof(ProxyHeader))
    if size == 0:
        return PROXY_PARTIAL
    if data[0] == V1[0]:
        signature = V1
        length = V1_SIZE
    for i in range(min(size, length)):
        if data[i] != signature[i]:
            return _refuse(into, i, b"the connection does not begin with a PROXY header")
    if size < length:
        return PROXY_PARTIAL
    return _parse_line(into, data, size) if length == V1_SIZE else _parse_binary(into, data, size)


# -- section 2.1: "PROXY" SP ( "TCP4" / "TCP6" ) SP source SP destination SP port SP port CRLF
#                 "PROXY" SP "UNKNOWN" *any CRLF

cdef ProxyProgress _parse_line(ProxyHeader* into, const uint8_t* data, size_t size) noexcept nogil:
    cdef size_t limit = min(size, <size_t>PROXY_V1_BYTES)
    cdef size_t at
    # "The receiver must not tolerate a single CR or LF character to end the line."
    for at in range(V1_SIZE, limit):
        if data[at] == c"\n":
            return _refuse(into, at, b"the PROXY line ends with a bare LF")
        if data[at] == c"\r" and at + 1 < limit:
            if data[at + 1] != c"\n":
                return _refuse(into, at, b"the PROXY line has a bare CR")
            into.size = at + 2
            return _read_line(into, data, data + at)
    if size >= PROXY_V1_BYTES:
        return _refuse(into, PROXY_V1_BYTES, b"the PROXY line is longer than 107 bytes")
    return PROXY_PARTIAL


cdef ProxyProgress _read_line(ProxyHeader* into, const uint8_t* data, const uint8_t* end) noexcept nogil:
    """The line's words, when its end is known: "the receiver must wait for the CRLF"."""
    cdef const uint8_t* at = data + V1_SIZE
    cdef uint8_t other[16]
    cdef uint16_t other_port
    cdef int family
    if end - at >= 7 and memcmp(at, b"UNKNOWN", 7) == 0 and (end - at == 7 or at[7] == c" "):
        into.peer = PROXY_UNKNOWN
        return PROXY_DONE
    if end - at < 5 or memcmp(at, b"TCP", 3) != 0 or at[4] != c" " or (at[3] != c"4" and at[3] != c"6"):
        return _refuse(into, at - data, b"the PROXY line names neither TCP4 nor TCP6 nor UNKNOWN")
    into.family = at[3] - c"0"
    family = AF_INET if into.family == 4 else AF_INET6
    at += 5
    if not (_read_address(family, &at, end, into.ip) and _read_address(family, &at, end, other)):
        return _refuse(into, at - data, b"the PROXY line has an address that is none of its family")
    if not (_read_port(&at, end, &into.port) and at < end and at[0] == c" "):
        return _refuse(into, at - data, b"the PROXY line has a port that is none")
    at += 1
    if not _read_port(&at, end, &other_port) or at != end:
        return _refuse(into, at - data, b"the PROXY line has a port that is none")
    into.peer = PROXY_KNOWN
    _unmap(into)
    return PROXY_DONE


cdef bint _read_address(int family, const uint8_t** at, const uint8_t* end, uint8_t* into) noexcept nogil:
    """An address and the space behind it. inet_pton(3) takes no leading zeros, no zone and nothing shortened."""
    cdef char text[LONGEST_ADDRESS + 1]
    cdef const uint8_t* space = <const uint8_t*>memchr(at[0], c" ", end - at[0])
    cdef size_t size
    if space is NULL:
        return False
    size = space - at[0]
    # It would stop at a NUL and take what is before it.
    if size > LONGEST_ADDRESS or memchr(at[0], 0, size) is not NULL:
        return False
    memcpy(text, at[0], size)
    text[size] = 0
    if inet_pton(family, text, into) != 1:
        return False
    at[0] = space + 1
    return True


cdef bint _read_port(const uint8_t** at, const uint8_t* end, uint16_t* into) noexcept nogil:
    """0 to 65535: "heading zeroes are not permitted"."""
    cdef const uint8_t* start = at[0]
    cdef int port = 0
    while at[0] < end and c"0" <= at[0][0] <= c"9" and at[0] - start < 5:
        port = port * 10 + at[0][0] - c"0"
        at[0] += 1
    if at[0] == start or port > 65535 or (start[0] == c"0" and at[0] - start > 1):
        return False
    into[0] = <uint16_t>port
    return True


# -- section 2.2: signature, version and command, family and transport, length, addresses, then what may be appended

cdef ProxyProgress _parse_binary(ProxyHeader* into, const uint8_t* data, size_t size) noexcept nogil:
    cdef size_t length, needed
    cdef uint8_t family, transport
    # "Receivers must drop connections presenting unexpected values here."
    if size > 12 and data[12] != 0x20 and data[12] != 0x21:
        return _refuse(into, 12, b"the PROXY header's version is not 2, or its command unknown")
    if size < V2_FIXED:
        return PROXY_PARTIAL
    length = <size_t>data[14] << 8 | data[15]
    into.size = V2_FIXED + length
    if into.size > PROXY_V2_BYTES:
        return _refuse(into, 14, b"the PROXY header is longer than 4096 bytes")
    family = data[13] >> 4
    transport = data[13] & 15
    if data[12] == 0x20:
        # "Discard the protocol block including the family, which is ignored."
        into.peer = PROXY_LOCAL
    else:
        into.peer = PROXY_UNKNOWN
        if family > 3 or transport > 2:
            return _refuse(into, 13, b"the PROXY header's family or transport is unknown")
        needed = 0
        if transport:
            needed = 0 if family == 0 else 12 if family == 1 else 36 if family == 2 else 216
        if length < needed:
            return _refuse(into, 14, b"the PROXY header is shorter than its addresses")
    if size < into.size:
        return PROXY_PARTIAL
    # Unix sockets and datagrams have no address an application could be told: "falls back to the UNSPEC mode".
    if into.peer == PROXY_UNKNOWN and transport == 1 and (family == 1 or family == 2):
        _read_addresses(into, data + V2_FIXED, family)
    return PROXY_DONE


cdef void _read_addresses(ProxyHeader* into, const uint8_t* at, uint8_t family) noexcept nogil:
    """Source and destination address, source and destination port, in network byte order."""
    cdef size_t width = 4 if family == 1 else 16
    into.peer = PROXY_KNOWN
    into.family = 4 if family == 1 else 6
    memcpy(into.ip, at, width)
    into.port = <uint16_t>(at[2 * width] << 8 | at[2 * width + 1])
    _unmap(into)


cdef void _unmap(ProxyHeader* into) noexcept nogil:
    """An IPv4 client of a dual-stack proxy (RFC 4291 section 2.5.5.2) is an IPv4 client."""
    cdef const uint8_t* prefix = b"\0\0\0\0\0\0\0\0\0\0\xff\xff"
    if into.family == 6 and memcmp(into.ip, prefix, 12) == 0:
        into.family = 4
        memcpy(into.ip, &into.ip[12], 4)


def parse(const uint8_t[::1] data):
    """For tests and tools: what a header at the start of `data` says.

    Returns None while it is not whole, else (bytes it has, "local", "unknown" or (packed address, port)). Raises
    ValueError, with the text and the offset, for what is no header.
    """
    cdef ProxyHeader header
    cdef ProxyProgress progress = parse_proxy_header(&header, &data[0] if data.shape[0] else NULL, data.shape[0])
    if progress == PROXY_PARTIAL:
        return None
    if progress == PROXY_REFUSED:
        raise ValueError(header.why.decode(), header.error_at)
    if header.peer == PROXY_KNOWN:
        return header.size, (header.ip[:4 if header.family == 4 else 16], header.port)
    return header.size, "local" if header.peer == PROXY_LOCAL else "unknown"
