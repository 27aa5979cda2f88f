"""Messages out: start lines, fields and chunks into a growing buffer; nothing that would break framing gets in."""
from libc.stdint cimport int64_t, uint32_t, uint64_t

cdef struct Buffer:             # owner: whoever declares it; freed with buffer_free
    char* data
    size_t size
    size_t capacity

cdef int buffer_reserve(Buffer* buffer, size_t more) except -1       # room for `more` bytes after `size`; MemoryError
cdef int buffer_put(Buffer* buffer, const char* data, size_t size) except -1
cdef void buffer_free(Buffer* buffer) noexcept nogil

# "HTTP/1.1 200 OK\r\n". `reason` NULL: the standard phrase. The caller has checked status (100..999) and reason
# (clean_value).
cdef int put_status_line(Buffer* buffer, int status, const char* reason, size_t reason_size) except -1
# "GET /path HTTP/1.1\r\n". Raises ValueError on a method that is no token or a target with bytes outside VCHAR.
cdef int put_request_line(
    Buffer* buffer, const char* method, size_t method_size, const char* target, size_t target_size
) except -1
# "Name: value\r\n". Raises ValueError, quoting name and value, when the name is no token or the value has a control
# character. White space around the value, which a parser would take off, is trimmed.
cdef int put_field(Buffer* buffer, const char* name, size_t name_size, const char* value, size_t value_size) except -1
# Same, with no check: for names and values that are ours.
cdef int put_literal(Buffer* buffer, const char* data, size_t size) except -1
# At least so many digits, with zeros before.
cdef int put_decimal(Buffer* buffer, uint64_t value, size_t digits) except -1
cdef int put_content_length(Buffer* buffer, int64_t size) except -1
# "1a\r\n"; the chunk's bytes and put_chunk_end follow. `size` > 0.
cdef int put_chunk_size(Buffer* buffer, size_t size) except -1
# Room `format_chunk_size` needs at most, and the same text without a Buffer; returns its length.
cdef enum:
    CHUNK_SIZE_ROOM = 20
cdef size_t format_chunk_size(char* into, size_t size) noexcept nogil
