"""TLS between workers and fronts, at either side: a reactor knows none, so a thread stands between it and the peer.

Lives here: the codec (ciphertext in, plain bytes out, and back; no socket), and the pump, one thread for a process,
that moves bytes between the socket of each peer and a socket pair whose other end the reactor serves on. Handshakes are
made before: by who dials (attempt.py), or receives (tls_reception.py).

Invariants:
- What one side does not take is held up to a bound; then the other side is not read.
- The end of either side reaches the other behind all its bytes, and as an end: TLS says so (close_notify, RFC 8446
  section 6.1).
- A line that the reactor has let go of ends, whatever its peer does.
- A turn of one line is short, whatever its peer sends: the others wait for it. What TLS says of itself costs far more
  than data does (a key update some 30 us, in 27 bytes), so a peer that says much of it, and little else, is read in
  small pieces, and soon no more.
"""

import selectors
import socket
import ssl
import threading
import time
from collections import deque
from itertools import islice
from typing import Final

from drawbar.pull.waker import Waker

READ_BYTES: Final = 65_536
FIRST_READ_BYTES: Final = 4_096
"""Of a peer that has not shown that it sends data: no more than 150 key updates in a turn, some 5 ms."""
CHATTER_BYTES: Final = 24_576
"""What a peer may send of TLS itself, without data that makes up for it: two tickets with a certificate, which are the
most that an honest one does, and a whole record of data of which the last byte is still to come. A key update is due
once in 2**24 records (RFC 8446 section 5.5)."""
DATA_WORTH: Final = 24
"""Bytes on the wire that one of data accounts for: alone in its record (RFC 8446 section 5.2) it has 22 around it."""
HELD_BYTES: Final = 262_144
"""Of one direction of one line; past it the side they come from is not read."""
LINGER_S: Final = 2.0
"""For the peer to close, once the reactor has: as long as the reactor itself would wait."""
FAREWELL_S: Final = 10.0
"""For what is held when the process ends; the master's patience may be shorter."""


class TlsCodec:
    """One connection's TLS. Raises ssl.SSLError when the peer breaks the protocol or is not trusted.

    server_name: of the server that we are the client of; None: we are the server.
    """

    def __init__(self, context: ssl.SSLContext, server_name: str | None) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=server_name is None, server_hostname=server_name)
        self.has_ended = False
        """The peer will send no more."""

    def shake_hands(self) -> bool:
        """Whether the handshake is complete; if not, output() may have something for the peer, and wants its answer."""
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def feed(self, ciphertext: bytes) -> None:
        """Takes what the peer sent; nothing is its end."""
        if ciphertext:
            self._in.write(ciphertext)
        else:
            self._in.write_eof()

    def read(self) -> bytes:
        """All there is to read now."""
        parts = []
        while not self.has_ended:
            try:
                data = self._tls.read(READ_BYTES)
            except ssl.SSLWantReadError:
                break
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                # Without a close_notify as well: whether a message is whole, HTTP's framing says.
                data = b""
            self.has_ended = not data
            parts.append(data)
        return b"".join(parts)

    def write(self, data: bytes) -> None:
        """Takes bytes for the peer."""
        self._tls.write(data)

    def end(self) -> None:
        """No more bytes for the peer. What it sends can still be read."""
        try:
            self._tls.unwrap()
        except (ssl.SSLWantReadError, ssl.SSLError):
            # The peer's own end is not here yet, and not waited for; or all is broken already.
            return

    def output(self) -> bytes:
        """What is to be sent to the peer."""
        return self._out.read()


class Line:
    """One connection: the peer's socket, its codec, and our end of the pair. Everything here is non-blocking."""

    def __init__(
        self, outer: socket.socket, codec: TlsCodec, inner: socket.socket, first: bytes, unsent: bytes
    ) -> None:
        self.outer, self.inner = outer, inner
        self._codec = codec
        self._to_inner = bytearray(first)
        self._to_outer = bytearray(unsent)
        self._reads_outer, self._reads_inner = not codec.has_ended, True
        self._told_inner = self._told_outer = False
        self._read_bytes = FIRST_READ_BYTES
        self._since_data = self._chatter = 0
        self.deadline: float | None = None

    def wants(self) -> dict[socket.socket, int]:
        """What each socket is waited for; one that is not among the keys is not."""
        outer = selectors.EVENT_READ if self._reads_outer and len(self._to_inner) < HELD_BYTES else 0
        inner = selectors.EVENT_READ if self._reads_inner and len(self._to_outer) < HELD_BYTES else 0
        outer |= selectors.EVENT_WRITE if self._to_outer else 0
        inner |= selectors.EVENT_WRITE if self._to_inner else 0
        return {sock: events for sock, events in ((self.outer, outer), (self.inner, inner)) if events}

    def move(self, now: float) -> bool:
        """Moves what can be moved; False when the line has come to its end."""
        try:
            self._read_outer()
            self._read_inner()
            _send(self.outer, self._to_outer)
            _send(self.inner, self._to_inner)
            self._pass_ends(now)
        except OSError:
            # SSLError is one. Either side is broken, which is the end of both.
            return False
        over = not self._reads_outer and not self._reads_inner and not self._to_outer and not self._to_inner
        return not over and (self.deadline is None or now < self.deadline)

    def close(self) -> None:
        """Ends both sides at once."""
        self.outer.close()
        self.inner.close()

    def _read_outer(self) -> None:
        if not self._reads_outer or len(self._to_inner) >= HELD_BYTES:
            return
        data = _receive(self.outer, self._read_bytes)
        if data is None:
            return
        self._codec.feed(data)
        plain = self._codec.read()
        self._judge(len(data), len(plain))
        self._to_inner += plain
        # Answers of TLS itself, such as to a key update.
        self._to_outer += self._codec.output()
        self._reads_outer = bool(data) and not self._codec.has_ended

    def _judge(self, sent: int, plain: int) -> None:
        """Reads more at once of who sends data; raises OSError of who sends nearly none."""
        self._since_data += sent
        if plain:
            is_dense = 2 * plain >= self._since_data
            self._read_bytes = min(READ_BYTES, 2 * self._read_bytes) if is_dense else FIRST_READ_BYTES
            self._since_data = 0
        self._chatter = max(0, self._chatter + sent - DATA_WORTH * plain)
        if self._chatter > CHATTER_BYTES:
            raise ConnectionAbortedError

    def _read_inner(self) -> None:
        if not self._reads_inner or len(self._to_outer) >= HELD_BYTES:
            return
        data = _receive(self.inner, READ_BYTES)
        if data is None:
            return
        if data:
            self._codec.write(data)
        else:
            self._reads_inner = False
            self._codec.end()
        self._to_outer += self._codec.output()

    def _pass_ends(self, now: float) -> None:
        if not self._reads_outer and not self._to_inner and not self._told_inner:
            self._told_inner = True
            self.inner.shutdown(socket.SHUT_WR)
        if not self._reads_inner and not self._to_outer and not self._told_outer:
            self._told_outer = True
            self.outer.shutdown(socket.SHUT_WR)
            self.deadline = now + LINGER_S


def _receive(sock: socket.socket, most: int) -> bytes | None:
    try:
        return sock.recv(most)
    except BlockingIOError:
        return None


def _send(sock: socket.socket, data: bytearray) -> None:
    if data:
        try:
            del data[: sock.send(data)]
        except BlockingIOError:
            return


class Pump:
    """The thread that moves the bytes of all lines."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._waker = Waker()
        self._selector.register(self._waker, selectors.EVENT_READ)
        self._new: deque[Line] = deque()
        self._lines: set[Line] = set()
        self._ending: dict[Line, None] = {}
        """Those with a deadline, in its order: it is the same time for all."""
        self._watched: dict[socket.socket, int] = {}
        self._stop_at: float | None = None
        self._thread = threading.Thread(target=self._run, name="drawbar-tls", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def __len__(self) -> int:
        """How many lines there are."""
        return len(self._lines) + len(self._new)

    def add(self, outer: socket.socket, codec: TlsCodec, first: bytes, unsent: bytes = b"") -> socket.socket:
        """Serves a peer's socket, and returns what the reactor is to serve on. From any thread.

        first: bytes that were decoded already. unsent: what the codec has put out, and the peer has not got.
        """
        inner, given = socket.socketpair()
        inner.setblocking(False)
        given.setblocking(False)
        self._new.append(Line(outer, codec, inner, first, unsent))
        self._waker.wake()
        return given

    def stop(self) -> None:
        """Sends what is held, for a while, and ends the thread."""
        self._stop_at = time.monotonic() + FAREWELL_S
        self._waker.wake()
        self._thread.join(FAREWELL_S + LINGER_S)
        self._waker.close()

    def abandon(self) -> None:
        """In a forked child, which has no such thread: closes its copies."""
        for line in [*self._lines, *self._new]:
            line.close()
        self._selector.close()
        self._waker.close()

    def _run(self) -> None:
        while not self._is_over():
            ready = self._selector.select(self._patience())
            touched = {key.data for key, _ in ready if key.data is not None}
            self._waker.clear()
            while self._new:
                line = self._new.popleft()
                self._lines.add(line)
                touched.add(line)
            now = time.monotonic()
            for line in touched:
                self._step(line, now)
            self._end(now)
        for line in [*self._lines]:
            self._drop(line)
        self._selector.close()

    def _is_over(self) -> bool:
        if self._stop_at is None:
            return False
        return not (self._lines or self._new) or time.monotonic() >= self._stop_at

    def _patience(self) -> float | None:
        times = [line.deadline for line in islice(self._ending, 1) if line.deadline is not None]
        if self._stop_at is not None:
            times.append(self._stop_at)
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _step(self, line: Line, now: float) -> None:
        if line.move(now):
            self._watch(line)
            if line.deadline is not None:
                self._ending.setdefault(line)
        else:
            self._drop(line)

    def _end(self, now: float) -> None:
        while (line := next(iter(self._ending), None)) is not None and line.deadline is not None:
            if line.deadline > now:
                return
            self._drop(line)

    def _watch(self, line: Line) -> None:
        wanted = line.wants()
        for sock in (line.outer, line.inner):
            events, had = wanted.get(sock, 0), self._watched.get(sock, 0)
            if events == had:
                continue
            if not had:
                self._selector.register(sock, events, line)
            elif events:
                self._selector.modify(sock, events, line)
            else:
                self._selector.unregister(sock)
            self._watched[sock] = events

    def _drop(self, line: Line) -> None:
        for sock in (line.outer, line.inner):
            if self._watched.pop(sock, 0):
                self._selector.unregister(sock)
        self._lines.discard(line)
        self._ending.pop(line, None)
        line.close()
