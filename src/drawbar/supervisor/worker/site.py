"""What a worker serves, and how it may behave: the configuration as the lower floors want it.

Pure translation, done once at start. The loops that serve (`serve_wsgi`, `serve_asgi`) take a Site and ask nobody else.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Container, Sequence
from typing import Any, NamedTuple

from drawbar.config import Config
from drawbar.exchange.exchange import Handler
from drawbar.exchange.forwarded import Proxies
from drawbar.exchange.http1 import Http1Connector
from drawbar.exchange.log_files import LogFiles
from drawbar.exchange.policy import Policy
from drawbar.exchange.proxied import ProxiedConnector
from drawbar.exchange.refusals import app_error_line, refusal_line
from drawbar.gateways.target import LoadedApp
from drawbar.net.listener import Connector, adopt, listen
from drawbar.net.reactor import Reactor
from drawbar.supervisor.logs import Log
from drawbar.supervisor.worker.out_of_band import OutOfBand
from drawbar.supervisor.worker.promotion import PROMOTE_SIGNAL, Promotion
from drawbar.supervisor.worker.stacks import Stacks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from drawbar.exchange.access_log import AccessLog
    from drawbar.net.scoreboard import Cell
    from drawbar.supervisor.worker.attaching import Attaching

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)
REOPEN_SIGNAL = signal.SIGUSR1
PAUSE_SIGNAL = signal.SIGTTOU
"""Accept no connections: fewer."""
RESUME_SIGNAL = signal.SIGTTIN
"""Accept again: more."""
WORKER_SIGNALS = (*STOP_SIGNALS, REOPEN_SIGNAL, PAUSE_SIGNAL, RESUME_SIGNAL)
"""Those every worker obeys."""

ServerName = tuple[str, int | None]

FIELDS_OF_A_FRONT = (
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
)
"""What a front says of the client, each time anew: it passes none of these on as a client wrote them."""


class Site(NamedTuple):
    """All a serving loop needs: what to serve, where, and how it may behave."""

    config: Config
    app: LoadedApp
    listeners: Sequence[socket.socket]
    policy: Policy
    log: Log
    access_log: AccessLog | None
    promotion: Promotion | None = None
    """Where to note that this worker is to become the fork server; None when it never will."""
    out_of_band: OutOfBand | None = None
    cell: Cell | None = None
    """This worker's place on the scoreboard; None: nobody reads what is counted."""
    stacks: Stacks | None = None
    """What answers those who ask where the worker is; None in a process that nobody can ask."""
    report_fd: int = -1
    """Where the master hears what must be said without the interpreter's lock."""
    attaching: Attaching | None = None
    """The worker's connections to fronts, where it has no listeners."""

    @property
    def signals(self) -> tuple[signal.Signals, ...]:
        """Those a worker obeys."""
        return (*WORKER_SIGNALS, *([PROMOTE_SIGNAL] if self.promotion is not None else []))

    @property
    def stops(self) -> tuple[signal.Signals, ...]:
        """Those that end it."""
        if self.attaching is not None and self.config.server.split:
            # A terminal's Ctrl-C goes to all processes, and the front has requests for this one still. The master says
            # when it has none.
            return tuple(number for number in STOP_SIGNALS if number is not signal.SIGINT)
        return STOP_SIGNALS

    def make_reactor(self) -> Reactor:
        """The worker's reactor, which counts in the worker's cell."""
        reactor = Reactor(self.config.limits.connections, self.config.server.temp_dir, self.report)
        if self.cell is not None:
            reactor.set_cell(self.cell)
        return reactor

    def hear(self, numbers: Container[int], reactor: Reactor) -> bool:
        """Signals have come, by their numbers: sees to what they ask, and returns whether the worker is to drain."""
        if REOPEN_SIGNAL in numbers:
            self.reopen_logs()
        if PAUSE_SIGNAL in numbers:
            self.pause(reactor, paused=True)
        if RESUME_SIGNAL in numbers:
            self.pause(reactor, paused=False)
        stop = any(number in numbers for number in self.stops)
        if self.promotion is None:
            return stop
        return self.promotion.hear(promote=PROMOTE_SIGNAL in numbers, stop=stop)

    def pause(self, reactor: Reactor, *, paused: bool) -> None:
        """Takes no more requests from new connections, or takes them again."""
        if paused:
            reactor.pause()
        else:
            reactor.resume()
        if self.attaching is not None:
            self.attaching.pause(paused=paused)

    def attend_all(self, reactor: Reactor, make_handler: Callable[[ServerName], Handler]) -> None:
        """Serves all there is to serve. make_handler: of the name by which the app is told where it is."""
        for listener in self.listeners:
            self.attend(reactor, listener, make_handler(server_name(listener)))
        if self.attaching is not None:
            self.attaching.begin(reactor, self.policy, make_handler)

    def abandon(self) -> None:
        """In a child that the application forked: lets go of what neither listens nor is the reactor's."""
        if self.attaching is not None:
            self.attaching.abandon()

    def close(self, reactor: Reactor) -> None:
        """Ends all connections."""
        reactor.close()
        if self.attaching is not None:
            self.attaching.close()

    @property
    def shared_listeners(self) -> bool:
        """Other processes accept from the same sockets, or serve other connections (inetd)."""
        return self.config.process.inetd or self.config.server.worker_count(len(os.sched_getaffinity(0))) > 1

    def attend(self, reactor: Reactor, listener: socket.socket, handler: Handler) -> None:
        """Accepts connections of a listening socket; a connected one is the connection, and all there is to serve."""
        site = Http1Connector(self.policy, handler, "http", server_name(listener))
        connector: Connector = ProxiedConnector(site) if self.config.proxy.protocol else site
        listener.setblocking(False)
        if listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            listen(reactor, listener, connector, exclusive=self.shared_listeners and not self._is_own(listener))
        else:
            adopt(reactor, listener.detach(), connector)

    def _is_own(self, listener: socket.socket) -> bool:
        """No other worker accepts from it: each has a socket, over which the kernel spreads connections."""
        return self.config.listen.reuseport and bool(listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT))

    def error_page(self) -> Callable[[BaseException, Any], bytes] | None:
        """The page that shows an exception, for development only."""
        if not self.config.app.debug:
            return None
        from drawbar.gateways.error_page import render

        return render

    def report(self, error: BaseException) -> None:
        """An exception that belongs to no request."""
        self.log.error(f"{type(error).__name__}: {error}")
        if not isinstance(error, OSError):
            self.log.traceback("error", error)

    def reopen_logs(self) -> None:
        """Follows the logs' names to new files after a rotation. Requests that run keep the files they began with."""
        try:
            self.log.reopen()
        except OSError as error:
            self.log.error(f"cannot reopen {error.filename}: {error.strerror}; the old file is kept")
        if self.access_log is not None:
            self.access_log.reopen()
        self.policy.log_files = log_files(self.log, self.access_log)
        if self.stacks is not None:
            self.stacks.follow()


def log_files(log: Log, access_log: AccessLog | None) -> LogFiles | None:
    """What requests that begin now write their lines to; None when it is the standard streams in any case."""
    access = access_log.file if access_log is not None else None
    if not log.is_file() and (access_log is None or access_log.is_standard()):
        return None
    return LogFiles(access, log.file)


def make_policy(
    config: Config,
    log: Log,
    access_log: AccessLog | None,
    on_finished: Sequence[Callable[[Any], object]] = (),
) -> Policy:
    """The configuration's limits and timeouts as the exchange wants them.

    on_finished: called with each exchange that has ended, after its line has been logged.
    """
    limits, timeouts = config.limits, config.timeouts

    def on_refused(
        peer: tuple[str, int] | None, status: int, why: str, offending: bytes, files: LogFiles | None
    ) -> None:
        log.write("info", refusal_line(peer, status, why, offending), files)

    def on_app_error(exchange: Any, error: BaseException) -> None:
        log.write("error", app_error_line(exchange, error), exchange.log_files)
        log.traceback("error", error, exchange.log_files)

    policy = Policy(
        head_bytes=limits.head_bytes,
        target_bytes=limits.target_bytes,
        fields=limits.fields,
        body_bytes=limits.body_bytes,
        extension_bytes=limits.chunk_extension_bytes,
        trailer_bytes=limits.trailer_bytes,
        body_memory_bytes=limits.body_memory_bytes,
        output_high_bytes=limits.output_high_bytes,
        output_low_bytes=limits.output_low_bytes,
        response_spill_bytes=limits.response_spill_bytes,
        keepalive_requests=keepalive_requests(config),
        head_timeout=timeouts.head,
        keepalive_timeout=timeouts.keepalive,
        body_timeout=timeouts.body,
        send_timeout=timeouts.send,
        linger_timeout=timeouts.linger,
        temp_dir=config.server.temp_dir,
        server_header=config.server.server_header,
        # A worker's times are the front's to tell.
        server_timing=config.server.server_timing and not config.work.front,
        proxies=make_proxies(config),
        on_complete=in_turn([access_log.write, *on_finished] if access_log is not None else on_finished),
        on_refused=on_refused,
        on_app_error=on_app_error,
    )
    policy.log_files = log_files(log, access_log)
    return policy


def in_turn(functions: Sequence[Callable[[Any], object]]) -> Callable[[Any], object] | None:
    """One function that calls them all; None for none, so that nobody calls it."""
    if len(functions) < 2:
        return functions[0] if functions else None

    def call_all(exchange: Any) -> None:
        for function in functions:
            function(exchange)

    return call_all


def make_proxies(config: Config) -> Proxies | None:
    """Whose forwarding fields are believed; None when nobody's are."""
    trusted = config.proxy.trusted
    if not trusted and not config.work.front:
        return None
    fields = FIELDS_OF_A_FRONT if config.work.front else config.proxy.headers
    return Proxies(lambda address: any(network.contains(address) for network in trusted), fields)


def keepalive_requests(config: Config) -> int:
    """Requests of one connection; 0 is no limit. A keep-alive of no seconds is one request a connection."""
    if config.work.front:
        # The front's connections are the worker's own.
        return 0
    return config.limits.keepalive_requests if config.timeouts.keepalive else 1


def server_name(listener: socket.socket) -> ServerName:
    """What the app is told it is: (host, port), or (path, None) for a Unix socket."""
    name = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return (name.decode(errors="surrogateescape") if isinstance(name, bytes) else name, None)
    return (name[0], name[1])
