"""The head of a message: start line and fields, in one pass, as offsets into the caller's bytes.

Lines are judged one at a time, each as soon as its LF is there, so a head that comes in pieces costs no second pass and
gets the same verdict as one that comes whole. The two limits that must not wait for an LF (target and head size) are
judged by position alone, again the same way for both.

Nothing is repaired. What RFC 9112 lets a recipient tolerate is refused wherever two recipients could disagree about it:
a bare LF, a fold, a repeated Content-Length with equal values. The bytes from 0x80 up are refused in a request-target,
as RFC 3986 has none of them, and let through in field values, where they are obs-text.

Invariant the inner loops rely on: while a line is parsed, `data[end]` is its CR, which is no tchar and no target byte.
A scan by table therefore stops inside the line without counting.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memchr, memcmp, memset
from drawbar.wire.tables cimport (
    FNV_BASIS, FNV_PRIME, KNOWN_CONNECTION, KNOWN_CONTENT_LENGTH, KNOWN_EXPECT, KNOWN_HOST, KNOWN_NONE, KNOWN_TE,
    KNOWN_TRANSFER_ENCODING, KNOWN_UPGRADE, TCHAR, clean_value, known_name, method_named, same_name,
)
from drawbar.wire.target cimport parse_authority, parse_target

cdef enum:
    HTAB = 0x09
    LF = 0x0A
    CR = 0x0D
    SP = 0x20
    VERSION_SIZE = 8            # "HTTP/1.1"
    MAX_LENGTH_DIGITS = 18      # the most digits that fit into int64 whatever they are
    MAX_NAME_SIZE = 0xFFFF      # what Field.name_size holds; past it 431

cdef enum Seen:                 # bits of Head.seen
    SEEN_EMPTY_LINE = 1         # the one empty line before a request line
    SEEN_KEEP_ALIVE = 2         # Connection: keep-alive
    SEEN_UPGRADE_OPTION = 4     # Connection: upgrade
    SEEN_UPGRADE = 8            # an Upgrade field
    SEEN_CONTINUE = 16          # Expect: 100-continue

cdef enum TargetClass:
    TARGET_PLAIN = 0
    TARGET_QUESTION
    TARGET_STOP                 # space, control characters, "#", bytes from 0x80: never part of a request-target

cdef uint8_t TARGET_CLASS[256]


cdef void _fill_target_class() noexcept:
    cdef int byte
    for byte in range(256):
        TARGET_CLASS[byte] = TARGET_PLAIN if 0x21 <= byte <= 0x7E else TARGET_STOP
    TARGET_CLASS[<int> c"?"] = TARGET_QUESTION
    TARGET_CLASS[<int> c"#"] = TARGET_STOP


_fill_target_class()


cdef void head_reset(Head* head) noexcept nogil:
    memset(head, 0, <size_t> (<char*> head.fields - <char*> head))
    head.content_length = -1
    head.host = -1


cdef Progress parse_request_head(Head* head, const char* data, size_t size, const HeadLimits* limits) noexcept nogil:
    return _parse(head, <const uint8_t*> data, size, limits, False)


cdef Progress parse_response_head(Head* head, const char* data, size_t size, const HeadLimits* limits) noexcept nogil:
    cdef Progress progress = _parse(head, <const uint8_t*> data, size, limits, True)
    if progress == HEAD_REFUSED:
        # Whatever is wrong with it, to the client who waits for it an unusable response is a bad gateway.
        head.error = 502
    return progress


# -- lines


cdef inline Progress _parse(
    Head* head, const uint8_t* data, size_t size, const HeadLimits* limits, bint response
) noexcept nogil:
    cdef uint32_t visible = <uint32_t> size if size < limits.head_bytes else limits.head_bytes
    cdef const uint8_t* newline
    cdef uint32_t end
    if head.error:
        return HEAD_REFUSED
    while not head.size:
        newline = <const uint8_t*> memchr(data + head.scan, LF, visible - head.scan)
        if newline == NULL:
            head.scan = visible
            return _unfinished(head, data, visible, size, limits, response)
        end = <uint32_t> (newline - data)
        if not _line(head, data, end, limits, response):
            return HEAD_REFUSED
        head.line = head.scan = end + 1
    return HEAD_DONE


# RFC 9112 section 2.2:  "a recipient MAY recognize a single LF as a line terminator and ignore any preceding CR". We do
# not: whoever sits before or behind us may not either, and the two would see different messages.
cdef inline bint _line(
    Head* head, const uint8_t* data, uint32_t end, const HeadLimits* limits, bint response
) noexcept nogil:
    cdef uint32_t start = head.line
    if not head.started and not response and not _opening(head, data, start, end, limits):
        return False
    if end == start or data[end - 1] != CR:
        return _refuse(head, 400, end, "bare LF: a line must end with CR LF")
    end -= 1
    if head.started:
        if end == start:
            head.size = end + 2
            return _finish(head, response)
        return _field_line(head, data, start, end, limits, response)
    if response:
        return _status_line(head, data, start, end)
    if end == start:
        return _empty_line(head)
    return _request_line(head, data, start, end)


# RFC 9112 section 2.2:  "a server that is expecting to receive and parse a request-line SHOULD ignore at least one
# empty line (CRLF) received prior to the request-line." One it is: a client's stray CRLF after a body. More is a client
# to be rid of.
cdef bint _empty_line(Head* head) noexcept nogil:
    if head.seen & SEEN_EMPTY_LINE:
        return _refuse(head, 400, head.line, "more than one empty line before the request line")
    head.seen |= SEEN_EMPTY_LINE
    return True


cdef Progress _unfinished(
    Head* head, const uint8_t* data, uint32_t visible, size_t size, const HeadLimits* limits, bint response
) noexcept nogil:
    """No LF in sight: is there something wrong already?"""
    if not head.started and not response and not _opening(head, data, head.line, visible, limits):
        return HEAD_REFUSED
    if size >= limits.head_bytes:
        _refuse(head, 431, limits.head_bytes, "the head is larger than the limit")
        return HEAD_REFUSED
    return HEAD_PARTIAL


cdef inline bint _opening(
    Head* head, const uint8_t* data, uint32_t start, uint32_t end, const HeadLimits* limits
) noexcept nogil:
    """What can be said of a request line that may not be complete yet, and so has to be said before all else."""
    # A client that speaks something else (a TLS handshake, most often) may never send an LF.
    if end > start and not TCHAR[data[start]] and data[start] != CR:
        return _refuse(head, 400, start, "the method must be a token")
    if end - start > limits.target_bytes and _target_too_long(data, start, end, limits.target_bytes):
        return _refuse(head, 414, start, "the request-target is longer than the limit")
    return True


cdef bint _target_too_long(const uint8_t* data, uint32_t start, uint32_t end, uint32_t limit) noexcept nogil:
    """Whether the run of bytes after the line's first space is past the limit; the line may not be complete yet."""
    cdef uint32_t at = start
    cdef uint32_t target
    while at < end and data[at] != SP:
        at += 1
    at += 1
    target = at
    while at < end and data[at] != SP and data[at] != CR:
        at += 1
    return at > target and at - target > limit


cdef bint _refuse(Head* head, int status, uint32_t at, const char* why) noexcept nogil:
    head.error = <uint16_t> status
    head.error_at = at
    head.why = why
    return False


# -- start lines


# RFC 9112 section 2.3:  HTTP-version = HTTP-name "/" DIGIT "." DIGIT
#                        HTTP-name    = %x48.54.54.50 ; HTTP
cdef inline bint _version(Head* head, const uint8_t* data, uint32_t at) noexcept nogil:
    cdef uint8_t major = data[at + 5] - c"0"
    cdef uint8_t minor = data[at + 7] - c"0"
    if memcmp(data + at, "HTTP/", 5) != 0 or major > 9 or data[at + 6] != c"." or minor > 9:
        return _refuse(head, 400, at, "malformed HTTP version: it must be HTTP/1.1 or HTTP/1.0")
    if major != 1 or minor > 1:
        return _refuse(head, 505, at, "HTTP version not spoken here: it must be HTTP/1.1 or HTTP/1.0")
    head.minor = minor
    head.started = True
    return True


# RFC 9112 section 3:  request-line = method SP request-target SP HTTP-version
cdef bint _request_line(Head* head, const uint8_t* data, uint32_t start, uint32_t end) noexcept nogil:
    cdef const uint8_t* tchar = TCHAR
    cdef uint32_t at = start
    while tchar[data[at]]:
        at += 1
    if at == start:
        return _refuse(head, 400, at, "the method must be a token")
    if data[at] != SP:
        return _refuse(head, 400, at, "the method must be a token, followed by one space")
    head.method = start
    head.method_size = at - start
    head.method_id = <uint8_t> method_named(<const char*> data + start, at - start)
    at += 1
    head.target = at
    while TARGET_CLASS[data[at]] != TARGET_STOP:
        if TARGET_CLASS[data[at]] == TARGET_QUESTION and not head.query:
            head.query = at + 1
        at += 1
    head.target_size = at - head.target
    if data[at] != SP or head.target_size == 0:
        return _refuse_target(head, data[at], at, end)
    at += 1
    if end - at != VERSION_SIZE:
        return _refuse(head, 400, at, "malformed HTTP version: it must be HTTP/1.1 or HTTP/1.0")
    return _version(head, data, at) and _target(head, data)


cdef inline bint _target(Head* head, const uint8_t* data) noexcept nogil:
    cdef const char* why = parse_target(head, data)
    if why != NULL:
        return _refuse(head, 400, head.error_at, why)
    return True


cdef bint _refuse_target(Head* head, uint8_t byte, uint32_t at, uint32_t end) noexcept nogil:
    if head.target_size == 0:
        return _refuse(head, 400, at, "exactly one space and a request-target must follow the method")
    if at == end:
        return _refuse(head, 400, at, "the request line must end with an HTTP version")
    if byte == c"#":
        return _refuse(head, 400, at, "a request-target must not have a fragment")
    if byte >= 0x80:
        return _refuse(head, 400, at, "non-ASCII byte in the request-target: it must be percent-encoded")
    return _refuse(head, 400, at, "control character in the request-target: it must be percent-encoded")


# RFC 9112 section 4:  status-line = HTTP-version SP status-code SP [ reason-phrase ]
# The space after the code is let go when there is no phrase: servers leave it out, and nothing depends on it.
cdef bint _status_line(Head* head, const uint8_t* data, uint32_t start, uint32_t end) noexcept nogil:
    cdef uint32_t at = start + VERSION_SIZE
    cdef uint32_t digit
    cdef uint32_t status = 0
    if end - start < VERSION_SIZE + 4 or data[at] != SP:
        return _refuse(head, 502, start, "malformed status line: it must be an HTTP version, one space and a status")
    if not _version(head, data, start):
        return False
    for digit in range(at + 1, at + 4):
        if not c"0" <= data[digit] <= c"9":
            return _refuse(head, 502, digit, "the status must be three digits")
        status = status * 10 + data[digit] - c"0"
    at += 4
    if status < 100 or (at != end and data[at] != SP):
        return _refuse(head, 502, at, "the status must be three digits from 100 up, followed by a space")
    head.status = <uint16_t> status
    head.reason = at + (at != end)
    head.reason_size = end - head.reason
    if not clean_value(<const char*> data + head.reason, head.reason_size):
        return _refuse(head, 502, head.reason, "control character in the reason phrase")
    return True


# -- fields


# RFC 9112 section 5:  field-line = field-name ":" OWS field-value OWS
cdef inline bint _field_line(
    Head* head, const uint8_t* data, uint32_t start, uint32_t end, const HeadLimits* limits, bint response
) noexcept nogil:
    cdef const uint8_t* tchar = TCHAR
    cdef uint32_t hash = FNV_BASIS
    cdef uint32_t at = start
    cdef uint8_t lower
    cdef Field* field
    if head.n_fields >= limits.fields or head.n_fields >= MAX_FIELDS:
        return _refuse(head, 431, start, "more fields than the limit")
    lower = tchar[data[at]]
    while lower:
        hash = (hash ^ lower) * <uint32_t> FNV_PRIME
        at += 1
        lower = tchar[data[at]]
    if data[at] != c":" or at == start or at - start > MAX_NAME_SIZE:
        return _refuse_name(head, data[at], start, at)
    field = &head.fields[head.n_fields]
    field.name = start
    field.name_size = <uint16_t> (at - start)
    field.hash = hash
    at += 1
    while data[at] == SP or data[at] == HTAB:
        at += 1
    while end > at and (data[end - 1] == SP or data[end - 1] == HTAB):
        end -= 1
    field.value = at
    field.value_size = end - at
    if not clean_value(<const char*> data + at, end - at):
        return _refuse_value(head, data, at)
    field.known = <uint8_t> known_name(<const char*> data + start, field.name_size, hash)
    head.n_fields += 1
    return field.known == KNOWN_NONE or _known_field(head, field, data, response)


cdef bint _refuse_name(Head* head, uint8_t byte, uint32_t start, uint32_t at) noexcept nogil:
    if at == start:
        # RFC 9112 section 5.2:  "A server that receives an obs-fold in a request message ... MUST either reject the
        # message by sending a 400 (Bad Request) ... or replace". Section 2.2 asks the same for white space before the
        # first field.
        if byte == SP or byte == HTAB:
            return _refuse(head, 400, at, "white space at the start of a field line: folded lines are refused")
        if byte == c":":
            return _refuse(head, 400, at, "a field without a name")
    if byte == c":":
        return _refuse(head, 431, start, "a field name longer than 65535 bytes")
    # RFC 9112 section 5.1:  "A server MUST reject, with a response status code of 400 (Bad Request), any received
    # request message that contains whitespace between a header field name and colon."
    if byte == SP or byte == HTAB:
        return _refuse(head, 400, at, "white space before the colon of a field line")
    if byte == CR:
        return _refuse(head, 400, at, "a field line without a colon")
    return _refuse(head, 400, at, "a field name must be a token")


# RFC 9110 section 5.5:  "Field values containing CR, LF, or NUL characters are invalid and dangerous". The other
# control characters are no more use to anyone.
cdef bint _refuse_value(Head* head, const uint8_t* data, uint32_t at) noexcept nogil:
    while clean_value(<const char*> data + at, 1):
        at += 1
    return _refuse(head, 400, at, "control character in a field value")


cdef bint _known_field(Head* head, const Field* field, const uint8_t* data, bint response) noexcept nogil:
    """What framing and the connection take from this field; its line is complete and its value clean."""
    cdef uint32_t start = field.value
    cdef uint32_t end = start + field.value_size
    cdef uint8_t known = field.known
    if known == KNOWN_CONTENT_LENGTH:
        return _content_length(head, data, start, end)
    if known == KNOWN_TRANSFER_ENCODING:
        return _transfer_encoding(head, data, start, end)
    if known == KNOWN_CONNECTION:
        _connection(head, data, start, end)
    elif known == KNOWN_UPGRADE:
        head.seen |= SEEN_UPGRADE
    elif response:
        return True
    elif known == KNOWN_HOST:
        return _host(head, data, start, end)
    elif known == KNOWN_EXPECT:
        return _expect(head, data, start, end)
    elif known == KNOWN_TE:
        _te(head, data, start, end)
    return True


# RFC 9112 section 3.2:  "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message
# that lacks a Host header field and to any request message that contains more than one Host header field line or a Host
# header field with an invalid field value." An empty one is valid: it is what a target without an authority gets.
cdef bint _host(Head* head, const uint8_t* data, uint32_t start, uint32_t end) noexcept nogil:
    if head.host >= 0:
        return _refuse(head, 400, start, "more than one Host field")
    if end > start and parse_authority(data, start, end) < 0:
        return _refuse(head, 400, start, "invalid Host: it must be a host, or a host and a port")
    head.host = head.n_fields - 1
    return True


# RFC 9110 section 8.6:  Content-Length = 1*DIGIT
# RFC 9112 section 6.3:  "If a message is received without Transfer-Encoding and with an invalid Content-Length header
# field, then the message framing is invalid and the recipient MUST treat it as an unrecoverable error". A repeated
# field or a list of equal values may be taken for one, or refused: refused.
cdef bint _content_length(Head* head, const uint8_t* data, uint32_t start, uint32_t end) noexcept nogil:
    cdef int64_t length = 0
    cdef uint32_t at
    if head.content_length >= 0:
        return _refuse(head, 400, start, "more than one Content-Length field")
    if head.flags & FLAG_CHUNKED:
        return _refuse(head, 400, start, "both Transfer-Encoding and Content-Length")
    if end == start or end - start > MAX_LENGTH_DIGITS:
        return _refuse(head, 400, start, "invalid Content-Length: it must be 1 to 18 digits")
    for at in range(start, end):
        if not c"0" <= data[at] <= c"9":
            return _refuse(head, 400, at, "invalid Content-Length: it must be 1 to 18 digits")
        length = length * 10 + (data[at] - c"0")
    head.content_length = length
    return True


# RFC 9112 section 6.1:  "A server or client that receives an HTTP/1.0 message containing a Transfer-Encoding header
# field MUST treat the message as if the framing is faulty, even if a Content-Length is present".
# RFC 9112 section 6.3:  "A server MAY reject a request that contains both Content-Length and Transfer-Encoding".
cdef bint _transfer_encoding(Head* head, const uint8_t* data, uint32_t start, uint32_t end) noexcept nogil:
    cdef int status
    if head.minor == 0:
        return _refuse(head, 400, start, "Transfer-Encoding in an HTTP/1.0 message")
    if head.flags & FLAG_CHUNKED:
        return _refuse(head, 400, start, "more than one Transfer-Encoding field")
    if head.content_length >= 0:
        return _refuse(head, 400, start, "both Content-Length and Transfer-Encoding")
    status = _coding_status(data, start, end)
    if status == 501:
        return _refuse(head, 501, start, "unknown transfer coding: only chunked is understood")
    if status == 400:
        return _refuse(head, 400, start, "invalid Transfer-Encoding: it must be chunked")
    head.flags |= FLAG_CHUNKED
    return True


# RFC 9112 section 6.1:  "A server that receives a request message with a transfer coding it does not understand SHOULD
# respond with 501 (Not Implemented)."
# RFC 9112 section 7:    transfer-coding = token *( OWS ";" OWS transfer-parameter )
cdef int _coding_status(const uint8_t* data, uint32_t start, uint32_t end) noexcept nogil:
    """0 for exactly `chunked`; 501 for other codings, with chunked at most last; 400 for what is no such list."""
    cdef bint chunked = False
    cdef uint32_t at = start
    if _is_word(data, start, end, "chunked", 7):
        return 0
    while True:
        start = at
        while at < end and TCHAR[data[at]]:
            at += 1
        # Nothing may follow chunked, not even its own parameters: "the chunked coding does not define any".
        if at == start or chunked:
            return 400
        chunked = _is_word(data, start, at, "chunked", 7)
        at = _skip_space(data, at, end)
        if at < end and data[at] == c";":
            at = _skip_parameters(data, at, end)
            if chunked:
                return 400
        if at == end:
            return 501
        if data[at] != c",":
            return 400
        at = _skip_space(data, at + 1, end)


cdef inline uint32_t _skip_space(const uint8_t* data, uint32_t at, uint32_t end) noexcept nogil:
    while at < end and (data[at] == SP or data[at] == HTAB):
        at += 1
    return at


cdef uint32_t _skip_parameters(const uint8_t* data, uint32_t at, uint32_t end) noexcept nogil:
    """The comma after a coding's parameters, or a quote: no registered coding has a quoted parameter."""
    while at < end and data[at] != c"," and data[at] != c'"':
        at += 1
    return at


cdef inline bint _is_word(
    const uint8_t* data, uint32_t start, uint32_t end, const char* lower, uint32_t size
) noexcept nogil:
    return end - start == size and same_name(<const char*> data + start, lower, size)


# RFC 9110 section 10.1.1:  "A server that receives an Expect field value containing a member other than 100-continue
# MAY respond with a 417 (Expectation Failed)".
cdef bint _expect(Head* head, const uint8_t* data, uint32_t start, uint32_t end) noexcept nogil:
    if not _is_word(data, start, end, "100-continue", 12):
        return _refuse(head, 417, start, "unknown expectation: only 100-continue can be met")
    head.seen |= SEEN_CONTINUE
    return True


cdef uint32_t _member(const uint8_t* data, uint32_t* at, uint32_t end) noexcept nogil:
    """Moves `at` to the start of the next list member and returns where it ends; `at` is `end` after the last one."""
    cdef uint32_t stop
    # RFC 9110 section 5.6.1.2:  "A recipient MUST parse and ignore a reasonable number of empty list elements".
    while at[0] < end and (data[at[0]] == c"," or data[at[0]] == SP or data[at[0]] == HTAB):
        at[0] += 1
    stop = at[0]
    while stop < end and data[stop] != c",":
        stop += 1
    while stop > at[0] and (data[stop - 1] == SP or data[stop - 1] == HTAB):
        stop -= 1
    return stop


# RFC 9110 section 7.6.1:  Connection = #connection-option
cdef void _connection(Head* head, const uint8_t* data, uint32_t start, uint32_t end) noexcept nogil:
    cdef uint32_t at = start
    cdef uint32_t stop = _member(data, &at, end)
    while at < end:
        if _is_word(data, at, stop, "keep-alive", 10):
            head.seen |= SEEN_KEEP_ALIVE
        elif _is_word(data, at, stop, "close", 5):
            head.flags |= FLAG_CLOSE
        elif _is_word(data, at, stop, "upgrade", 7):
            head.seen |= SEEN_UPGRADE_OPTION
        at = stop
        stop = _member(data, &at, end)


# RFC 9110 section 10.1.4:  TE = #t-codings;  t-codings = "trailers" / ( transfer-coding [ weight ] )
cdef void _te(Head* head, const uint8_t* data, uint32_t start, uint32_t end) noexcept nogil:
    cdef uint32_t at = start
    cdef uint32_t stop = _member(data, &at, end)
    while at < end:
        if _is_word(data, at, stop, "trailers", 8):
            head.flags |= FLAG_TRAILERS
        at = stop
        stop = _member(data, &at, end)


cdef inline bint _finish(Head* head, bint response) noexcept nogil:
    """The empty line is there: what the fields say together."""
    if not response and head.minor and head.host < 0:
        return _refuse(head, 400, head.line, "an HTTP/1.1 request must have a Host field")
    # RFC 9112 section 9.3:  close ends it; else 1.1 persists, and 1.0 with keep-alive does.
    if not head.flags & FLAG_CLOSE and (head.minor or head.seen & SEEN_KEEP_ALIVE):
        head.flags |= FLAG_KEEP_ALIVE
    if head.minor:
        # RFC 9110 sections 7.8 and 10.1.1:  a server MUST ignore both in an HTTP/1.0 request.
        if head.seen & SEEN_UPGRADE and head.seen & SEEN_UPGRADE_OPTION:
            head.flags |= FLAG_UPGRADE
        if head.seen & SEEN_CONTINUE:
            head.flags |= FLAG_EXPECT_CONTINUE
    return True
