# cython: language_level=3
"""The head of a request as it is passed on to a server.

Law: it says what the client said, less what ends here (hop_by_hop.pyx), and plus what we know better than the client:
where it comes from, how it reached us, how long its body is. A stranger's word on any of these never passes, in any
spelling: who reads the request as CGI variables takes X_Forwarded_For for X-Forwarded-For.

Names and values are copied as they were parsed: what the codec let through as a field is one.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memchr, memcpy
from posix.time cimport CLOCK_REALTIME, clock_gettime, timespec
from drawbar.exchange.body cimport BodyStore
from drawbar.exchange.exchange cimport Exchange, now_ns
from drawbar.gateways.hop_by_hop cimport ends_here, names_others
from drawbar.wire.head cimport FLAG_TRAILERS, FLAG_UPGRADE, Field, Head, TARGET_ABSOLUTE
from drawbar.wire.tables cimport (
    KNOWN_CONTENT_LENGTH, KNOWN_EXPECT, KNOWN_FORWARDED, KNOWN_HOST, KNOWN_NONE, KNOWN_PROXY, KNOWN_UPGRADE,
    KNOWN_X_FORWARDED_FOR, known_name, name_hash)
from drawbar.wire.writer cimport Buffer, buffer_reserve, put_content_length, put_decimal, put_field, put_literal

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(object text)
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL

cdef extern from "<strings.h>" nogil:
    int strncasecmp(const char* left, const char* right, size_t size)

cdef enum:
    OURS_SIZE = 15              # of the longest name that is ours alone
    POSING_SIZE = 64            # a name longer than this is nobody's


cdef inline void _append(Buffer* into, const char* data, size_t size) noexcept nogil:
    """Into room that is reserved already."""
    memcpy(into.data + into.size, data, size)
    into.size += size


cdef inline int _copy_field(Buffer* into, const char* base, const Field* field) except -1:
    buffer_reserve(into, <size_t>field.name_size + field.value_size + 4)
    _append(into, base + field.name, field.name_size)
    _append(into, ": ", 2)
    _append(into, base + field.value, field.value_size)
    _append(into, "\r\n", 2)
    return 0


cdef inline bint _is_ours(const char* name, size_t size) noexcept nogil:
    """Names that only a front may say: Drawbar-*, X-Request-Start."""
    if name[0] | 0x20 == c"d":
        return size > 8 and strncasecmp(name, "drawbar-", 8) == 0
    return name[0] | 0x20 == c"x" and size == OURS_SIZE and strncasecmp(name, "x-request-start", OURS_SIZE) == 0


cdef bint _poses(const char* name, size_t size) noexcept nogil:
    """Has an underscore, and would be a name of ours or of forwarding with a hyphen in its place."""
    cdef char plain[POSING_SIZE]
    cdef size_t at
    cdef int known
    if size > POSING_SIZE or memchr(name, c"_", size) is NULL:
        return False
    for at in range(size):
        plain[at] = c"-" if name[at] == c"_" else name[at]
    known = known_name(plain, size, name_hash(plain, size))
    return known != KNOWN_NONE or _is_ours(plain, size)


cdef int64_t body_size(Exchange exchange):
    cdef BodyStore body = exchange.body
    if body is None:
        return BODY_ABSENT
    if body.complete:
        return body.received
    return exchange.head.content_length if exchange.head.content_length > 0 else BODY_IN_CHUNKS


cdef bint may_upgrade(Exchange exchange):
    """RFC 9110 section 7.8. Not with a body: where it ends and the other protocol begins would be the client's to say.

    Not to h2c: what is asked for through such a tunnel is seen by no rule of ours.
    """
    cdef Head* head = exchange.head
    cdef Field* field
    cdef int i
    cdef int found = 0
    if not exchange.flags & FLAG_UPGRADE or exchange.body is not None:
        return False
    for i in range(head.n_fields):
        field = &head.fields[i]
        if field.known == KNOWN_UPGRADE:
            found += 1
            if b"h2c" in exchange.base[field.value:field.value + field.value_size].lower():
                return False
    return found == 1


cdef int put_request(Buffer* into, Exchange exchange, int64_t size, bytes prefix, bint upgrade) except -1:
    cdef Head* head = exchange.head
    cdef const char* base = exchange.base
    cdef Field* field
    cdef bint others = names_others(head, base)
    cdef bint absolute = head.target_form == TARGET_ABSOLUTE
    cdef bint forwarded = False
    cdef int i
    _put_line(into, head, base, absolute)
    if absolute:
        # RFC 9112 section 3.2.2: the Host field gives way to the target's own authority.
        put_field(into, b"Host", 4, base + head.authority, head.authority_size)
    elif head.host < 0:
        put_literal(into, b"Host: \r\n", 8)
    for i in range(head.n_fields):
        field = &head.fields[i]
        if field.known == KNOWN_NONE:
            if (others and ends_here(head, base, field, True)) or _is_ours(base + field.name, field.name_size) or (
                    _poses(base + field.name, field.name_size)):
                continue
        elif field.known >= KNOWN_PROXY and field.known <= KNOWN_FORWARDED:
            forwarded = forwarded or field.known >= KNOWN_X_FORWARDED_FOR
            continue
        elif field.known == KNOWN_UPGRADE:
            if not upgrade:
                continue
        elif field.known == KNOWN_CONTENT_LENGTH or field.known == KNOWN_EXPECT or (
                absolute and field.known == KNOWN_HOST) or ends_here(head, base, field, others):
            continue
        _copy_field(into, base, field)
    if size >= 0:
        put_content_length(into, size)
    elif size == BODY_IN_CHUNKS:
        put_literal(into, b"Transfer-Encoding: chunked\r\n", 28)
    elif head.content_length == 0:
        put_literal(into, b"Content-Length: 0\r\n", 19)
    if head.flags & FLAG_TRAILERS:
        put_literal(into, b"TE: trailers\r\n", 14)
    _put_origin(into, exchange, prefix, forwarded)
    return _put_start(into, exchange)


# RFC 9112 section 3.2.1: to an origin server goes the origin-form.
cdef int _put_line(Buffer* into, Head* head, const char* base, bint absolute) except -1:
    cdef uint32_t target = head.target
    cdef uint32_t size = head.target_size
    if absolute:
        target = head.path
        size = head.path_size
        if head.query_size:
            size = head.query + head.query_size - head.path
    buffer_reserve(into, <size_t>head.method_size + size + 14)
    _append(into, base + head.method, head.method_size)
    _append(into, " ", 1)
    if absolute and head.path_size == 0:
        # "http://host?query"
        _append(into, "/", 1)
        if head.query_size:
            target = head.query - 1
            size = head.query_size + 1
        else:
            size = 0
    _append(into, base + target, size)
    _append(into, " HTTP/1.1\r\n", 11)
    return 0


cdef int _put_text(Buffer* into, bytes name, str value) except -1:
    cdef bytes raw
    cdef Py_ssize_t size
    cdef const char* text
    if PyUnicode_IS_ASCII(value):
        text = PyUnicode_AsUTF8AndSize(value, &size)
        return put_field(into, name, len(name), text, size)
    raw = value.encode("latin-1", "replace")
    return put_field(into, name, len(name), raw, len(raw))


cdef int _put_origin(Buffer* into, Exchange exchange, bytes prefix, bint forwarded) except -1:
    """Who asks, and how it was asked: as far as we know, or trusted proxies before us."""
    cdef Head* head = exchange.head
    cdef str address
    cdef str scheme
    cdef str host = None
    cdef object port = None
    cdef object client
    if forwarded:
        client = exchange.client()
        address = client.address[0] if client.address is not None else None
        scheme = client.scheme
        host = client.host
        port = client.port
        if client.prefix is not None:
            prefix = client.prefix.encode("latin-1", "replace") + (prefix or b"")
    else:
        address = exchange.peer_host()
        scheme = exchange.scheme()
    if address is not None:
        _put_text(into, b"X-Forwarded-For", address)
    _put_text(into, b"X-Forwarded-Proto", scheme)
    if host is not None:
        _put_text(into, b"X-Forwarded-Host", host)
    elif head.target_form == TARGET_ABSOLUTE:
        put_field(into, b"X-Forwarded-Host", 16, exchange.base + head.authority, head.authority_size)
    elif head.host >= 0:
        put_field(into, b"X-Forwarded-Host", 16, exchange.base + head.fields[head.host].value,
                  head.fields[head.host].value_size)
    if port is None:
        port = exchange.server()[1]
    if port is not None:
        put_literal(into, b"X-Forwarded-Port: ", 18)
        put_decimal(into, port, 1)
        put_literal(into, b"\r\n", 2)
    if prefix is not None:
        put_field(into, b"X-Forwarded-Prefix", 18, prefix, len(prefix))
    return 0


cdef int _put_start(Buffer* into, Exchange exchange) except -1:
    """X-Request-Start: when the request was here, in seconds of Unix time, as queue-time agents read it."""
    cdef timespec now
    cdef uint64_t micro
    clock_gettime(CLOCK_REALTIME, &now)
    micro = <uint64_t>now.tv_sec * 1_000_000 + <uint64_t>now.tv_nsec // 1000
    if exchange.accepted_ns:
        micro -= (now_ns() - exchange.accepted_ns) // 1000
    put_literal(into, b"X-Request-Start: t=", 19)
    put_decimal(into, micro // 1_000_000, 1)
    put_literal(into, b".", 1)
    put_decimal(into, micro % 1_000_000, 6)
    return put_literal(into, b"\r\n", 2)
