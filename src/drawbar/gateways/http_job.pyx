# cython: language_level=3
"""An exchange that a server somewhere else answers.

Law: its client gets one end, whatever becomes of the server: an answer, or a response that is seen to be broken off.
end() lets go of everything, once; what comes later, from either side, meets nobody.
"""
from libc.stdint cimport uint32_t
from drawbar.exchange.exchange cimport Exchange, Job, RESPONSE_DONE, RESPONSE_SENT
from drawbar.net.connection cimport Connection
from drawbar.wire.tables cimport reason_phrase
from drawbar.wire.writer cimport Buffer

from drawbar.exchange.errors import ClientDisconnected

cdef bytes TEXT = b"text/plain; charset=utf-8"


cdef class ServerLink(Connection):
    """What a job asks of the connection to its server."""

    cdef int pump(self) except -1:
        raise NotImplementedError

    cdef int resume_reading(self) except -1:
        raise NotImplementedError

    cdef int client_said(self, bytes data) except -1:
        raise NotImplementedError

    cdef int part(self) except -1:
        raise NotImplementedError

    cdef int drop(self) except -1:
        raise NotImplementedError


cdef class HttpJob(Job):
    """An exchange on its way to a server, at one, or on its way back."""

    cdef int put_fields(self, Buffer* into) except -1:
        return 0

    cdef int began(self) except -1:
        return 0

    cdef int lost(self, int status, str why) except -1:
        return self.answer(status, why, 0)

    cdef int ended(self) except -1:
        return 0

    cdef int note_begun(self) except -1:
        if not self.begun:
            self.begun = True
            self.began()
        return 0

    cdef int end(self) except -1:
        """Lets go of all: of its server, which is closed if it still has it, and of the exchange. Idempotent."""
        cdef Exchange exchange = self.exchange
        cdef ServerLink server = self.server
        # Held here: its end lets go of it everywhere else, and callers may have borrowed it from there.
        cdef HttpJob job = self
        if job.over:
            return 0
        job.over = True
        if server is not None:
            self.server = None
            server.drop()
        if exchange.response < RESPONSE_DONE:
            exchange.abort()
        if exchange.body is not None:
            exchange.body.close_file()
        exchange.returned()
        return job.ended()

    cdef int answer(self, int status, str why, uint32_t retry_after_s) except -1:
        """A response of ours when there is none yet; one that has begun is broken off."""
        cdef Exchange exchange = self.exchange
        cdef HttpJob job = self
        cdef bytes body, seconds
        if job.over:
            return 0
        try:
            if exchange.response < RESPONSE_SENT and not self.tunnels and not exchange.gone:
                body = b"%d %s\n\n%s\n" % (status, reason_phrase(status), why.encode("utf-8", "replace"))
                exchange.replace()
                exchange.begin(status, NULL, 0)
                exchange.field(b"Content-Type", 12, TEXT, len(TEXT))
                if retry_after_s:
                    seconds = b"%d" % retry_after_s
                    exchange.field(b"Retry-After", 11, seconds, len(seconds))
                exchange.write(body, body, len(body), True)
        except ClientDisconnected:
            # Then there is nobody to be answered.
            exchange.gone = True
        finally:
            job.end()
        return 0

    # -- what the client's connection says. The server is held as long as it is asked something.

    cdef int disconnected(self) except -1:
        return self.end()

    cdef int timed_out(self) except -1:
        return self.end()

    cdef int body_arrived(self) except -1:
        cdef ServerLink server = self.server
        error = self.exchange.body.error
        if error is not None:
            return self.answer(error.status, str(error), 0)
        return server.pump() if server is not None else 0

    cdef int drained(self) except -1:
        cdef ServerLink server = self.server
        return server.resume_reading() if server is not None else 0

    cdef int draining(self) except -1:
        cdef ServerLink server = self.server
        return server.part() if server is not None else 0

    cdef int data_received(self, bytes data) except -1:
        cdef ServerLink server = self.server
        return server.client_said(data) if server is not None else 0
