"""The request-target and the host: RFC 9112 section 3.2 and what it takes from RFC 3986.

Works on bytes the caller has found the ends of and knows to be visible ASCII (a target) or clean (a Host). Offsets
count from the head's first byte, as everywhere in `Head`.
"""
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcmp
from drawbar.wire.head cimport Head, TARGET_ABSOLUTE, TARGET_ASTERISK, TARGET_AUTHORITY, TARGET_ORIGIN
from drawbar.wire.tables cimport METHOD_CONNECT, METHOD_OPTIONS, same_name

cdef enum:
    MAX_PORT = 65535

cdef enum HostClass:
    HOST_STOP = 0
    HOST_PLAIN
    HOST_PERCENT

cdef uint8_t HOST_CLASS[256]


# RFC 3986 section 3.2.2:  reg-name = *( unreserved / pct-encoded / sub-delims )
cdef void _fill_host_class() noexcept:
    cdef int byte
    for byte in range(256):
        HOST_CLASS[byte] = HOST_STOP
    for byte in b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;=":
        HOST_CLASS[byte] = HOST_PLAIN
    HOST_CLASS[<int> c"%"] = HOST_PERCENT


_fill_host_class()


cdef const char* _wrong(Head* head, uint32_t at, const char* why) noexcept nogil:
    head.error_at = at
    return why


# RFC 9112 section 3.2:  request-target = origin-form / absolute-form / authority-form / asterisk-form
cdef const char* parse_target(Head* head, const uint8_t* data) noexcept nogil:
    cdef uint32_t end = head.target + head.target_size
    # Section 3.2.3:  authority-form is "only used for CONNECT requests", and CONNECT has no other.
    if head.method_id == METHOD_CONNECT:
        return _authority_form(head, data, end)
    # Section 3.2.1:  origin-form = absolute-path [ "?" query ]
    if data[head.target] == c"/":
        head.target_form = TARGET_ORIGIN
        return _path_and_query(head, head.target, end)
    # Section 3.2.4:  asterisk-form is "only used for a server-wide OPTIONS request".
    if data[head.target] == c"*" and head.target_size == 1:
        if head.method_id != METHOD_OPTIONS:
            return _wrong(head, head.target, "the request-target * is for OPTIONS only")
        head.target_form = TARGET_ASTERISK
        head.path = head.target
        return NULL
    return _absolute_form(head, data, end)


cdef inline const char* _path_and_query(Head* head, uint32_t path, uint32_t end) noexcept nogil:
    head.path = path
    if head.query:
        head.path_size = head.query - 1 - path
        head.query_size = end - head.query
    else:
        head.path_size = end - path
        head.query = end
    return NULL


cdef const char* _authority_form(Head* head, const uint8_t* data, uint32_t end) noexcept nogil:
    # "the host and port ... separated by a colon": here the port must be there.
    if parse_authority(data, head.target, end) < 1:
        return _wrong(head, head.target, "the request-target of CONNECT must be host:port")
    head.target_form = TARGET_AUTHORITY
    head.authority = head.target
    head.authority_size = head.target_size
    return NULL


# Section 3.2.2:  absolute-form = absolute-URI
# Of all URIs only those a request to us can be about: http and https, with a host (RFC 9110 sections 4.2.1 and 4.2.2),
# and without userinfo, which RFC 9110 section 4.2.4 wants treated as an error.
cdef const char* _absolute_form(Head* head, const uint8_t* data, uint32_t end) noexcept nogil:
    cdef const char* target = <const char*> data + head.target
    cdef uint32_t at = head.target + 4
    if head.target_size < 7 or not same_name(target, "http", 4):
        return _wrong(head, head.target, "the request-target must begin with / or be an http or https URI")
    if data[at] == c"s" or data[at] == c"S":
        head.scheme_https = True
        at += 1
    if memcmp(data + at, "://", 3) != 0:
        return _wrong(head, head.target, "the request-target must begin with / or be an http or https URI")
    at += 3
    head.authority = at
    while at < end and data[at] != c"/" and data[at] != c"?":
        at += 1
    head.authority_size = at - head.authority
    if parse_authority(data, head.authority, at) < 0:
        return _wrong(head, head.authority, "invalid host in the request-target")
    head.target_form = TARGET_ABSOLUTE
    return _path_and_query(head, at, end)


cdef inline bint _is_hex(uint8_t byte) noexcept nogil:
    return c"0" <= byte <= c"9" or c"a" <= (byte | 0x20) <= c"f"


# RFC 9110 section 7.2:    Host = uri-host [ ":" port ]
# RFC 3986 section 3.2.2:  host = IP-literal / IPv4address / reg-name
# RFC 3986 section 3.2.3:  port = *DIGIT
cdef int parse_authority(const uint8_t* data, uint32_t start, uint32_t end) noexcept nogil:
    cdef uint32_t at = start
    cdef uint32_t digits
    cdef uint32_t port = 0
    if at < end and data[at] == c"[":
        at = _ip_literal(data, at + 1, end)
    else:
        while at < end and HOST_CLASS[data[at]]:
            if HOST_CLASS[data[at]] == HOST_PERCENT:
                if end - at < 3 or not _is_hex(data[at + 1]) or not _is_hex(data[at + 2]):
                    return -1
                at += 2
            at += 1
    if at == start or (at != end and data[at] != c":"):
        return -1
    if at == end:
        return 0
    digits = end - at - 1
    for at in range(at + 1, end):
        port = port * 10 + <uint8_t> (data[at] - c"0")
        if not c"0" <= data[at] <= c"9" or port > MAX_PORT:
            return -1
    return digits


# RFC 3986 section 3.2.2:  IP-literal = "[" ( IPv6address / IPvFuture  ) "]"
# No IPvFuture exists. Which of the digits and colons are an address is for whoever resolves it.
cdef uint32_t _ip_literal(const uint8_t* data, uint32_t start, uint32_t end) noexcept nogil:
    """Where the literal whose bracket is before `start` ends; at that bracket when it is none."""
    cdef uint32_t at = start
    cdef uint32_t colons = 0
    while at < end and (_is_hex(data[at]) or data[at] == c":" or data[at] == c"."):
        colons += data[at] == c":"
        at += 1
    if at >= end or data[at] != c"]" or colons < 2:
        return start - 1
    return at + 1
