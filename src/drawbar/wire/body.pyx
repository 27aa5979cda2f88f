"""The body of a message: RFC 9112 sections 6 and 7 as a decoder that hands out slices of the caller's bytes.

The decoder copies nothing and remembers no bytes: a slice of the body costs the same whatever its size, and what stands
between slices (chunk sizes, extensions, trailers) is checked a byte at a time, so that pieces of any size get the same
verdict.

Decided here: fields that frame, route or control a connection are refused in trailers. RFC 9110 section 6.5.1 lets a
recipient ignore them; but whoever sends a Content-Length there hopes that somebody does not.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t
from drawbar.wire.head cimport FLAG_CHUNKED, Head
from drawbar.wire.tables cimport (
    FNV_BASIS, FNV_PRIME, KNOWN_CONNECTION, KNOWN_CONTENT_LENGTH, KNOWN_CONTENT_TYPE, KNOWN_EXPECT, KNOWN_HOST,
    KNOWN_KEEP_ALIVE, KNOWN_PROXY, KNOWN_PROXY_CONNECTION, KNOWN_TE, KNOWN_TRAILER, KNOWN_TRANSFER_ENCODING,
    KNOWN_UPGRADE, METHOD_CONNECT, METHOD_HEAD, TCHAR, Known, known_hash,
)

cdef enum:
    HTAB = 0x09
    LF = 0x0A
    CR = 0x0D
    SP = 0x20
    DEL = 0x7F
    # 60 bits, far from int64's end; more digits are refused whatever they are, leading zeros too.
    MAX_SIZE_DIGITS = 15

cdef enum State:                # the order matters: comparisons below name the groups
    STATE_PLAIN                 # BODY_LENGTH and BODY_CLOSE have no other
    STATE_SIZE                  # chunk-size
    STATE_SIZE_LF
    STATE_EXT_BEFORE            # BWS ";"
    STATE_EXT_NAME_BEFORE       # BWS chunk-ext-name
    STATE_EXT_NAME
    STATE_EXT_NAME_AFTER        # BWS "=" or BWS ";"
    STATE_EXT_VALUE_BEFORE      # BWS chunk-ext-val
    STATE_EXT_TOKEN
    STATE_EXT_QUOTED
    STATE_EXT_ESCAPE            # after the backslash of a quoted-pair
    STATE_EXT_VALUE_END         # after a quoted-string
    STATE_DATA
    STATE_DATA_CR
    STATE_DATA_LF
    STATE_TRAILER               # start of a trailer line, or the CR of the empty line
    STATE_TRAILER_NAME
    STATE_TRAILER_VALUE
    STATE_TRAILER_LF
    STATE_LAST_LF
    STATE_DONE
    STATE_REFUSED


cdef void _begin(Body* body, bint response) noexcept nogil:
    body.kind = BODY_NONE
    body.state = STATE_DONE
    body.left = 0
    body.decoded = 0
    body.extension = 0
    body.trailer = 0
    body.trailer_fields = 0
    body.digits = 0
    body.response = response
    body.hash = FNV_BASIS
    body.name_size = 0
    body.error = 0
    body.why = NULL
    body.consumed = 0
    body.slice = NULL
    body.slice_size = 0


# RFC 9112 section 6.3:  4. chunked; 6. Content-Length; 7. a request with neither has no body.
cdef int body_of_request(Body* body, const Head* head, const BodyLimits* limits) noexcept nogil:
    _begin(body, False)
    return _framed(body, head, limits)


# RFC 9112 section 6.3:
#   1. "Any response to a HEAD request and any response with a 1xx (Informational), 204 (No Content), or 304 (Not
#      Modified) status code is always terminated by the first empty line after the header fields, regardless of the
#      header fields present in the message"
#   2. "Any 2xx (Successful) response to a CONNECT request implies that the connection will become a tunnel ... A client
#      MUST ignore any Content-Length or Transfer-Encoding header fields received in such a message."
#   8. "the message body length is determined by the number of octets received prior to the server closing the
#      connection"
cdef int body_of_response(Body* body, const Head* head, int method_id, const BodyLimits* limits) noexcept nogil:
    _begin(body, True)
    if method_id == METHOD_HEAD or head.status < 200 or head.status == 204 or head.status == 304:
        return 0
    if method_id == METHOD_CONNECT and head.status < 300:
        return 0
    if not head.flags & FLAG_CHUNKED and head.content_length < 0:
        body.kind = BODY_CLOSE
        body.state = STATE_PLAIN
        return 0
    return _framed(body, head, limits)


cdef int _framed(Body* body, const Head* head, const BodyLimits* limits) noexcept nogil:
    if head.flags & FLAG_CHUNKED:
        body.kind = BODY_CHUNKED
        body.state = STATE_SIZE
    elif head.content_length > 0:
        body.kind = BODY_LENGTH
        body.state = STATE_PLAIN
        body.left = head.content_length
        if limits.body_bytes and head.content_length > limits.body_bytes:
            _refuse(body, 413, "Content-Length is past the limit of a body")
    return body.error


cdef BodyEvent body_next(Body* body, const char* data, size_t size, const BodyLimits* limits) noexcept nogil:
    body.consumed = 0
    body.slice_size = 0
    if body.state == STATE_DONE:
        return BODY_END
    if body.state == STATE_REFUSED:
        return BODY_REFUSED
    if body.kind == BODY_CHUNKED:
        return _chunked(body, data, size, limits)
    return _plain(body, data, size, limits)


cdef BodyEvent body_eof(Body* body) noexcept nogil:
    if body.kind == BODY_CLOSE and body.state == STATE_PLAIN:
        body.state = STATE_DONE
    if body.state == STATE_DONE:
        return BODY_END
    if body.state != STATE_REFUSED:
        _refuse(body, 400, "the connection was closed before the body was complete")
    return BODY_REFUSED


cdef bint _refuse(Body* body, int status, const char* why) noexcept nogil:
    # Whatever is wrong with a response, to the client who waits for it it is a bad gateway.
    body.error = <uint16_t> (502 if body.response else status)
    body.why = why
    body.state = STATE_REFUSED
    return False


cdef BodyEvent _plain(Body* body, const char* data, size_t size, const BodyLimits* limits) noexcept nogil:
    cdef int64_t room = body.left
    if body.kind == BODY_CLOSE:
        room = limits.body_bytes - body.decoded if limits.body_bytes else <int64_t> size
        if size and room <= 0:
            _refuse(body, 413, "the body is past the limit")
            return BODY_REFUSED
    if size == 0:
        return BODY_NEED
    return _slice(body, data, 0, size, room)


cdef inline BodyEvent _slice(Body* body, const char* data, size_t at, size_t size, int64_t room) noexcept nogil:
    """Hands out at most `room` bytes of `data[at:size]`, of which there is at least one."""
    cdef size_t take = size - at
    if <int64_t> take > room:
        take = <size_t> room
    body.slice = data + at
    body.slice_size = take
    body.consumed = at + take
    body.decoded += <int64_t> take
    if body.kind != BODY_CLOSE:
        body.left -= <int64_t> take
        if body.left == 0:
            body.state = STATE_DATA_CR if body.kind == BODY_CHUNKED else STATE_DONE
    return BODY_DATA


# RFC 9112 section 7.1:  chunked-body = *chunk last-chunk trailer-section CRLF
#                        chunk        = chunk-size [ chunk-ext ] CRLF chunk-data CRLF
#                        last-chunk   = 1*("0") [ chunk-ext ] CRLF
cdef BodyEvent _chunked(Body* body, const char* data, size_t size, const BodyLimits* limits) noexcept nogil:
    cdef size_t at = 0
    cdef size_t trailer = 0     # where this call's part of the trailer section starts
    while at < size:
        if body.state == STATE_DATA:
            return _slice(body, data, at, size, body.left)
        if not _step(body, <uint8_t> data[at], limits):
            body.consumed = at
            return BODY_REFUSED
        at += 1
        if body.state == STATE_TRAILER and body.trailer == 0:
            trailer = at
        elif body.state == STATE_DONE:
            break
    body.consumed = at
    if body.state >= STATE_TRAILER:
        body.slice = data + trailer
        body.slice_size = at - trailer
    return BODY_END if body.state == STATE_DONE else BODY_NEED


cdef inline bint _step(Body* body, uint8_t byte, const BodyLimits* limits) noexcept nogil:
    """One byte that is no chunk data; False when it is refused."""
    cdef uint8_t state = body.state
    if state == STATE_SIZE:
        return _size(body, byte, limits)
    if state == STATE_SIZE_LF:
        return _size_end(body, byte, limits)
    if state < STATE_DATA:
        return _extension(body, byte, limits)
    if state == STATE_DATA_CR:
        if byte != CR:
            return _refuse(body, 400, "a chunk's data must be followed by CR LF, and is as long as its size says")
        body.state = STATE_DATA_LF
        return True
    if state == STATE_DATA_LF:
        if byte != LF:
            return _refuse(body, 400, "a chunk's data must be followed by CR LF, and is as long as its size says")
        body.state = STATE_SIZE
        body.digits = 0
        return True
    return _trailer(body, byte, limits)


# RFC 9112 section 7.1:  chunk-size = 1*HEXDIG;  "Recipients MUST anticipate potentially large hexadecimal numerals and
# prevent parsing errors due to integer conversion overflows or precision loss".
cdef inline bint _size(Body* body, uint8_t byte, const BodyLimits* limits) noexcept nogil:
    cdef uint8_t digit = byte - c"0"
    if digit > 9:
        digit = (byte | 0x20) - c"a"
        digit = digit + 10 if digit < 6 else 16
    if digit < 16:
        if body.digits == MAX_SIZE_DIGITS:
            return _refuse(body, 400, "a chunk size of more than 15 hexadecimal digits")
        body.left = (body.left << 4) | digit
        body.digits += 1
        return True
    if body.digits == 0:
        return _refuse(body, 400, "a chunk must begin with its size in hexadecimal digits")
    if byte == CR:
        body.state = STATE_SIZE_LF
        return True
    body.state = STATE_EXT_BEFORE
    return _extension(body, byte, limits)


cdef inline bint _size_end(Body* body, uint8_t byte, const BodyLimits* limits) noexcept nogil:
    if byte != LF:
        return _refuse(body, 400, "bare CR: a chunk size line must end with CR LF")
    if limits.body_bytes and body.left > limits.body_bytes - body.decoded:
        return _refuse(body, 413, "the chunks add up to more than the limit of a body")
    body.state = STATE_DATA if body.left else STATE_TRAILER
    return True


# RFC 9112 section 7.1.1:  chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
#                          chunk-ext-val = token / quoted-string
# "A server ought to limit the total length of chunk extensions received in a request".
# White space that no ";" or "=" follows is refused: llhttp refuses it as well, and lax ones read different sizes
# from it.
cdef bint _extension(Body* body, uint8_t byte, const BodyLimits* limits) noexcept nogil:
    cdef uint8_t state = body.state
    if byte == CR and (state == STATE_EXT_NAME or state == STATE_EXT_TOKEN or state == STATE_EXT_VALUE_END):
        body.state = STATE_SIZE_LF
        return True
    body.extension += 1
    if body.extension > limits.extension_bytes:
        return _refuse(body, 400, "chunk extensions longer than the limit")
    if state == STATE_EXT_QUOTED or state == STATE_EXT_ESCAPE:
        return _quoted(body, byte)
    if byte == SP or byte == HTAB:
        if state == STATE_EXT_NAME:
            body.state = STATE_EXT_NAME_AFTER
        elif state == STATE_EXT_TOKEN or state == STATE_EXT_VALUE_END:
            body.state = STATE_EXT_BEFORE
    elif byte == c";" and state != STATE_EXT_NAME_BEFORE and state != STATE_EXT_VALUE_BEFORE:
        body.state = STATE_EXT_NAME_BEFORE
    elif byte == c"=" and (state == STATE_EXT_NAME or state == STATE_EXT_NAME_AFTER):
        body.state = STATE_EXT_VALUE_BEFORE
    elif byte == c'"' and state == STATE_EXT_VALUE_BEFORE:
        body.state = STATE_EXT_QUOTED
    elif TCHAR[byte] and (state == STATE_EXT_NAME_BEFORE or state == STATE_EXT_NAME):
        body.state = STATE_EXT_NAME
    elif TCHAR[byte] and (state == STATE_EXT_VALUE_BEFORE or state == STATE_EXT_TOKEN):
        body.state = STATE_EXT_TOKEN
    else:
        return _refuse(body, 400, "invalid chunk size line: after the size only ;name or ;name=value may stand")
    return True


# RFC 9110 section 5.6.4:  quoted-string = DQUOTE *( qdtext / quoted-pair ) DQUOTE
#                          quoted-pair   = "\" ( HTAB / SP / VCHAR / obs-text )
cdef inline bint _quoted(Body* body, uint8_t byte) noexcept nogil:
    if (byte < SP and byte != HTAB) or byte == DEL:
        return _refuse(body, 400, "control character in a chunk extension")
    if body.state == STATE_EXT_ESCAPE:
        body.state = STATE_EXT_QUOTED
    elif byte == c"\\":
        body.state = STATE_EXT_ESCAPE
    elif byte == c'"':
        body.state = STATE_EXT_VALUE_END
    return True


# RFC 9112 section 7.1.2:  trailer-section = *( field-line CRLF ), and the CRLF that closes the body.
cdef bint _trailer(Body* body, uint8_t byte, const BodyLimits* limits) noexcept nogil:
    cdef uint8_t state = body.state
    if state == STATE_LAST_LF:
        if byte != LF:
            return _refuse(body, 400, "bare CR: the trailer section must end with CR LF")
        body.state = STATE_DONE
        return True
    if state == STATE_TRAILER and byte == CR:
        body.state = STATE_LAST_LF
        return True
    body.trailer += 1
    if body.trailer > limits.trailer_bytes:
        return _refuse(body, 431, "the trailer section is larger than the limit")
    if state == STATE_TRAILER_LF:
        if byte != LF:
            return _refuse(body, 400, "bare CR: a trailer field must end with CR LF")
        body.state = STATE_TRAILER
        return True
    if state == STATE_TRAILER_VALUE:
        if byte == CR:
            body.state = STATE_TRAILER_LF
        elif (byte < SP and byte != HTAB) or byte == DEL:
            return _refuse(body, 400, "control character in a trailer field")
        return True
    return _trailer_name(body, byte, limits)


cdef bint _trailer_name(Body* body, uint8_t byte, const BodyLimits* limits) noexcept nogil:
    if body.state == STATE_TRAILER:
        if body.trailer_fields >= limits.trailer_fields:
            return _refuse(body, 431, "more trailer fields than the limit")
        body.trailer_fields += 1
        body.hash = FNV_BASIS
        body.name_size = 0
        body.state = STATE_TRAILER_NAME
    if TCHAR[byte]:
        body.hash = (body.hash ^ TCHAR[byte]) * <uint32_t> FNV_PRIME
        body.name_size += 1
        return True
    if byte != c":" or body.name_size == 0:
        return _refuse(body, 400, "a trailer field's name must be a token, followed by a colon")
    if _forbidden(known_hash(body.hash, body.name_size)):
        return _refuse(body, 400, "a field in the trailers that belongs into the head")
    body.state = STATE_TRAILER_VALUE
    return True


# RFC 9110 section 6.5.1:  "Many fields cannot be processed outside the header section because their evaluation is
# necessary prior to receiving the content, such as those that describe message framing, routing, authentication,
# request modifiers, response controls, or content format." The ones the codec itself acts on are here; the rest is for
# whoever merges trailers.
cdef bint _forbidden(Known known) noexcept nogil:
    return (
        known == KNOWN_HOST or known == KNOWN_CONTENT_LENGTH or known == KNOWN_TRANSFER_ENCODING
        or known == KNOWN_CONNECTION or known == KNOWN_KEEP_ALIVE or known == KNOWN_PROXY_CONNECTION
        or known == KNOWN_UPGRADE or known == KNOWN_TE or known == KNOWN_TRAILER or known == KNOWN_EXPECT
        or known == KNOWN_CONTENT_TYPE or known == KNOWN_PROXY
    )
