"""One attempt to be attached to a front: connect, TLS, question, answer, without waiting in any of them.

`advance()` goes as far as the socket lets it and says what came of it; `events` is what to wait for until the next
call. Nothing here reads a clock: who waits also gives up.
"""

import os
import selectors
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from drawbar.pull.handshake import Answer, Attached
from drawbar.pull.keeping import Failure, Kind

if TYPE_CHECKING:
    from drawbar.pull.tls_pump import TlsCodec

READ_BYTES: Final = 16_384
PROBES: Final = 3
"""Of the kernel, to a peer from which nothing comes."""
BUSY: Final = (11, 115)
"""EAGAIN, EINPROGRESS: connecting goes on. A Unix socket says the first when its queue is full."""


class Address(NamedTuple):
    """Where to connect to."""

    family: int
    where: Any


class Attempt:
    """Connects to the first of `addresses` that takes it.

    question: what to send. make_codec: TLS, or None for none. vanish_timeout_s: silence of the peer's kernel after
    which the connection is lost.
    """

    def __init__(
        self,
        addresses: Sequence[Address],
        question: bytes,
        answer: Answer,
        *,
        make_codec: "Callable[[], TlsCodec] | None" = None,
        vanish_timeout_s: float = 30.0,
    ) -> None:
        self._addresses = list(addresses)
        self._answer = answer
        self._unsent = question
        self._question = question
        self._make_codec = make_codec
        self._vanish_timeout_s = vanish_timeout_s
        self._step: Callable[[], Attached | Failure | None] = self._connect
        self.codec: TlsCodec | None = None
        self.socket: socket.socket | None = None
        self.events = 0
        self.was_asked = False
        """The front has the question, so it may have agreed by now."""

    def advance(self) -> Attached | Failure | None:
        """What came of it; None: wait for `events`. After a failure the socket is closed."""
        try:
            outcome: Attached | Failure | None = self._step()
        except OSError as error:
            outcome = _failure(error)
        if isinstance(outcome, Failure):
            self.close()
        return outcome

    def close(self) -> None:
        """Gives up."""
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def _wait_for(self, events: int, step: Callable[[], Attached | Failure | None]) -> None:
        self.events, self._step = events, step

    def _connect(self) -> Attached | Failure | None:
        self.close()
        address = self._addresses.pop(0)
        try:
            self.socket = socket.socket(address.family, socket.SOCK_STREAM)
            self.socket.setblocking(False)
            if address.family != socket.AF_UNIX:
                tune(self.socket, self._vanish_timeout_s)
            error = self.socket.connect_ex(address.where)
        except OSError as failed:
            # No such family on this machine, a path that is too long.
            return self._not_connected(failed)
        if error == 0:
            return self._connected()
        if error not in BUSY or address.family == socket.AF_UNIX:
            return self._not_connected(OSError(error, os.strerror(error)))
        self._wait_for(selectors.EVENT_WRITE, self._see_whether_connected)
        return None

    def _see_whether_connected(self) -> Attached | Failure | None:
        error = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return self._not_connected(OSError(error, os.strerror(error))) if error else self._connected()

    def _not_connected(self, error: OSError) -> Attached | Failure | None:
        if self._addresses:
            return self._connect()
        raise error

    def _connected(self) -> Attached | Failure | None:
        if self._make_codec is None:
            return self._ask()
        self.codec = self._make_codec()
        return self._shake_hands(first=True)

    def _shake_hands(self, *, first: bool = False) -> Attached | Failure | None:
        assert self.codec is not None
        if not first:
            data = self._receive()
            if data == b"":
                return Failure(Kind.FAILED, "it closed the connection in the TLS handshake")
            self.codec.feed(data or b"")
        done = False
        try:
            done = self.codec.shake_hands()
        finally:
            # An alert, too: the front's log shall say what is wrong.
            self._unsent = self.codec.output()
            self._send()
        if not done:
            return self._go_on_sending(self._shake_hands)
        self.codec.write(self._question)
        self._unsent += self.codec.output()
        return self._ask()

    def _ask(self) -> Attached | Failure | None:
        self.was_asked = True
        return self._go_on_sending(self._read_answer)

    def _go_on_sending(self, then: Callable[[], Attached | Failure | None]) -> Attached | Failure | None:
        """Sends what is left to send, and waits for the peer's next words."""
        self._send()
        if self._unsent:
            self._wait_for(selectors.EVENT_WRITE, lambda: self._go_on_sending(then))
        else:
            self._wait_for(selectors.EVENT_READ, then)
        return None

    def _read_answer(self) -> Attached | Failure | None:
        data = self._receive()
        if data is None:
            return None
        ended = not data
        if self.codec is not None:
            self.codec.feed(data)
            data = self.codec.read()
            ended = ended or self.codec.has_ended
        outcome = self._answer.feed(data) if data else None
        return self._answer.end() if outcome is None and ended else outcome

    @property
    def _sock(self) -> socket.socket:
        assert self.socket is not None, "it is connected or connecting"
        return self.socket

    def _send(self) -> None:
        try:
            while self._unsent:
                self._unsent = self._unsent[self._sock.send(self._unsent) :]
        except BlockingIOError:
            return

    def _receive(self) -> bytes | None:
        """What came; nothing is the end, None that there is nothing yet."""
        try:
            return self._sock.recv(READ_BYTES)
        except BlockingIOError:
            return None


def tune(sock: socket.socket, vanish_timeout_s: float) -> None:
    """Small answers go at once, and a peer that has vanished without a word is noticed (tcp(7))."""
    whole = max(3, round(vanish_timeout_s))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, max(1, whole // 2))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, whole // (2 * PROBES)))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, whole * 1000)


def _failure(error: OSError) -> Failure:
    """What an exception of sockets or of TLS means."""
    message = getattr(error, "verify_message", "")
    if message:
        return Failure(Kind.REFUSED, f"its certificate is not trusted: {message}")
    reason = getattr(error, "reason", "")
    if reason:
        return Failure(Kind.FAILED, f"TLS fails: {reason.replace('_', ' ').lower()}")
    return Failure(Kind.FAILED, f"it cannot be reached: {error.strerror or error}")
