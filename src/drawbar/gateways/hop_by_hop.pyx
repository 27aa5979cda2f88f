# cython: language_level=3
"""Which fields of a message end at its next recipient.

RFC 9110 section 7.6.1: "Intermediaries MUST parse a received Connection header field before a message is forwarded and,
for each connection-option in this field, remove any header or trailer field(s) from the message with the same name as
the connection-option, and then remove the Connection header field itself". And: fields that are not listed though they
should be (Proxy-Connection, Keep-Alive, TE, Transfer-Encoding, Upgrade) go, too.

Decided here: a name that framing or forwarding depends on (tables.Known) is never removed because Connection lists it.
Clients list Host or X-Forwarded-For there to make a proxy forget what it knows of them.
"""
from libc.stdint cimport uint8_t, uint32_t
from drawbar.wire.head cimport Field, Head
from drawbar.wire.tables cimport (
    KNOWN_CONNECTION, KNOWN_KEEP_ALIVE, KNOWN_NONE, KNOWN_PROXY_CONNECTION, KNOWN_TE, KNOWN_TRANSFER_ENCODING,
    KNOWN_UPGRADE, TCHAR, known_name, name_hash)

cdef extern from "<strings.h>" nogil:
    int strncasecmp(const char* left, const char* right, size_t size)


cdef bint is_hop_by_hop(uint8_t known) noexcept nogil:
    return (known == KNOWN_CONNECTION or known == KNOWN_TRANSFER_ENCODING or known == KNOWN_UPGRADE
            or known == KNOWN_KEEP_ALIVE or known == KNOWN_PROXY_CONNECTION or known == KNOWN_TE)


cdef inline bint _is_plain(const char* option, uint32_t size) noexcept nogil:
    """An option that removes nothing which would not be removed anyway."""
    return (size == 5 and strncasecmp(option, "close", 5) == 0
            or known_name(option, size, name_hash(option, size)) != KNOWN_NONE)


cdef uint32_t _option(const char* base, uint32_t* at, uint32_t end) noexcept nogil:
    """Moves `at` to the next connection-option, and returns where that ends; `at` is `end` after the last one."""
    cdef uint32_t stop
    while at[0] < end and not TCHAR[<uint8_t>base[at[0]]]:
        at[0] += 1
    stop = at[0]
    while stop < end and TCHAR[<uint8_t>base[stop]]:
        stop += 1
    return stop


cdef bint _lists(const Head* head, const char* base, const Field* field) noexcept nogil:
    """Whether Connection lists that field by its name; NULL: any field that is not known to end here anyway."""
    cdef uint32_t at, stop, end
    cdef bint found
    cdef int i
    for i in range(head.n_fields):
        if head.fields[i].known != KNOWN_CONNECTION:
            continue
        at = head.fields[i].value
        end = at + head.fields[i].value_size
        stop = _option(base, &at, end)
        while at < end:
            if field is NULL:
                found = not _is_plain(base + at, stop - at)
            else:
                found = (stop - at == field.name_size
                         and strncasecmp(base + at, base + field.name, field.name_size) == 0)
            if found:
                return True
            at = stop
            stop = _option(base, &at, end)
    return False


cdef bint names_others(const Head* head, const char* base) noexcept nogil:
    return _lists(head, base, NULL)


cdef bint ends_here(const Head* head, const char* base, const Field* field, bint others) noexcept nogil:
    if field.known != KNOWN_NONE:
        return is_hop_by_hop(field.known)
    return others and _lists(head, base, field)


cdef bint gives_back(const Head* head, const char* base) noexcept nogil:
    cdef int i
    if head.status != 503:
        return False
    for i in range(head.n_fields):
        if head.fields[i].name_size == 16 and strncasecmp(base + head.fields[i].name, "drawbar-released", 16) == 0:
            return True
    return False
