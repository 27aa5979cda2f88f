"""A worker's connections to one front: a thread that dials them, and whatever ends dials again.

`keeping` decides, `attempt` connects; here they meet sockets, the clock and the log. What was attached is fetched by
the thread that leads the reactor (`fetch`), which says when one has ended (`on_closed`). Nobody waits for this thread,
which may be held up by a name server.

A connection the front has agreed to and nobody will serve any more is given back in so many words: the front may have
put a request on it.
"""

import os
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from drawbar.config import FrontUrl
from drawbar.pull.attempt import Address, Attempt
from drawbar.pull.handshake import RELEASED, Answer, Attached, attach_request
from drawbar.pull.keeping import Failure, Keeper, Kind, Line
from drawbar.pull.waker import Waker

if TYPE_CHECKING:
    import ssl

    from drawbar.pull.tls_pump import Pump

FAREWELL_S: Final = 1.0
"""For the front's answer to questions that were asked when the worker was told to stop."""
TOKEN_BYTES: Final = 4096


class Errand(NamedTuple):
    """Whom to dial, and as whom."""

    front: FrontUrl
    app: str
    label: str | None = None
    token_file: str | None = None
    agent: str = "drawbar"
    worker: str = ""
    """Its name in the front's reports; empty: its address."""
    dial_timeout_s: float = 10.0
    vanish_timeout_s: float = 30.0
    tls: "ssl.SSLContext | None" = None

    @property
    def as_whom(self) -> str:
        """In words."""
        return f" as {self.app}" + (f" {self.label}" if self.label else "")


class Arrived(NamedTuple):
    """A connection to serve on. first: what came behind the front's answer."""

    socket: socket.socket
    releases: bool
    first: bytes

    def give_back(self) -> None:
        """Closes it; a request that is on its way there was not begun."""
        try:
            if self.releases:
                self.socket.send(RELEASED)
                self.socket.shutdown(socket.SHUT_WR)
        except OSError:
            # It is closed below in any case, and the front has noticed that something is wrong.
            pass
        finally:
            self.socket.close()


def read_token(path: str) -> str:
    """The token in a file. Raises OSError when it cannot be read, ValueError when there is none in it."""
    with open(path, "rb") as stream:
        text = stream.read(TOKEN_BYTES).decode("ascii", "replace").strip()
    if not text or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("it holds no token: one line of visible characters")
    return text


def addresses_of(front: FrontUrl) -> list[Address]:
    """Where a front is at this moment. Waits for the name server. Raises OSError."""
    if front.scheme == "unix":
        return [Address(socket.AF_UNIX, front.host)]
    found = socket.getaddrinfo(front.host, front.port, type=socket.SOCK_STREAM)
    return [Address(family, where) for family, _, _, _, where in found]


class Dialer:
    """Keeps connections to one front.

    tell: takes lines for the log. on_arrived: called, on the dialer's thread, when there is something to fetch.
    pump: for a front with TLS.
    """

    def __init__(
        self,
        errand: Errand,
        slots: int,
        *,
        tell: Callable[[Line], object],
        on_arrived: Callable[[], object],
        pump: "Pump | None" = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.errand = errand
        self._keeper = Keeper(str(errand.front), slots, errand.as_whom)
        self._tell = tell
        self._on_arrived = on_arrived
        self._pump = pump
        self._clock = clock
        self._selector = selectors.DefaultSelector()
        self._waker = Waker()
        self._selector.register(self._waker, selectors.EVENT_READ)
        self._attempts: dict[Attempt, float] = {}
        """With the time at which each is given up."""
        self._arrived: deque[Arrived] = deque()
        self._closed: deque[tuple[int, int]] = deque()
        self._is_stopped = self._is_paused = False
        self._thread = threading.Thread(target=self._run, name="drawbar-dialer", daemon=True)

    # From any thread.

    def start(self) -> None:
        """Begins to dial."""
        self._thread.start()

    def fetch(self) -> Arrived | None:
        """The next connection that was attached, which is the caller's from now on."""
        return self._arrived.popleft() if self._arrived else None

    def on_closed(self, requests: int, lived_ms: int) -> None:
        """A connection that was fetched has ended, so many milliseconds after it began, and its call with it."""
        self._closed.append((requests, lived_ms))
        self._waker.wake()

    def pause(self, *, paused: bool) -> None:
        """Dials no more, or again."""
        self._is_paused = paused
        self._waker.wake()

    def stop(self) -> None:
        """Dials no more, for good. Does not wait; close() does."""
        self._is_stopped = True
        self._waker.wake()

    def close(self) -> None:
        """Ends the thread."""
        self.stop()
        if self._thread.ident is not None:
            self._thread.join(FAREWELL_S + self.errand.dial_timeout_s)
        while (arrived := self.fetch()) is not None:
            arrived.give_back()
        self._waker.close()

    def abandon(self) -> None:
        """In a forked child, which has no such thread: closes its copies."""
        for attempt in [*self._attempts]:
            attempt.close()
        while (arrived := self.fetch()) is not None:
            arrived.socket.close()
        self._selector.close()
        self._waker.close()

    # On the dialer's thread.

    def _run(self) -> None:
        while not self._is_stopped:
            self._hear()
            self._begin()
            self._wait(self._keeper.wake_at())
        self._take_leave()
        self._selector.close()

    def _take_leave(self) -> None:
        """Whom a question was asked may have agreed."""
        until = self._clock() + FAREWELL_S
        for attempt in [*self._attempts]:
            if not attempt.was_asked:
                self._end(attempt)
        while self._attempts and self._clock() < until:
            self._wait(until)
        for attempt in [*self._attempts]:
            self._end(attempt)

    def _hear(self) -> None:
        """What others have said since."""
        self._keeper.paused = self._is_paused
        while self._closed:
            requests, lived_ms = self._closed.popleft()
            self._say(self._keeper.on_closed(requests, lived_ms, self._clock()))

    def _begin(self) -> None:
        """Begins the attempts that are due, all to where the front is now."""
        count = self._keeper.due(self._clock())
        if not count:
            return
        errand = self.errand
        self._keeper.on_begun(count)
        try:
            token = None if errand.token_file is None else read_token(errand.token_file)
            addresses = addresses_of(errand.front)
        except (OSError, ValueError) as error:
            failure = _unprepared(errand, error)
            for _ in range(count):
                self._say(self._keeper.on_failed(failure, self._clock()))
            return
        question = attach_request(errand.front.authority, errand.app, errand.label, token, errand.agent, errand.worker)
        for _ in range(count):
            self._dial(addresses, question)

    def _dial(self, addresses: list[Address], question: bytes) -> None:
        errand = self.errand
        make_codec = None
        if errand.tls is not None:
            from drawbar.pull.tls_pump import TlsCodec

            context = errand.tls
            make_codec = lambda: TlsCodec(context, errand.front.host)  # noqa: E731 - it goes with its context
        attempt = Attempt(
            addresses,
            question,
            Answer(errand.app),
            make_codec=make_codec,
            vanish_timeout_s=errand.vanish_timeout_s,
        )
        self._attempts[attempt] = self._clock() + errand.dial_timeout_s
        self._advance(attempt)

    def _wait(self, until: float) -> None:
        """Until something can be done, or that time."""
        due = min([until, *self._attempts.values()])
        patience = None if due == float("inf") else max(0.0, due - self._clock())
        for key, _ in self._selector.select(patience):
            if key.data is None:
                self._waker.clear()
            else:
                self._unwatch(key.data)
                self._advance(key.data)
        now = self._clock()
        for attempt in [attempt for attempt, deadline in self._attempts.items() if deadline <= now]:
            self._unwatch(attempt)
            self._end(attempt)
            why = "it does not answer" if attempt.was_asked else "it cannot be reached"
            failure = Failure(Kind.FAILED, f"{why} within {self.errand.dial_timeout_s:g} s")
            self._say(self._keeper.on_failed(failure, now))

    def _advance(self, attempt: Attempt) -> None:
        """Goes on with an attempt whose socket is not watched."""
        outcome = attempt.advance()
        if outcome is None:
            assert attempt.socket is not None, "an attempt that waits has a socket"
            self._selector.register(attempt.socket, attempt.events, attempt)
            return
        del self._attempts[attempt]
        if isinstance(outcome, Failure):
            self._say(self._keeper.on_failed(outcome, self._clock()))
        else:
            self._take(attempt, outcome)

    def _take(self, attempt: Attempt, outcome: Attached) -> None:
        sock, codec = attempt.socket, attempt.codec
        assert sock is not None, "an attempt that succeeded has a socket"
        self._say(self._keeper.on_attached())
        if codec is not None:
            assert self._pump is not None, "where there is TLS there is a pump"
            arrived = Arrived(self._pump.add(sock, codec, outcome.rest), outcome.releases, b"")
        else:
            arrived = Arrived(sock, outcome.releases, outcome.rest)
        if self._is_stopped:
            arrived.give_back()
            return
        self._arrived.append(arrived)
        self._on_arrived()

    def _unwatch(self, attempt: Attempt) -> None:
        if attempt.socket is not None and attempt.socket in self._selector.get_map():
            self._selector.unregister(attempt.socket)

    def _end(self, attempt: Attempt) -> None:
        self._unwatch(attempt)
        del self._attempts[attempt]
        attempt.close()

    def _say(self, line: Line | None) -> None:
        if line is not None and not self._is_stopped:
            self._tell(line)


def _unprepared(errand: Errand, error: OSError | ValueError) -> Failure:
    """Why there could not even be an attempt."""
    what = os.strerror(error.errno) if isinstance(error, OSError) and error.errno and error.errno > 0 else str(error)
    if isinstance(error, socket.gaierror):
        return Failure(Kind.FAILED, f"its name cannot be looked up: {error.strerror}")
    return Failure(Kind.REFUSED, f"the token in {errand.token_file} cannot be used: {what}")
