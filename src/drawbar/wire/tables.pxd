"""Character classes and names the grammar of RFC 9110 and RFC 9112 is written in."""
from libc.stdint cimport uint8_t, uint32_t

# One entry a byte: the lower-cased byte when it is a tchar (RFC 9110 section 5.6.2), else 0.
cdef uint8_t TCHAR[256]

# Field names that framing and connection handling know. `KNOWN_NONE` is every other name.
cdef enum Known:
    KNOWN_NONE = 0
    KNOWN_HOST
    KNOWN_CONNECTION
    KNOWN_CONTENT_LENGTH
    KNOWN_CONTENT_TYPE
    KNOWN_TRANSFER_ENCODING
    KNOWN_EXPECT
    KNOWN_UPGRADE
    KNOWN_KEEP_ALIVE
    KNOWN_PROXY_CONNECTION
    KNOWN_TE
    KNOWN_TRAILER
    KNOWN_DATE
    KNOWN_SERVER
    KNOWN_PROXY                 # never reaches an app (httpoxy)
    KNOWN_X_FORWARDED_FOR
    KNOWN_X_FORWARDED_PROTO
    KNOWN_X_FORWARDED_HOST
    KNOWN_X_FORWARDED_PORT
    KNOWN_X_FORWARDED_PREFIX
    KNOWN_X_FORWARDED_SCHEME    # this and the next are nobody's word here, and Rack's on the scheme
    KNOWN_X_FORWARDED_SSL
    KNOWN_FORWARDED
    KNOWN_PROXY_AUTHENTICATE

cdef enum Method:
    METHOD_OTHER = 0
    METHOD_GET
    METHOD_HEAD
    METHOD_POST
    METHOD_PUT
    METHOD_DELETE
    METHOD_OPTIONS
    METHOD_PATCH
    METHOD_CONNECT
    METHOD_TRACE

# FNV-1a over the lower-cased name: what `Field.hash` holds. A loop of its own starts at the basis and steps
# `hash = (hash ^ lower-cased byte) * FNV_PRIME`.
cdef enum:
    FNV_BASIS = 0x811C9DC5
    FNV_PRIME = 0x01000193
cdef uint32_t name_hash(const char* name, size_t size) noexcept nogil
# The known name this is, whatever its case.
cdef Known known_name(const char* name, size_t size, uint32_t hash) noexcept nogil
# The same by size and hash alone, for a name whose bytes are gone: two names of one size and hash are taken for one.
cdef Known known_hash(uint32_t hash, size_t size) noexcept nogil
# The method with this name; methods are case-sensitive (RFC 9110 section 9.1).
cdef Method method_named(const char* name, size_t size) noexcept nogil
# True when both are the same field name; `lower` is lower-cased already.
cdef bint same_name(const char* name, const char* lower, size_t size) noexcept nogil
# The standard reason phrase (RFC 9110 section 15), "Unknown" for a status without one.
cdef const char* reason_phrase(int status) noexcept nogil
# True when the bytes hold no control character a field value must not hold: any octet below 0x20 but HTAB, and DEL.
cdef bint clean_value(const char* data, size_t size) noexcept nogil
