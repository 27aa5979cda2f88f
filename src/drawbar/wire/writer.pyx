"""Messages out: start lines, fields and chunks into a growing buffer; nothing that would break framing gets in.

What comes from an app or an upstream passes through `put_field` and `put_request_line`, which check it against the
grammar the parser enforces; only bytes that are ours go through `put_literal` and `buffer_put`. A refusal leaves the
buffer as it was.
"""
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, strlen
from drawbar.wire.tables cimport TCHAR, clean_value, reason_phrase

cdef enum:
    FIRST_CAPACITY = 1024       # bytes; a usual response head fits, growth doubles from there
    LENGTH_ROOM = 20            # decimal digits of a uint64
    SHOWN_BYTES = 64            # of a refused name or value, in the message that refuses it


cdef int buffer_reserve(Buffer* buffer, size_t more) except -1:
    cdef size_t capacity = buffer.capacity
    cdef char* data
    if more <= capacity - buffer.size:
        return 0
    if more > <size_t> -1 // 2 - buffer.size:
        raise MemoryError("a message larger than the address space")
    capacity = max(capacity, <size_t> FIRST_CAPACITY)
    while capacity - buffer.size < more:
        capacity *= 2
    data = <char*> realloc(buffer.data, capacity)
    if data == NULL:
        raise MemoryError
    buffer.data = data
    buffer.capacity = capacity
    return 0


cdef int buffer_put(Buffer* buffer, const char* data, size_t size) except -1:
    buffer_reserve(buffer, size)
    if size:
        memcpy(buffer.data + buffer.size, data, size)
        buffer.size += size
    return 0


cdef void buffer_free(Buffer* buffer) noexcept nogil:
    free(buffer.data)
    buffer.data = NULL
    buffer.size = 0
    buffer.capacity = 0


cdef inline void _append(Buffer* buffer, const char* data, size_t size) noexcept nogil:
    """Appends into room that is reserved already."""
    memcpy(buffer.data + buffer.size, data, size)
    buffer.size += size


# RFC 9112 section 4:  status-line = HTTP-version SP status-code SP [ reason-phrase ]
cdef int put_status_line(Buffer* buffer, int status, const char* reason, size_t reason_size) except -1:
    cdef char[4] digits
    if reason == NULL:
        reason = reason_phrase(status)
        reason_size = strlen(reason)
    digits[0] = <char> (c"0" + status // 100)
    digits[1] = <char> (c"0" + status // 10 % 10)
    digits[2] = <char> (c"0" + status % 10)
    digits[3] = c" "
    buffer_reserve(buffer, 15 + reason_size)
    _append(buffer, "HTTP/1.1 ", 9)
    _append(buffer, digits, 4)
    _append(buffer, reason, reason_size)
    _append(buffer, "\r\n", 2)
    return 0


# RFC 9112 section 3:  request-line = method SP request-target SP HTTP-version
cdef int put_request_line(
    Buffer* buffer, const char* method, size_t method_size, const char* target, size_t target_size
) except -1:
    cdef size_t at
    if not _is_token(method, method_size):
        raise ValueError(f"method {_shown(method, method_size)} is not a token")
    if target_size == 0:
        raise ValueError("empty request-target")
    for at in range(target_size):
        if not 0x21 <= <uint8_t> target[at] <= 0x7E or target[at] == c"#":
            raise ValueError(
                f"request-target {_shown(target, target_size)} has a byte that must be percent-encoded"
                f" (a space, a control character, '#' or a non-ASCII one) at {at}"
            )
    buffer_reserve(buffer, method_size + target_size + 12)
    _append(buffer, method, method_size)
    _append(buffer, " ", 1)
    _append(buffer, target, target_size)
    _append(buffer, " HTTP/1.1\r\n", 11)
    return 0


# RFC 9112 section 5:  field-line = field-name ":" OWS field-value OWS
cdef int put_field(Buffer* buffer, const char* name, size_t name_size, const char* value, size_t value_size) except -1:
    if not _is_token(name, name_size):
        raise ValueError(
            f"field name {_shown(name, name_size)} is not a token (its value is {_shown(value, value_size)})"
        )
    if not clean_value(value, value_size):
        raise ValueError(
            f"the value {_shown(value, value_size)} of field {_shown(name, name_size)} has a control character"
        )
    while value_size and (value[0] == c" " or value[0] == c"\t"):
        value += 1
        value_size -= 1
    while value_size and (value[value_size - 1] == c" " or value[value_size - 1] == c"\t"):
        value_size -= 1
    buffer_reserve(buffer, name_size + value_size + 4)
    _append(buffer, name, name_size)
    _append(buffer, ": ", 2)
    _append(buffer, value, value_size)
    _append(buffer, "\r\n", 2)
    return 0


cdef int put_literal(Buffer* buffer, const char* data, size_t size) except -1:
    return buffer_put(buffer, data, size)


cdef inline void _append_decimal(Buffer* buffer, uint64_t value, size_t least) noexcept nogil:
    """Into room of LENGTH_ROOM bytes that is reserved already."""
    cdef char[LENGTH_ROOM] digits
    cdef size_t at = LENGTH_ROOM
    while value or least or at == LENGTH_ROOM:
        at -= 1
        digits[at] = <char> (c"0" + value % 10)
        value //= 10
        least -= least > 0
    _append(buffer, &digits[at], LENGTH_ROOM - at)


cdef int put_decimal(Buffer* buffer, uint64_t value, size_t digits) except -1:
    buffer_reserve(buffer, LENGTH_ROOM)
    _append_decimal(buffer, value, min(digits, <size_t> LENGTH_ROOM))
    return 0


cdef int put_content_length(Buffer* buffer, int64_t size) except -1:
    buffer_reserve(buffer, 16 + LENGTH_ROOM + 2)
    _append(buffer, "Content-Length: ", 16)
    _append_decimal(buffer, <uint64_t> size, 0)
    _append(buffer, "\r\n", 2)
    return 0


cdef int put_chunk_size(Buffer* buffer, size_t size) except -1:
    buffer_reserve(buffer, CHUNK_SIZE_ROOM)
    buffer.size += format_chunk_size(buffer.data + buffer.size, size)
    return 0


# RFC 9112 section 7.1:  chunk = chunk-size [ chunk-ext ] CRLF chunk-data CRLF
cdef size_t format_chunk_size(char* into, size_t size) noexcept nogil:
    cdef const char* hexadecimal = "0123456789abcdef"
    cdef size_t length = 1
    cdef size_t at
    while length < 16 and size >> (4 * length):
        length += 1
    for at in range(length):
        into[at] = hexadecimal[(size >> (4 * (length - 1 - at))) & 15]
    into[length] = c"\r"
    into[length + 1] = c"\n"
    return length + 2


cdef inline bint _is_token(const char* data, size_t size) noexcept nogil:
    cdef const uint8_t* tchar = TCHAR
    cdef size_t at
    for at in range(size):
        if not tchar[<uint8_t> data[at]]:
            return False
    return size > 0


cdef str _shown(const char* data, size_t size):
    """The bytes as an error message may show them: escaped, and cut when long."""
    if size <= SHOWN_BYTES:
        return repr(data[:size])[1:]
    return f"{repr(data[:SHOWN_BYTES])[1:]}... ({size} bytes)"
