"""The head of a message: start line and fields, in one pass, as offsets into the caller's bytes."""
from libc.stdint cimport int16_t, int64_t, uint8_t, uint16_t, uint32_t

cdef enum:
    MAX_FIELDS = 256            # size of the offset table; the configured limit is at most this

cdef enum Progress:
    HEAD_PARTIAL = 0            # more bytes are needed
    HEAD_DONE = 1               # `Head.size` bytes were the head
    HEAD_REFUSED = 2            # `Head.error` is the status to answer, `Head.why` the reason; close after it

cdef enum TargetForm:           # RFC 9112 section 3.2
    TARGET_ORIGIN
    TARGET_ABSOLUTE
    TARGET_AUTHORITY
    TARGET_ASTERISK

cdef enum HeadFlag:
    FLAG_CHUNKED = 1            # Transfer-Encoding is exactly `chunked`
    FLAG_KEEP_ALIVE = 2         # the connection persists after this message, as far as the sender is concerned
    FLAG_UPGRADE = 4            # Connection lists `upgrade` and there is an Upgrade field
    FLAG_EXPECT_CONTINUE = 8    # Expect: 100-continue in a 1.1 request
    FLAG_TRAILERS = 16          # TE lists `trailers`
    FLAG_CLOSE = 32             # Connection lists `close`

cdef struct HeadLimits:
    uint32_t head_bytes         # start line, fields and blank line together; past it 431
    uint32_t target_bytes       # request-target; past it 414
    uint32_t fields             # number of field lines, at most MAX_FIELDS; past it 431

cdef struct Field:              # offsets count from the head's first byte
    uint32_t name
    uint32_t value              # optional white space is trimmed off both ends
    uint32_t value_size
    uint32_t hash               # tables.name_hash of the name
    uint16_t name_size
    uint8_t known               # tables.Known

cdef struct Head:
    # -- progress: line by line, so feeding in pieces costs no second pass and gives the same verdict
    uint32_t line               # where the first line not parsed yet starts
    uint32_t scan               # where the search for that line's LF goes on
    uint32_t size               # bytes of the whole head, once HEAD_DONE
    uint8_t started             # the start line is parsed
    uint8_t seen                # what the field lines said so far; private to head.pyx, the verdict is `flags`
    uint16_t error              # status to answer a refused request with (response role: 502)
    uint32_t error_at           # offset of the offending byte or line
    const char* why             # static text: what was wrong and what would be right
    # -- request line
    uint32_t method             # offset; leading empty lines (at most one CRLF) are skipped
    uint32_t method_size
    uint8_t method_id           # tables.Method
    uint8_t target_form
    uint32_t target
    uint32_t target_size
    uint32_t path               # of origin-form and absolute-form ("/" when an absolute-form has none: path_size 0)
    uint32_t path_size
    uint32_t query              # after the "?", size 0 when there is none
    uint32_t query_size
    uint32_t authority          # of absolute-form and authority-form, else size 0
    uint32_t authority_size
    uint8_t scheme_https        # absolute-form said https
    # -- status line
    uint16_t status
    uint32_t reason
    uint32_t reason_size
    # -- both
    uint8_t minor               # HTTP/1.minor
    uint8_t flags               # HeadFlag
    int64_t content_length      # -1 when there is no Content-Length
    int16_t host                # index of the Host field, -1 when there is none
    uint16_t n_fields
    Field fields[MAX_FIELDS]

# Makes `head` ready for a new message. O(1): the field table is not cleared.
cdef void head_reset(Head* head) noexcept nogil
# Parses on with `data[:size]`, the message's bytes from its first one (earlier bytes again included, possibly at
# another address). Bytes after the head are not looked at.
cdef Progress parse_request_head(Head* head, const char* data, size_t size, const HeadLimits* limits) noexcept nogil
cdef Progress parse_response_head(Head* head, const char* data, size_t size, const HeadLimits* limits) noexcept nogil
