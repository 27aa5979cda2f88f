"""Serving a WSGI application: the reactor runs standalone, and threads lead it in turn."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType

from drawbar.exchange.exchange import Executor
from drawbar.exchange.http1 import Http1Connector
from drawbar.executors.inline import InlineExecutor
from drawbar.executors.threads import ThreadsExecutor
from drawbar.gateways.wsgi import WsgiHandler
from drawbar.net.reactor import Reactor
from drawbar.supervisor.forks import disown_in_children
from drawbar.supervisor.site import REOPEN_SIGNAL, STOP_SIGNALS, Site, attend, server_name


def serve(site: Site, ready: Callable[[], None]) -> int:
    """Serves until a stop signal and the last answer; returns the exit code."""
    config = site.config
    reactor = Reactor(config.limits.connections, config.server.temp_dir, site.report)
    threads = config.app.threads
    executor: Executor
    if threads.is_inline:
        executor = InlineExecutor()
        run = reactor.run
    else:
        executor = ThreadsExecutor(reactor, threads.minimum, threads.maximum)
        run = executor.run
    _obey_signals(site, reactor)
    disown_in_children(reactor, site.listeners)
    for listener in site.listeners:
        name = server_name(listener)
        handler = WsgiHandler(
            site.app.app,
            executor,
            root_path=config.app.root_path,
            server=name,
            multithread=not threads.is_inline,
            multiprocess=site.shared_listeners,
            stream_input=config.app.stream_input,
            error_page=site.error_page(),
        )
        listener.setblocking(False)
        attend(reactor, listener, Http1Connector(site.policy, handler, "http", name), exclusive=site.shared_listeners)
    ready()
    run()
    reactor.close()
    return 0


def _obey_signals(site: Site, reactor: Reactor) -> None:
    """Drains at the first stop signal, and follows rotated logs.

    Python runs signal handlers on the main thread, which may be inside the application. So the handler does nothing,
    and the signal's number, which C code writes for it (signal.set_wakeup_fd), reaches whichever thread leads.
    """

    def ignore(number: int, frame: FrameType | None) -> None:
        return None

    def arrived() -> None:
        # The application may have handlers of its own: their numbers come here too.
        numbers = os.read(reader, 64)
        if REOPEN_SIGNAL in numbers:
            site.reopen_logs()
        if not reactor.is_draining() and not numbers_of_stops.isdisjoint(numbers):
            reactor.drain()

    numbers_of_stops = frozenset(STOP_SIGNALS)
    reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in (*STOP_SIGNALS, REOPEN_SIGNAL):
        signal.signal(number, ignore)
    reactor.watch(reader, arrived)
    # The files were opened when loading the application began; a signal since then told nobody.
    site.reopen_logs()
