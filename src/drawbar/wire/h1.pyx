"""The HTTP/1.1 codec as Python sees it: bytes in, events out, and the writers.

A thin shell over the C functions the server itself calls, for tests, fuzzing and tools, and for messages that come as
the body of another one. It adds what a connection keeps between messages (which bytes are still unread, whether another
message may follow) and no rule of its own about what is valid.
"""
from libc.stdint cimport int64_t, uint32_t
from drawbar.wire cimport tables
from drawbar.wire.body cimport (
    BODY_DATA, BODY_END, BODY_NEED, BODY_REFUSED, Body, BodyEvent, BodyLimits, body_eof, body_next, body_of_request,
    body_of_response,
)
from drawbar.wire.head cimport (
    FLAG_KEEP_ALIVE, HEAD_DONE, HEAD_PARTIAL, MAX_FIELDS, Head, HeadLimits, Progress, head_reset, parse_request_head,
    parse_response_head,
)
from drawbar.wire.tables cimport METHOD_CONNECT, method_named
from drawbar.wire.writer cimport (
    Buffer, buffer_free, buffer_put, put_chunk_size, put_field, put_literal, put_request_line, put_status_line,
)

from drawbar.wire.events import Data, End, Flag, Form, Refused, Request, Response, Tunnel

cdef enum Phase:
    PHASE_HEAD                  # `pending` holds the message's bytes so far
    PHASE_BODY
    PHASE_TUNNEL                # the connection speaks something else now
    PHASE_CLOSED                # nothing may follow: the last message said so, or was refused


cdef class Parser:
    """One direction of one connection, message after message.

    `role` is "request" or "response"; a response parser takes all responses as answers to `request_method`. The limits
    are those of HeadLimits and BodyLimits, in bytes or pieces; `body_bytes` 0 means none. Raises ValueError on a bad
    argument.
    """

    cdef Head head
    cdef HeadLimits head_limits
    cdef Body body
    cdef BodyLimits body_limits
    cdef bint response
    cdef int request_method
    cdef Phase phase
    cdef bytes pending
    cdef object trailer
    cdef int64_t position       # offset, in all bytes ever fed, of the first byte not consumed

    def __init__(
        self, role, *, bytes request_method=b"GET", uint32_t head_bytes=32768, uint32_t target_bytes=8192,
        uint32_t fields=100, int64_t body_bytes=0, uint32_t extension_bytes=1024, uint32_t trailer_bytes=8192,
        uint32_t trailer_fields=32,
    ):
        if role not in ("request", "response"):
            raise ValueError(f"role is {role!r}; it must be 'request' or 'response'")
        if fields > MAX_FIELDS:
            raise ValueError(f"fields is {fields}; it must be at most {MAX_FIELDS}")
        self.response = role == "response"
        self.request_method = method_named(request_method, len(request_method))
        self.head_limits = HeadLimits(head_bytes, target_bytes, fields)
        self.body_limits = BodyLimits(body_bytes, extension_bytes, trailer_bytes, trailer_fields)
        self.pending = b""
        self.position = 0
        self._next_message()

    def feed(self, bytes data not None):
        """The events these bytes complete. After a Refused, or a message that closes the connection, there are none."""
        cdef list events = []
        if self.phase == PHASE_HEAD:
            data = self.pending + data
        while data or self.phase == PHASE_BODY:
            if self.phase == PHASE_HEAD:
                data, more = self._feed_head(data, events)
            elif self.phase == PHASE_BODY:
                data, more = self._feed_body(data, events)
            else:
                if self.phase == PHASE_TUNNEL:
                    events.append(Tunnel(data))
                more = False
            if not more:
                break
        return events

    def eof(self):
        """The events the end of the stream makes: End of a body that lasts until close, Refused inside a message."""
        cdef list events = []
        if self.phase == PHASE_HEAD and self.pending:
            # The empty line before a request is not the start of one.
            if self.response or not b"\r\n".startswith(self.pending):
                self._refuse(
                    events, 502 if self.response else 400, "the connection was closed before the head was complete",
                    self.position + len(self.pending),
                )
        elif self.phase == PHASE_BODY:
            if body_eof(&self.body) == BODY_END:
                events.append(End(()))
            else:
                events.append(Refused(self.body.error, self.body.why.decode(), self.position))
        self.phase = PHASE_CLOSED
        return events

    cdef void _next_message(self):
        head_reset(&self.head)
        self.trailer = bytearray()
        self.phase = PHASE_HEAD

    cdef tuple _refuse(self, list events, int status, const char* why, int64_t offset):
        events.append(Refused(status, why.decode(), offset))
        self.phase = PHASE_CLOSED
        return b"", False

    cdef tuple _feed_head(self, bytes data, list events):
        cdef const char* start = data
        cdef Progress progress
        cdef int status
        if self.response:
            progress = parse_response_head(&self.head, start, len(data), &self.head_limits)
        else:
            progress = parse_request_head(&self.head, start, len(data), &self.head_limits)
        if progress == HEAD_PARTIAL:
            self.pending = data
            return data, False
        self.pending = b""
        if progress != HEAD_DONE:
            return self._refuse(events, self.head.error, self.head.why, self.position + self.head.error_at)
        if self.response:
            events.append(self._response_event(start))
            status = body_of_response(&self.body, &self.head, self.request_method, &self.body_limits)
        else:
            events.append(self._request_event(start))
            status = body_of_request(&self.body, &self.head, &self.body_limits)
        self.position += self.head.size
        if status:
            return self._refuse(events, status, self.body.why, self.position)
        self.phase = PHASE_BODY
        return data[self.head.size:], True

    cdef tuple _feed_body(self, bytes data, list events):
        cdef const char* start = data
        cdef size_t left = len(data)
        cdef BodyEvent event = BODY_DATA
        while event == BODY_DATA:
            event = body_next(&self.body, start, left, &self.body_limits)
            start += self.body.consumed
            left -= self.body.consumed
            self.position += self.body.consumed
            if event == BODY_DATA:
                events.append(Data(self.body.slice[:self.body.slice_size]))
        if event == BODY_REFUSED:
            return self._refuse(events, self.body.error, self.body.why, self.position)
        if self.body.slice_size:
            self.trailer += self.body.slice[:self.body.slice_size]
        if event == BODY_NEED:
            return b"", False
        events.append(End(_trailer_fields(bytes(self.trailer))))
        self._after_message()
        return data[len(data) - left:], True

    cdef void _after_message(self):
        cdef int status = self.head.status
        if self.response and (status == 101 or (self.request_method == METHOD_CONNECT and 200 <= status < 300)):
            self.phase = PHASE_TUNNEL
        elif self.head.flags & FLAG_KEEP_ALIVE or (self.response and status < 200):
            self._next_message()
        else:
            self.phase = PHASE_CLOSED

    cdef tuple _fields(self, const char* start):
        cdef list fields = []
        cdef int index
        for index in range(self.head.n_fields):
            field = self.head.fields[index]
            fields.append((
                start[field.name:field.name + field.name_size], start[field.value:field.value + field.value_size]
            ))
        return tuple(fields)

    cdef object _length(self):
        return None if self.head.content_length < 0 else self.head.content_length

    cdef object _request_event(self, const char* start):
        cdef Head* head = &self.head
        return Request(
            method=start[head.method:head.method + head.method_size],
            target=start[head.target:head.target + head.target_size],
            form=Form(<int> head.target_form),
            path=start[head.path:head.path + head.path_size],
            query=start[head.query:head.query + head.query_size],
            authority=start[head.authority:head.authority + head.authority_size],
            https=bool(head.scheme_https),
            version=f"1.{head.minor}",
            fields=self._fields(start),
            flags=Flag(<int> head.flags),
            content_length=self._length(),
        )

    cdef object _response_event(self, const char* start):
        cdef Head* head = &self.head
        return Response(
            status=<int> head.status,
            reason=start[head.reason:head.reason + head.reason_size],
            version=f"1.{head.minor}",
            fields=self._fields(start),
            flags=Flag(<int> head.flags),
            content_length=self._length(),
        )


cdef tuple _trailer_fields(bytes section):
    """The fields of a trailer section the decoder has checked."""
    fields = []
    for line in section.split(b"\r\n"):
        if line:
            name, _, value = line.partition(b":")
            fields.append((name, value.strip(b" \t")))
    return tuple(fields)


# -- writers


cdef int _put_fields(Buffer* buffer, object fields) except -1:
    cdef bytes name, value
    for name, value in fields:
        put_field(buffer, name, len(name), value, len(value))
    return put_literal(buffer, "\r\n", 2)


def response_head(int status, fields=(), *, bytes reason=None):
    """The head of a response, its empty line included; without `reason` the standard phrase.

    Raises ValueError on a status outside 100 to 999, a control character in the reason, and whatever `put_field`
    refuses.
    """
    cdef Buffer buffer = Buffer(NULL, 0, 0)
    if not 100 <= status <= 999:
        raise ValueError(f"status is {status}; it must be from 100 to 999")
    if reason is not None and not tables.clean_value(reason, len(reason)):
        raise ValueError(f"the reason phrase {reason[:64]!r} has a control character")
    try:
        if reason is None:
            put_status_line(&buffer, status, NULL, 0)
        else:
            put_status_line(&buffer, status, reason, len(reason))
        _put_fields(&buffer, fields)
        return buffer.data[:buffer.size]
    finally:
        buffer_free(&buffer)


def request_head(bytes method not None, bytes target not None, fields=()):
    """The head of a request, its empty line included. Raises ValueError as `put_request_line` and `put_field` do."""
    cdef Buffer buffer = Buffer(NULL, 0, 0)
    try:
        put_request_line(&buffer, method, len(method), target, len(target))
        _put_fields(&buffer, fields)
        return buffer.data[:buffer.size]
    finally:
        buffer_free(&buffer)


def chunk(bytes data not None):
    """The bytes as one chunk. Raises ValueError when there are none: an empty chunk would end the body."""
    cdef Buffer buffer = Buffer(NULL, 0, 0)
    if not data:
        raise ValueError("a chunk must not be empty: last_chunk() ends a body")
    try:
        put_chunk_size(&buffer, len(data))
        buffer_put(&buffer, data, len(data))
        put_literal(&buffer, "\r\n", 2)
        return buffer.data[:buffer.size]
    finally:
        buffer_free(&buffer)


def last_chunk(trailers=()):
    """The end of a chunked body. Raises ValueError on what `put_field` refuses."""
    cdef Buffer buffer = Buffer(NULL, 0, 0)
    try:
        put_literal(&buffer, "0\r\n", 3)
        _put_fields(&buffer, trailers)
        return buffer.data[:buffer.size]
    finally:
        buffer_free(&buffer)


# -- tables


def clean_value(bytes data not None, size_t start, size_t stop):
    """Whether `data[start:stop]` has no control character a field value must not have; ValueError out of range."""
    if not start <= stop <= <size_t> len(data):
        raise ValueError(f"no such slice: {start}:{stop} of {len(data)} bytes")
    return bool(tables.clean_value(<const char*> data + start, stop - start))


def name_hash(bytes name not None):
    """FNV-1a, 32 bits, over the lower-cased name."""
    return tables.name_hash(name, len(name))


def known_name(bytes name not None):
    """The number of the field name in `Known` of tables.pxd; 0 when framing does not know it."""
    return <int> tables.known_name(name, len(name), tables.name_hash(name, len(name)))


def reason_phrase(int status):
    """The standard reason phrase, "Unknown" for a status without one."""
    return tables.reason_phrase(status).decode()
