"""TLS connections that come in: a thread that accepts them and shakes hands, before anybody else knows of them.

Lives here: one guest's handshake, step by step, and the thread that has them all. A guest whose handshake is complete
goes to the pump, and the end of its line that the reactor is to serve on waits to be fetched.

Law: whoever has not shaken hands costs nobody else anything. A guest has HANDSHAKE_S and HANDSHAKE_BYTES for it. There
are MOST_GUESTS at most; past that one that was refused goes, or the one that has taken longest, as an honest one takes
a few round trips. Nothing is done for each guest but when it has sent something. Who speaks plain HTTP is told so, in
HTTP. However many are refused, the log stays short.
"""

import selectors
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from drawbar.pull.attempt import tune
from drawbar.pull.problem import Problem
from drawbar.pull.sparing import Sparing
from drawbar.pull.tls_pump import Pump, TlsCodec
from drawbar.pull.waker import Waker
from drawbar.wire.h1 import response_head

HANDSHAKE_S: Final = 10.0
"""From the connection to the last message."""
HANDSHAKE_BYTES: Final = 65_536
"""Of all that a guest says until then: a hello has 2 KB at most, and a chain of certificates some 10. OpenSSL would
hold 131 KB of a hello that goes on, twice, for each of a thousand guests."""
MOST_GUESTS: Final = 1_000
ACCEPT_BATCH: Final = 64
"""Connections accepted in one go."""
READ_BYTES: Final = 16_384
FAREWELL_S: Final = 1.0
"""For those who are shaking hands when there is to be no more of it: they were accepted, and may have a question."""
PARTING_S: Final = 2.0
"""For one that was refused to read why, and close."""
PARTING_BYTES: Final = 262_144
"""Read away meanwhile, as it may not have noticed yet; who sends on and on would keep the thread from the others."""
CROWD: Final = 100
"""Guests at once, beyond which what they have left in memory is given back when the last is gone."""
RETRY_S: Final = 1.0
"""Without room, or descriptors, for another connection; then accepting is tried again."""
VANISH_S: Final = 10.0
"""Of silence of a peer's kernel, as on the plain API: then its machine is gone."""
HANDSHAKE_RECORD: Final = 0x16
"""What TLS begins with (RFC 8446 section 5.1): no letter, so no method of HTTP."""
PLAIN: Final = Problem(
    "bad-request", "this port speaks TLS, and the request came without", "a URL that begins with https"
)

Peer = tuple[str, int]


class Received(NamedTuple):
    """A connection to serve on, whose it is, and the socket it came in by."""

    socket: socket.socket
    peer: Peer
    listener: socket.socket


class Refused(Exception):
    """The guest is none. `last` is what to tell it."""

    def __init__(self, why: str, last: bytes) -> None:
        super().__init__(why)
        self.last = last


class Guest:
    """A connection whose handshake is not complete, or that was refused and is to close."""

    def __init__(
        self, sock: socket.socket, peer: Peer, listener: socket.socket, codec: TlsCodec, deadline: float
    ) -> None:
        self.socket, self.peer, self.listener = sock, peer, listener
        self.codec = codec
        self.deadline = deadline
        self.unsent = b""
        self.heard_bytes = 0
        self.is_parting = False

    @property
    def events(self) -> int:
        """What it is waited for."""
        return selectors.EVENT_READ | (selectors.EVENT_WRITE if self.unsent else 0)

    def advance(self) -> bool:
        """Goes on; True when hands are shaken. Raises Refused, and OSError when it is gone."""
        self.send()
        data = self._receive()
        if data is None:
            return False
        if not data:
            raise ConnectionResetError
        is_first = self.heard_bytes == 0
        self.heard_bytes += len(data)
        if self.is_parting:
            # Read away: closed with bytes unread, the connection would be reset, and the answer with it.
            if self.heard_bytes > PARTING_BYTES:
                raise ConnectionResetError
            return False
        if is_first and data[0] != HANDSHAKE_RECORD:
            raise Refused("it speaks no TLS", plain_answer())
        self.codec.feed(data)
        try:
            done = self.codec.shake_hands()
        except ssl.SSLError as error:
            raise Refused(f"TLS fails: {reason_of(error)}", self.codec.output()) from error
        if not done and self.heard_bytes > HANDSHAKE_BYTES:
            raise Refused(f"its handshake has more than {HANDSHAKE_BYTES} bytes", b"")
        self.unsent += self.codec.output()
        self.send()
        return done

    def part(self, last: bytes, now: float) -> None:
        """Says the last thing, and waits for its end."""
        self.is_parting = True
        self.deadline = now + PARTING_S
        self.heard_bytes = 0
        # Nothing is asked of it any more, and it is the most of what a guest costs.
        del self.codec
        self.unsent += last
        self.send()

    def send(self) -> None:
        """Sends what it takes of what it is to get."""
        try:
            while self.unsent:
                self.unsent = self.unsent[self.socket.send(self.unsent) :]
        except BlockingIOError:
            return
        if self.is_parting:
            self.socket.shutdown(socket.SHUT_WR)

    def _receive(self) -> bytes | None:
        try:
            return self.socket.recv(READ_BYTES)
        except BlockingIOError:
            return None


def plain_answer() -> bytes:
    """What somebody who speaks plain HTTP can read."""
    body = PLAIN.body()
    fields = [*PLAIN.head(), (b"Content-Length", b"%d" % len(body)), (b"Connection", b"close")]
    return response_head(PLAIN.status, fields) + body


def reason_of(error: ssl.SSLError) -> str:
    """What went wrong, as OpenSSL has it."""
    return getattr(error, "verify_message", "") or (error.reason or str(error)).replace("_", " ").lower()


class Reception:
    """Accepts on listening sockets, until it is stopped.

    most: lines the pump may have; past it who comes waits in the kernel's queue. on_arrived: called, on this thread,
    when there is something to fetch. tell: takes a line for the log, about a peer that was refused or what went wrong.
    on_quiet: called, on this thread, when the last guest of a crowd is gone. most_guests, handshake_s: as the module
    has them.
    """

    def __init__(
        self,
        listeners: Iterable[socket.socket],
        context: ssl.SSLContext,
        pump: Pump,
        *,
        most: int,
        on_arrived: Callable[[], object],
        tell: Callable[[str], object],
        on_quiet: Callable[[], object] = lambda: None,
        most_guests: int = MOST_GUESTS,
        handshake_s: float = HANDSHAKE_S,
    ) -> None:
        self._listeners = list(listeners)
        self._context = context
        self._pump = pump
        self._most = most
        self._on_arrived = on_arrived
        self._on_quiet = on_quiet
        self._log = Sparing(tell)
        self._most_guests = most_guests
        self._handshake_s = handshake_s
        self._selector = selectors.DefaultSelector()
        self._waker = Waker()
        self._selector.register(self._waker, selectors.EVENT_READ)
        self._guests: dict[Guest, None] = {}
        self._parting: dict[Guest, None] = {}
        """Those that were refused. In either, who has been there longest comes first, and so does the next deadline."""
        self._was_crowded = False
        self._arrived: deque[Received] = deque()
        self._accepts = False
        self._look_at = 0.0
        """Not before that is accepted again."""
        self._is_stopped = False
        self._thread = threading.Thread(target=self._run, name="drawbar-tls-in", daemon=True)

    # From any thread.

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def fetch(self) -> Received | None:
        """The next connection whose hands are shaken, which is the caller's from now on."""
        return self._arrived.popleft() if self._arrived else None

    def stop(self) -> None:
        """Accepts no more. Who is shaking hands has FAREWELL_S left for it."""
        self._is_stopped = True
        self._waker.wake()

    def wait(self) -> None:
        """After stop(): until nobody is shaking hands any more."""
        self._thread.join()

    def close(self) -> None:
        """Ends the thread, and closes what nobody has fetched."""
        self.stop()
        self.wait()
        self._waker.close()
        while (received := self.fetch()) is not None:
            received.socket.close()

    # On the thread.

    def _run(self) -> None:
        has_ended = False
        while not self._is_stopped or self._guests or self._parting:
            self._attend(time.monotonic())
            if self._is_stopped and not has_ended:
                has_ended = True
                self._hurry(time.monotonic() + FAREWELL_S)
            for key, _ in self._selector.select(self._patience()):
                if key.data is None:
                    self._waker.clear()
                elif isinstance(key.data, Guest):
                    self._step(key.data)
                else:
                    self._accept(key.data)
            self._show_out(time.monotonic())
        self._log.finish()
        self._selector.close()

    def _hurry(self, until: float) -> None:
        for guest in (*self._guests, *self._parting):
            guest.deadline = min(guest.deadline, until)

    def _patience(self) -> float | None:
        times = [next(iter(guests)).deadline for guests in (self._guests, self._parting) if guests]
        if self._log.due is not None:
            times.append(self._log.due)
        if not self._accepts and not self._is_stopped:
            times.append(self._look_at)
        return max(0.0, min(times) - time.monotonic()) if times else None

    def _attend(self, now: float) -> None:
        """Watches the listening sockets, unless there is no room."""
        wanted = now >= self._look_at and not self._is_stopped
        if wanted and len(self._pump) >= self._most:
            self._look_at, wanted = now + RETRY_S, False
        if wanted == self._accepts:
            return
        self._accepts = wanted
        for listener in self._listeners:
            if wanted:
                self._selector.register(listener, selectors.EVENT_READ, listener)
            else:
                self._selector.unregister(listener)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(ACCEPT_BATCH):
            try:
                sock, address = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                now = time.monotonic()
                self._log.say(f"cannot accept a connection: {error.strerror}", now)
                self._look_at = now + RETRY_S
                return
            self._welcome(sock, address[:2], listener)

    def _welcome(self, sock: socket.socket, peer: Peer, listener: socket.socket) -> None:
        while len(self._guests) + len(self._parting) >= self._most_guests:
            self._drop(next(iter(self._parting or self._guests)))
        try:
            sock.setblocking(False)
            tune(sock, VANISH_S)
            codec = TlsCodec(self._context, None)
        except OSError:
            # It is gone already, or OpenSSL has no memory for it.
            sock.close()
            return
        guest = Guest(sock, peer, listener, codec, time.monotonic() + self._handshake_s)
        self._guests[guest] = None
        self._was_crowded = self._was_crowded or len(self._guests) + len(self._parting) > CROWD
        self._selector.register(sock, guest.events, guest)
        # It may have spoken already.
        self._step(guest)

    def _step(self, guest: Guest) -> None:
        if not self._has(guest):
            # Dropped a moment ago, for another one.
            return
        try:
            if guest.advance():
                self._let_in(guest)
                return
        except Refused as refused:
            self._refuse(guest, refused)
        except OSError:
            self._drop(guest)
        if self._has(guest):
            self._selector.modify(guest.socket, guest.events, guest)

    def _has(self, guest: Guest) -> bool:
        return guest in self._guests or guest in self._parting

    def _let_in(self, guest: Guest) -> None:
        del self._guests[guest]
        self._selector.unregister(guest.socket)
        try:
            first = guest.codec.read()
            given = self._pump.add(guest.socket, guest.codec, first, guest.unsent + guest.codec.output())
        except OSError as error:
            guest.socket.close()
            self._log.say(f"{guest.peer[0]} cannot be served: {error.strerror or error}", time.monotonic())
            return
        self._arrived.append(Received(given, guest.peer, guest.listener))
        self._on_arrived()

    def _refuse(self, guest: Guest, refused: Refused) -> None:
        now = time.monotonic()
        self._log.say(f"{guest.peer[0]} was refused: {refused}", now)
        del self._guests[guest]
        self._parting[guest] = None
        try:
            guest.part(refused.last, now)
        except OSError:
            self._drop(guest)

    def _show_out(self, now: float) -> None:
        while self._guests and (guest := next(iter(self._guests))).deadline <= now:
            why = f"its handshake was not complete within {self._handshake_s:g} s"
            self._log.say(f"{guest.peer[0]} was refused: {why}", now)
            self._drop(guest)
        while self._parting and (guest := next(iter(self._parting))).deadline <= now:
            self._drop(guest)
        self._log.settle(now)
        if self._was_crowded and not self._guests and not self._parting:
            self._was_crowded = False
            self._on_quiet()

    def _drop(self, guest: Guest) -> None:
        if guest in self._guests:
            del self._guests[guest]
        else:
            del self._parting[guest]
        self._selector.unregister(guest.socket)
        guest.socket.close()
