"""The control process: a small HTTP server of our own parts, from the first connection until none has come for long.

It answers with threads, not inline: a command may be answered late, and probes must not wait behind it. The thread
that leads also reads the line to the master. The process ends when the master closes the line, on a stop signal, and
when for IDLE_S nobody was connected; the connections that wait at that moment are still answered.
"""

import os
import signal
import time
from types import FrameType
from typing import Any

from drawbar.exchange.http1 import Http1Connector
from drawbar.exchange.policy import Policy
from drawbar.executors.threads import ThreadsExecutor
from drawbar.gateways.wsgi import WsgiHandler
from drawbar.net.listener import listen
from drawbar.net.reactor import Reactor
from drawbar.supervisor.child import READY, Report
from drawbar.supervisor.control.api import Api
from drawbar.supervisor.control.doors import Doors
from drawbar.supervisor.control.line import Line
from drawbar.supervisor.control.state import State
from drawbar.supervisor.logs import Log

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

IDLE_S = 60.0
"""Longer than collectors wait between two visits, mostly: Prometheus comes every 15 s by default."""
CONNECTIONS = 256
"""Open at a time; more wait in the listen queue."""
THREADS = 16
"""Answers in progress."""
WAITERS = 12
"""Of these, commands that are waited for until the workers are replaced, which may take long: past it 503. The others
answer probes and whoever asks how it goes."""
KEEPALIVE_S = 75.0
HEAD_S = 10.0
BODY_BYTES = 64 * 1024
"""The longest command is a few dozen bytes. Past it: 413."""

STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)


def serve(doors: Doors, channel: "socket.socket", scoreboard: Any, log: Log, report: Report) -> int:
    """Serves until told to end or idle; returns the exit code."""
    reactor = Reactor(CONNECTIONS, None, lambda error: _tell(log, error))
    executor = ThreadsExecutor(reactor, 1, THREADS)
    line = Line(channel)
    _stop_on_signals(reactor)
    reactor.watch(line.fileno(), lambda: _read(line, reactor))
    state = State(line, scoreboard)
    policy = make_policy(log)
    apps = {public: Api(state, log, public=public, waiters=WAITERS) for public in (False, True)}
    for door in doors.awake():
        handler = WsgiHandler(apps[door.public], executor, multithread=True)
        listen(reactor, door.socket, Http1Connector(policy, handler), exclusive=False)
    idle = Idle(reactor, IDLE_S)
    report(READY)
    idle.start()
    executor.run()
    reactor.close()
    return 0


def make_policy(log: Log) -> Policy:
    """Limits for callers that are trusted, and may be slow or broken all the same."""

    def on_app_error(exchange: Any, error: BaseException) -> None:
        log.error(f"control: {exchange.method} {exchange.target}: {type(error).__name__}: {error}")
        log.traceback("error", error)

    return Policy(
        body_bytes=BODY_BYTES,
        head_timeout=HEAD_S,
        body_timeout=HEAD_S,
        keepalive_timeout=KEEPALIVE_S,
        on_app_error=on_app_error,
    )


class Idle:
    """Stops the process once nobody has been connected for `idle_s`.

    A thread that sleeps nearly all the time: the reactor's timers belong to connections, and there are none.
    """

    LOOKS = 4
    """Looks within that time: so much sooner or later than said the end may come."""

    def __init__(self, reactor: Reactor, idle_s: float) -> None:
        self._reactor = reactor
        self._idle_s = idle_s

    def start(self) -> None:
        import threading

        threading.Thread(target=self._watch, name="drawbar-idle", daemon=True).start()

    def _watch(self) -> None:
        quiet = 0
        while quiet < self.LOOKS:
            time.sleep(self._idle_s / self.LOOKS)
            quiet = 0 if self._reactor.connections else quiet + 1
        # The way any stop takes: through the signal's byte to the thread that leads.
        os.kill(os.getpid(), signal.SIGTERM)


def _read(line: Line, reactor: Reactor) -> None:
    line.read()
    if line.is_cut and not reactor.is_draining():
        reactor.drain()


def _stop_on_signals(reactor: Reactor) -> None:
    def ignore(number: int, frame: FrameType | None) -> None:
        """The byte that C code writes for it is what stops the process."""

    def arrived() -> None:
        os.read(reader, 64)
        if not reactor.is_draining():
            reactor.drain()

    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    for number in STOPPING:
        signal.signal(number, ignore)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    reactor.watch(reader, arrived)


def _tell(log: Log, error: BaseException) -> None:
    log.error(f"control: {type(error).__name__}: {error}")
    if not isinstance(error, OSError):
        log.traceback("error", error)
