"""A worker's connections to the fronts it works for: what to dial from the configuration, and what was dialled to the
reactor.

Each front has a dialer (`pull.dial`), a thread of its own. What it has attached comes to the reactor by a door, through
which the thread that leads takes it; the reactor then serves on it as on any other connection.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from drawbar import __version__
from drawbar.config import FrontUrl, OperatorError, WorkConfig
from drawbar.pull.attached import AttachedConnector, attach, open_door
from drawbar.pull.dial import Dialer, Errand, read_token
from drawbar.pull.keeping import Line
from drawbar.pull.waker import Waker

if TYPE_CHECKING:
    import ssl

    from drawbar.exchange.exchange import Handler
    from drawbar.exchange.policy import Policy
    from drawbar.net.reactor import Reactor
    from drawbar.pull.tls_pump import Pump

SLOTS_WITHOUT_LIMIT: Final = 100
"""Of a worker whose calls at once have no limit of their own: each is a connection to each front."""

NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9._-]+")
LONGEST_HOST: Final = 60
"""Characters of a machine's name in a worker's: the front takes no names that are longer than a line."""

MakeHandler = Callable[[tuple[str, int | None]], "Handler"]


def worker_name() -> str:
    """What a front calls this process: by it the connections of one worker are known for that."""
    host = NOT_IN_NAMES.sub("-", os.uname().nodename)[:LONGEST_HOST]
    return f"{host}:{os.getpid()}"


class Attaching:
    """All of a worker's connections to fronts.

    calls_at_once: what its executor can run; 0 is any number. tell: takes a level and a line. Raises OperatorError when
    a file that is named cannot be used.
    """

    def __init__(self, work: WorkConfig, calls_at_once: int, tell: Callable[[str, str], object]) -> None:
        self.slots = work.slots or calls_at_once or SLOTS_WITHOUT_LIMIT
        self._tell = tell
        _require_token(work)
        tls = make_context(work) if any(front.scheme == "https" for front in work.front) else None
        self._pump: Pump | None = None
        if tls is not None:
            from drawbar.pull.tls_pump import Pump

            self._pump = Pump()
        self._arrivals = Waker()
        self._dialers = [self._make_dialer(work, front, tls) for front in work.front]
        self._connectors: list[AttachedConnector] = []

    def _make_dialer(self, work: WorkConfig, front: FrontUrl, tls: ssl.SSLContext | None) -> Dialer:
        errand = Errand(
            front,
            work.app,
            work.label,
            token_file=work.token_file,
            agent=f"drawbar/{__version__}",
            dial_timeout_s=work.dial_timeout,
            vanish_timeout_s=work.vanish_timeout,
            worker=worker_name(),
            tls=tls if front.scheme == "https" else None,
        )
        return Dialer(errand, self.slots, tell=self._tell_line, on_arrived=self._arrivals.wake, pump=self._pump)

    def _tell_line(self, line: Line) -> None:
        self._tell(line.level, line.text)

    def begin(self, reactor: Reactor, policy: Policy, make_handler: MakeHandler) -> None:
        """Dials, and has `reactor` serve."""
        self._reactor = reactor
        for dialer in self._dialers:
            server = server_name(dialer.errand.front)
            self._connectors.append(AttachedConnector(policy, make_handler(server), "http", server, dialer.on_closed))
        open_door(reactor, self._arrivals.fileno(), self._take_in, self._stop)
        if self._pump is not None:
            self._pump.start()
        for dialer in self._dialers:
            dialer.start()

    def _take_in(self) -> None:
        """On the leading thread: something has arrived."""
        self._arrivals.clear()
        for dialer, connector in zip(self._dialers, self._connectors, strict=True):
            while (arrived := dialer.fetch()) is not None:
                descriptor = arrived.socket.detach()
                try:
                    attach(self._reactor, descriptor, connector, arrived.releases, arrived.first)
                except OSError as error:
                    if error.errno != errno.ENOTCONN:
                        raise
                    # It broke on its way here.
                    os.close(descriptor)
                    dialer.on_closed(0, 0)

    def pause(self, *, paused: bool) -> None:
        """Takes no more requests, or takes them again. On the leading thread."""
        for dialer, connector in zip(self._dialers, self._connectors, strict=True):
            dialer.pause(paused=paused)
            connector.leave(self._reactor, paused)

    def _stop(self) -> None:
        """The reactor drains: it ends the connections there are."""
        for dialer in self._dialers:
            dialer.stop()

    def close(self) -> None:
        """Ends the threads, after the reactor has been closed."""
        self._stop()
        for dialer in self._dialers:
            dialer.close()
        if self._pump is not None:
            self._pump.stop()
        self._arrivals.close()

    def abandon(self) -> None:
        """In a child the application forked, which has none of the threads: closes the copies."""
        for dialer in self._dialers:
            dialer.abandon()
        if self._pump is not None:
            self._pump.abandon()
        self._arrivals.close()


def server_name(front: FrontUrl) -> tuple[str, int | None]:
    """What an application is told it is when the request says nothing better."""
    return (front.host, None if front.scheme == "unix" else front.port)


def make_context(work: WorkConfig) -> ssl.SSLContext:
    """TLS as the configuration has it; the front is always verified. Raises OperatorError."""
    import ssl  # only who has a front with TLS needs these

    from drawbar.supervisor import pem

    try:
        context = ssl.create_default_context(cafile=work.ca_file)
    except OSError as error:
        raise pem.why_not_authorities(pem.Named("--from-ca", work.ca_file), error) from error
    if work.cert_file is not None:
        pem.load_pair(context, pem.Named("--from-cert", work.cert_file), pem.Named("--from-key", work.key_file))
    return context


def _require_token(work: WorkConfig) -> None:
    if work.token_file is not None:
        try:
            read_token(work.token_file)
        except (OSError, ValueError) as error:
            raise _unusable("--token-file", work.token_file, error) from error


def _unusable(option: str, path: str | None, error: Exception) -> OperatorError:
    why = getattr(error, "strerror", None) or getattr(error, "reason", None) or str(error)
    right = "name a file that the workers' user can read"
    return OperatorError(f"{path} cannot be used: {why}", where=option, right=right)
