# cython: language_level=3
"""The client whom a trusted proxy's request names, worked out once for all requests that say the same.

Law: what is remembered follows from the fields, the scheme and the set of proxies it is remembered in, from nothing
else. It is bounded in entries, and in bytes each, because clients have a say in those fields.
"""
from libc.string cimport memcpy
from drawbar.exchange.exchange cimport Exchange
from drawbar.wire.head cimport Field
from drawbar.wire.tables cimport KNOWN_FORWARDED, KNOWN_X_FORWARDED_FOR

from drawbar.exchange.forwarded import client_of

cdef enum:
    ENTRIES = 1_024             # together at most 1 MB
    SAID_BYTES = 256            # what says more is worked out each time


cdef object client_behind(Exchange exchange, tuple peer, str scheme, object proxies):
    """The `forwarded.Client` that a trusted peer speaks for. `peer` and `scheme` are those of its connection."""
    cdef char said[SAID_BYTES]
    cdef int size = _said(exchange, scheme, said)
    cdef dict known
    cdef bytes key
    if size < 0:
        return client_of(peer, scheme, proxies, _fields(exchange))
    known = proxies.known
    key = said[:size]
    client = known.get(key)
    if client is None:
        client = client_of(None, scheme, proxies, _fields(exchange))
        if len(known) >= ENTRIES:
            known.clear()
        known[key] = client
    # Fields that name no address leave the peer's own, which is another on each connection.
    return client if client.address is not None or peer is None else client._replace(address=peer)

cdef inline bint _forwards(const Field* field) noexcept:
    return KNOWN_X_FORWARDED_FOR <= field.known <= KNOWN_FORWARDED

cdef int _said(Exchange exchange, str scheme, char* into) noexcept:
    """Puts down what the client follows from, no two ways alike. The size, -1 when it is too long."""
    cdef int i
    cdef int size = 1
    cdef const Field* field
    into[0] = c"s" if scheme == "https" else c" "
    for i in range(exchange.head.n_fields):
        field = &exchange.head.fields[i]
        if not _forwards(field):
            continue
        if field.value_size + 2 > <unsigned int>(SAID_BYTES - size):
            return -1
        into[size] = <char>field.known
        memcpy(into + size + 1, exchange.base + field.value, field.value_size)
        # No field's value has one (RFC 9110 section 5.5).
        into[size + 1 + field.value_size] = c"\n"
        size += <int>field.value_size + 2
    return size

cdef dict _fields(Exchange exchange):
    """Values by lower-case name of all that proxies say of their client."""
    cdef int i
    cdef Field field
    cdef dict fields = {}
    for i in range(exchange.head.n_fields):
        # A copy: making the objects below may let another thread run, which has the head moved and goes on reading.
        field = exchange.head.fields[i]
        if _forwards(&field):
            name = exchange.base[field.name:field.name + field.name_size].decode("latin-1").lower()
            fields.setdefault(name, []).append(
                exchange.base[field.value:field.value + field.value_size].decode("latin-1"))
    return fields
