"""Character classes and names the grammar of RFC 9110 and RFC 9112 is written in.

Here live the facts every other part of the codec looks up: which bytes are token characters, which field names and
methods mean something to framing and connections, what a status is called. No parsing and no state: every table is
filled once, when the module is imported, and only read after that.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, strlen

cdef enum:
    N_KNOWN = 24                # members of Known
    N_SLOTS = 256               # a power of two, sparse, so that an unknown name mostly meets an empty slot
    N_REASONS = 512             # statuses with a standard phrase are below this

cdef struct Name:
    const char* lower
    uint32_t size
    uint32_t hash

cdef Name NAMES[N_KNOWN]
cdef uint8_t SLOTS[N_SLOTS]     # open addressing by hash; holds Known
cdef const char* REASONS[N_REASONS]


# RFC 9110 section 5.6.2:  tchar = "!" / "#" / "$" / "%" / "&" / "'" / "*" / "+" / "-" / "." / "^" / "_" / "`"
#                                  / "|" / "~" / DIGIT / ALPHA
cdef void _fill_tchar() noexcept:
    cdef int byte
    for byte in range(256):
        TCHAR[byte] = 0
    for byte in b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz":
        TCHAR[byte] = <uint8_t> byte
    for byte in b"ABCDEFGHIJKLMNOPQRSTUVWXYZ":
        TCHAR[byte] = <uint8_t> (byte | 0x20)


cdef uint32_t name_hash(const char* name, size_t size) noexcept nogil:
    cdef uint32_t hash = FNV_BASIS
    cdef uint8_t byte
    cdef size_t at
    for at in range(size):
        byte = <uint8_t> name[at]
        # A byte that is no tchar keeps its own value: the hash is defined for every input.
        hash = (hash ^ (TCHAR[byte] or byte)) * <uint32_t> FNV_PRIME
    return hash


cdef bint same_name(const char* name, const char* lower, size_t size) noexcept nogil:
    cdef const uint8_t* tchar = TCHAR
    cdef size_t at
    for at in range(size):
        if tchar[<uint8_t> name[at]] != <uint8_t> lower[at]:
            return False
    return True


cdef Known known_name(const char* name, size_t size, uint32_t hash) noexcept nogil:
    cdef Known known = known_hash(hash, size)
    if known != KNOWN_NONE and not same_name(name, NAMES[<int> known].lower, size):
        return KNOWN_NONE
    return known


cdef Known known_hash(uint32_t hash, size_t size) noexcept nogil:
    cdef uint32_t slot = hash & (N_SLOTS - 1)
    cdef uint8_t known = SLOTS[slot]
    while known != KNOWN_NONE:
        if NAMES[known].hash == hash and NAMES[known].size == size:
            break
        slot = (slot + 1) & (N_SLOTS - 1)
        known = SLOTS[slot]
    return <Known> known


cdef void _know(Known known, const char* lower) noexcept:
    cdef uint32_t slot
    NAMES[<int> known].lower = lower
    NAMES[<int> known].size = <uint32_t> strlen(lower)
    NAMES[<int> known].hash = name_hash(lower, strlen(lower))
    slot = NAMES[<int> known].hash & (N_SLOTS - 1)
    while SLOTS[slot] != KNOWN_NONE:
        slot = (slot + 1) & (N_SLOTS - 1)
    SLOTS[slot] = <uint8_t> known


cdef void _fill_known() noexcept:
    _know(KNOWN_HOST, "host")
    _know(KNOWN_CONNECTION, "connection")
    _know(KNOWN_CONTENT_LENGTH, "content-length")
    _know(KNOWN_CONTENT_TYPE, "content-type")
    _know(KNOWN_TRANSFER_ENCODING, "transfer-encoding")
    _know(KNOWN_EXPECT, "expect")
    _know(KNOWN_UPGRADE, "upgrade")
    _know(KNOWN_KEEP_ALIVE, "keep-alive")
    _know(KNOWN_PROXY_CONNECTION, "proxy-connection")
    _know(KNOWN_TE, "te")
    _know(KNOWN_TRAILER, "trailer")
    _know(KNOWN_DATE, "date")
    _know(KNOWN_SERVER, "server")
    _know(KNOWN_PROXY, "proxy")
    _know(KNOWN_X_FORWARDED_FOR, "x-forwarded-for")
    _know(KNOWN_X_FORWARDED_PROTO, "x-forwarded-proto")
    _know(KNOWN_X_FORWARDED_HOST, "x-forwarded-host")
    _know(KNOWN_X_FORWARDED_PORT, "x-forwarded-port")
    _know(KNOWN_X_FORWARDED_PREFIX, "x-forwarded-prefix")
    _know(KNOWN_X_FORWARDED_SCHEME, "x-forwarded-scheme")
    _know(KNOWN_X_FORWARDED_SSL, "x-forwarded-ssl")
    _know(KNOWN_FORWARDED, "forwarded")
    _know(KNOWN_PROXY_AUTHENTICATE, "proxy-authenticate")


# RFC 9110 section 9.1:  "The method token is case-sensitive".
cdef Method method_named(const char* name, size_t size) noexcept nogil:
    if size == 3:
        if memcmp(name, "GET", 3) == 0:
            return METHOD_GET
        if memcmp(name, "PUT", 3) == 0:
            return METHOD_PUT
    elif size == 4:
        if memcmp(name, "POST", 4) == 0:
            return METHOD_POST
        if memcmp(name, "HEAD", 4) == 0:
            return METHOD_HEAD
    elif size == 5:
        if memcmp(name, "PATCH", 5) == 0:
            return METHOD_PATCH
        if memcmp(name, "TRACE", 5) == 0:
            return METHOD_TRACE
    elif size == 6:
        if memcmp(name, "DELETE", 6) == 0:
            return METHOD_DELETE
    elif size == 7:
        if memcmp(name, "OPTIONS", 7) == 0:
            return METHOD_OPTIONS
        if memcmp(name, "CONNECT", 7) == 0:
            return METHOD_CONNECT
    return METHOD_OTHER


cdef inline bint _clean_byte(uint8_t byte) noexcept nogil:
    return (byte >= 0x20 and byte != 0x7F) or byte == 0x09


# True when none of the eight bytes is below 0x20 or DEL (HTAB counts as unclean here and gets a second look). The
# borrow of a byte below 0x20 may mark its neighbour too, but only once there is a byte to be marked: as a yes or no it
# is exact.
cdef inline bint _plain_word(uint64_t word) noexcept nogil:
    cdef uint64_t ones = 0x0101010101010101ULL
    cdef uint64_t high = ones << 7
    cdef uint64_t del_gone = word ^ (ones * 0x7F)
    return (((word - ones * 0x20) & ~word) | ((del_gone - ones) & ~del_gone)) & high == 0


# RFC 9110 section 5.5:  field-content = field-vchar [ 1*( SP / HTAB / field-vchar ) field-vchar ]
#                        field-vchar   = VCHAR / obs-text
cdef bint clean_value(const char* data, size_t size) noexcept nogil:
    cdef uint64_t word
    cdef size_t at = 0
    cdef size_t stop
    while at < size:
        stop = at + 8
        if stop <= size:
            memcpy(&word, data + at, 8)
            if _plain_word(word):
                at = stop
                continue
        elif size >= 8:
            # The last word overlaps the one before it: no byte loop for the remainder.
            memcpy(&word, data + size - 8, 8)
            if _plain_word(word):
                return True
            stop = size
        else:
            stop = size
        while at < stop:
            if not _clean_byte(<uint8_t> data[at]):
                return False
            at += 1
    return True


cdef const char* reason_phrase(int status) noexcept nogil:
    if 0 <= status < N_REASONS and REASONS[status] != NULL:
        return REASONS[status]
    return "Unknown"


# RFC 9110 section 15, and the registry's later ones (103 RFC 8297; 422, 423, 424, 207, 507 WebDAV; 425 RFC 8470; 428,
# 429, 431, 511 RFC 6585; 451 RFC 7725; 208, 226, 506, 508, 510).
cdef void _fill_reasons() noexcept:
    cdef int status
    for status in range(N_REASONS):
        REASONS[status] = NULL
    REASONS[100] = "Continue"
    REASONS[101] = "Switching Protocols"
    REASONS[102] = "Processing"
    REASONS[103] = "Early Hints"
    REASONS[200] = "OK"
    REASONS[201] = "Created"
    REASONS[202] = "Accepted"
    REASONS[203] = "Non-Authoritative Information"
    REASONS[204] = "No Content"
    REASONS[205] = "Reset Content"
    REASONS[206] = "Partial Content"
    REASONS[207] = "Multi-Status"
    REASONS[208] = "Already Reported"
    REASONS[226] = "IM Used"
    REASONS[300] = "Multiple Choices"
    REASONS[301] = "Moved Permanently"
    REASONS[302] = "Found"
    REASONS[303] = "See Other"
    REASONS[304] = "Not Modified"
    REASONS[305] = "Use Proxy"
    REASONS[307] = "Temporary Redirect"
    REASONS[308] = "Permanent Redirect"
    REASONS[400] = "Bad Request"
    REASONS[401] = "Unauthorized"
    REASONS[402] = "Payment Required"
    REASONS[403] = "Forbidden"
    REASONS[404] = "Not Found"
    REASONS[405] = "Method Not Allowed"
    REASONS[406] = "Not Acceptable"
    REASONS[407] = "Proxy Authentication Required"
    REASONS[408] = "Request Timeout"
    REASONS[409] = "Conflict"
    REASONS[410] = "Gone"
    REASONS[411] = "Length Required"
    REASONS[412] = "Precondition Failed"
    REASONS[413] = "Content Too Large"
    REASONS[414] = "URI Too Long"
    REASONS[415] = "Unsupported Media Type"
    REASONS[416] = "Range Not Satisfiable"
    REASONS[417] = "Expectation Failed"
    REASONS[418] = "I'm a teapot"
    REASONS[421] = "Misdirected Request"
    REASONS[422] = "Unprocessable Content"
    REASONS[423] = "Locked"
    REASONS[424] = "Failed Dependency"
    REASONS[425] = "Too Early"
    REASONS[426] = "Upgrade Required"
    REASONS[428] = "Precondition Required"
    REASONS[429] = "Too Many Requests"
    REASONS[431] = "Request Header Fields Too Large"
    REASONS[451] = "Unavailable For Legal Reasons"
    REASONS[500] = "Internal Server Error"
    REASONS[501] = "Not Implemented"
    REASONS[502] = "Bad Gateway"
    REASONS[503] = "Service Unavailable"
    REASONS[504] = "Gateway Timeout"
    REASONS[505] = "HTTP Version Not Supported"
    REASONS[506] = "Variant Also Negotiates"
    REASONS[507] = "Insufficient Storage"
    REASONS[508] = "Loop Detected"
    REASONS[510] = "Not Extended"
    REASONS[511] = "Network Authentication Required"


_fill_tchar()
_fill_known()
_fill_reasons()
