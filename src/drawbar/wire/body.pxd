"""The body of a message: RFC 9112 sections 6 and 7 as a decoder that hands out slices of the caller's bytes."""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t
from drawbar.wire.head cimport Head

cdef enum BodyKind:
    BODY_NONE                   # no body: ended from the start
    BODY_LENGTH
    BODY_CHUNKED
    BODY_CLOSE                  # until the sender closes (responses only)

cdef enum BodyEvent:
    BODY_NEED = 0               # all bytes consumed, more are needed
    BODY_DATA = 1               # `slice` holds bytes of the body
    BODY_END = 2                # the message is complete; later bytes are the next message's
    BODY_REFUSED = 3            # framing is broken: `error`, `why`; close

cdef struct BodyLimits:
    int64_t body_bytes          # decoded; past it 413. 0: no limit
    uint32_t extension_bytes    # all chunk extensions of one body; past it 400
    uint32_t trailer_bytes      # the whole trailer section; past it 431
    uint32_t trailer_fields     # past it 431

cdef struct Body:
    uint8_t kind
    uint8_t state
    int64_t left                # bytes missing of the body (LENGTH) or of the chunk (CHUNKED)
    int64_t decoded             # body bytes handed out so far
    uint32_t extension          # bytes of chunk extensions seen
    uint32_t trailer            # bytes of trailers seen
    uint32_t trailer_fields
    uint8_t digits              # hex digits of the chunk size seen
    uint8_t response            # errors are the sender's: answer 502
    uint32_t hash               # of the trailer name being read, as tables.name_hash makes it
    uint32_t name_size
    uint16_t error
    const char* why
    # What the last call consumed and the slice inside it: of the body for BODY_DATA; for BODY_NEED and BODY_END the raw
    # bytes of the trailer section (its closing empty line included), already checked; size 0 when this call met none.
    size_t consumed
    const char* slice
    size_t slice_size

# Sets the decoder up from a request's head (section 6.3). Returns 0, or the status to refuse it with (413 past
# body_bytes).
cdef int body_of_request(Body* body, const Head* head, const BodyLimits* limits) noexcept nogil
# The same for a response; `method_id` is that of the request it answers.
cdef int body_of_response(Body* body, const Head* head, int method_id, const BodyLimits* limits) noexcept nogil
# One step. Call again with the bytes after `consumed` until it returns BODY_NEED, BODY_END or BODY_REFUSED. The end
# comes from a call of its own: after BODY_DATA call again even when no byte is left.
cdef BodyEvent body_next(Body* body, const char* data, size_t size, const BodyLimits* limits) noexcept nogil
# The sender closed: BODY_END when that is how this body ends, else BODY_REFUSED.
cdef BodyEvent body_eof(Body* body) noexcept nogil
