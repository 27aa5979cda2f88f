# cython: language_level=3
"""An exchange whose application runs in another process: both ends of the line between them.

Law: there is one exchange, in the process that has the connection. The other process has a relay of it, made before the
fork, whose every act is a record on a packet socket, answered by what became of it: nothing, or the exception that the
same act raised on the exchange itself. So an app learns of its mistakes where it makes them, in either process, and a
reply that is held back is what makes it wait for a slow client.

One record is under way at a time. Its sender is trusted with nothing: a process whose memory an app has broken may send
anything, and gets a ValueError here.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t
from drawbar.exchange.exchange cimport Exchange, RESPONSE_DONE, RESPONSE_STAGED

import os
import struct

from drawbar.exchange.errors import AppError, ClientDisconnected

cdef enum Operation:
    DO_BEGIN
    DO_FIELD
    DO_WRITE
    DO_FLUSH_HEAD
    DO_FINISH
    DO_INFORMATIONAL
    DO_REPLACE
    DO_ABORT

cdef enum Outcome:
    OUTCOME_DONE
    OUTCOME_APP_ERROR           # of the app's making
    OUTCOME_GONE                # the client is
    OUTCOME_OS_ERROR

# A record: operation, is it the last, a number (a status, or the size of a name), the length declared; its payload.
cdef object RECORD = struct.Struct("=BBHq")
# A reply: outcome, state of the response, is the client gone, has the response no body, its status, the length
# declared, bytes written; the text of an error.
cdef object REPLY = struct.Struct("=BBBBHqq")
cdef object PAIR = struct.Struct("=HH")


# -- in the process of the application

cdef RelayExchange relay(Exchange front, int line):
    cdef RelayExchange made = RelayExchange.__new__(RelayExchange)
    made.front = front
    made.line = line
    made.policy = front.policy
    made.log_files = front.log_files
    # Let go of by now, and its figures private: what still asks it for the time gets that.
    made.reactor = front.reactor
    # Both lie in `front`, which has a copy of its own by now.
    made.head = front.head
    made.base = front.base
    made.body = front.body
    made.method_id = front.method_id
    made.minor = front.minor
    made.flags = front.flags
    made.declared = -1
    return made


cdef class RelayExchange(Exchange):
    """Stands for an exchange of the parent process."""

    cdef int _call(self, int operation, int number, bint last, bytes payload) except -1:
        cdef bytes reply
        cdef int outcome
        try:
            if self.unread:
                # The app's own signal handler raised while this waited.
                os.read(self.line, RECORD_BYTES)
            os.write(self.line, RECORD.pack(operation, last, number, self.declared) + payload)
            self.unread = True
            reply = os.read(self.line, RECORD_BYTES)
            self.unread = False
        except ConnectionError as error:
            raise ClientDisconnected(f"the server is gone: {error}") from None
        if not reply:
            raise ClientDisconnected("the server is gone")
        outcome, self.response, self.gone, self.no_body, self.status, self.declared, self.written = (
            REPLY.unpack_from(reply))
        if outcome == OUTCOME_DONE:
            return 0
        text = reply[REPLY.size:].decode("utf-8", "replace")
        if outcome == OUTCOME_APP_ERROR:
            raise AppError(text)
        raise (ClientDisconnected if outcome == OUTCOME_GONE else OSError)(text)

    # -- request: what the parent knew of it when this process began

    cdef tuple peer(self):
        return self.front.peer()

    cdef str peer_host(self):
        return self.front.peer_host()

    cdef int peer_port(self) noexcept:
        return self.front.peer_port()

    cdef tuple server(self):
        return self.front.server()

    cdef str scheme(self):
        return self.front.scheme()

    cdef object client(self):
        return self.front.client()

    # -- response

    cdef int begin(self, int status, const char* reason, size_t reason_size) except -1:
        return self._call(DO_BEGIN, status, False, reason[:reason_size] if reason is not NULL else b"")

    cdef int field(self, const char* name, size_t name_size, const char* value, size_t value_size) except -1:
        if name_size + value_size > <size_t>PIECE_BYTES:
            raise AppError(f"a header field of {name_size + value_size} bytes is longer than {PIECE_BYTES}")
        return self._call(DO_FIELD, <int>name_size, False, name[:name_size] + value[:value_size])

    cdef int write(self, object owner, const char* data, size_t size, bint last) except -1:
        cdef size_t start = 0
        if last and size > <size_t>PIECE_BYTES and self.declared < 0 and self.response == RESPONSE_STAGED:
            # It is whole here, and the parent cannot know that it is.
            self.declared = <int64_t>size
        while size - start > <size_t>PIECE_BYTES:
            self._call(DO_WRITE, 0, False, data[start:start + PIECE_BYTES])
            start += PIECE_BYTES
        return self._call(DO_WRITE, 0, last, data[start:size])

    cdef int write_file(self, object owner, int fd, int64_t offset, int64_t size, bint last) except -1:
        cdef bytes piece
        cdef int64_t left = size
        try:
            if last and self.declared < 0 and self.response == RESPONSE_STAGED:
                self.declared = size
            while left > 0:
                piece = os.pread(fd, min(left, PIECE_BYTES), offset)
                if not piece:
                    # It became shorter meanwhile: the parent will find the response to be.
                    break
                offset += len(piece)
                left -= len(piece)
                self._call(DO_WRITE, 0, False, piece)
            return self._call(DO_WRITE, 0, True, b"") if last else 0
        finally:
            if owner is None:
                os.close(fd)

    cdef int flush_head(self) except -1:
        return self._call(DO_FLUSH_HEAD, 0, False, b"")

    cdef int finish(self) except -1:
        return self._call(DO_FINISH, 0, True, b"")

    cdef int informational(self, int status, list fields) except -1:
        cdef bytes payload = b"".join([
            PAIR.pack(len(name), len(value)) + name + value for name, value in fields])
        if len(payload) > PIECE_BYTES:
            raise AppError(f"interim fields of {len(payload)} bytes are longer than {PIECE_BYTES}")
        return self._call(DO_INFORMATIONAL, status, False, payload)

    cdef int replace(self) except -1:
        if self.response == RESPONSE_STAGED:
            return self._call(DO_REPLACE, 0, False, b"")
        return 0

    cdef void abort(self) noexcept:
        if self.response < RESPONSE_DONE:
            try:
                self._call(DO_ABORT, 0, True, b"")
            except Exception:
                # Nobody is left to tell: the parent ends the response when this process has ended.
                return


# -- in the process of the exchange

cdef bytes _reply(Exchange exchange, int outcome, str text):
    return REPLY.pack(
        outcome, exchange.response, exchange.gone, exchange.no_body, exchange.status, exchange.declared,
        exchange.written) + text.encode("utf-8", "replace")[:PIECE_BYTES]


cdef bytes go_on(Exchange exchange, bint late):
    if late:
        return _reply(exchange, OUTCOME_GONE, "the request timed out, and its client was told so")
    if exchange.gone:
        return _reply(exchange, OUTCOME_GONE, "the client has closed the connection")
    return _reply(exchange, OUTCOME_DONE, "")


cdef bytes obey(Exchange exchange, bytes record):
    if len(record) < RECORD.size:
        raise ValueError("a record is too short")
    operation, last, number, declared = RECORD.unpack_from(record)
    if exchange.response == RESPONSE_STAGED and declared >= 0:
        exchange.declared = declared
    try:
        _do(exchange, operation, number, last, record[RECORD.size:])
    except AppError as error:
        return _reply(exchange, OUTCOME_APP_ERROR, str(error))
    except ClientDisconnected as error:
        return _reply(exchange, OUTCOME_GONE, str(error))
    except OSError as error:
        return _reply(exchange, OUTCOME_OS_ERROR, str(error))
    return _reply(exchange, OUTCOME_DONE, "")


cdef int _do(Exchange exchange, int operation, int number, bint last, bytes payload) except -1:
    cdef const char* data = PyBytes_AS_STRING(payload)
    cdef size_t size = PyBytes_GET_SIZE(payload)
    if operation == DO_WRITE:
        if last or size:
            exchange.write(payload, data, size, last)
    elif operation == DO_BEGIN:
        if not 200 <= number <= 999:
            raise ValueError(f"{number} is no status")
        exchange.begin(number, data if size else NULL, size)
    elif operation == DO_FIELD:
        if <size_t>number > size:
            raise ValueError("a field's name is longer than the field")
        exchange.field(data, number, data + number, size - number)
    elif operation == DO_FINISH:
        exchange.finish()
    elif operation == DO_FLUSH_HEAD:
        exchange.flush_head()
    elif operation == DO_INFORMATIONAL:
        if not 100 < number < 200:
            raise ValueError(f"{number} is no interim status")
        exchange.informational(number, _pairs(payload))
    elif operation == DO_REPLACE:
        exchange.replace()
    elif operation == DO_ABORT:
        exchange.abort()
    else:
        raise ValueError(f"{operation} is no operation")
    return 0


cdef list _pairs(bytes payload):
    cdef list fields = []
    cdef Py_ssize_t at = 0
    while at < len(payload):
        if at + PAIR.size > len(payload):
            raise ValueError("a field's sizes are cut off")
        name, value = PAIR.unpack_from(payload, at)
        at += PAIR.size
        if at + name + value > len(payload):
            raise ValueError("a field is cut off")
        fields.append((payload[at:at + name], payload[at + name:at + name + value]))
        at += name + value
    return fields
