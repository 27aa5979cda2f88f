"""Serving a WSGI application, whatever calls it: in place, threads, greenlets or a process for each request.

What the models share stands here, what is a model's own in `Calls`. All but greenlets run the reactor standalone.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from types import FrameType
from typing import NamedTuple

from drawbar.config import ThreadRange
from drawbar.exchange.exchange import Executor
from drawbar.executors.inline import InlineExecutor
from drawbar.executors.threads import ThreadsExecutor
from drawbar.gateways.wsgi import WsgiHandler
from drawbar.net.reactor import Reactor
from drawbar.supervisor.worker.concurrency import calls_at_once, model_of, thread_range
from drawbar.supervisor.worker.forks import disown_in_children
from drawbar.supervisor.worker.request_timeout import watch_requests
from drawbar.supervisor.worker.site import Site, server_name


class Calls(NamedTuple):
    """A concurrency model at work: who makes the calls, and the loop that runs until the last of them has ended.

    is_busy: whether calls run or wait. multithread: as the PEP defines. apart: each call has a process of its own.
    """

    executor: Executor
    run: Callable[[], None]
    is_busy: Callable[[], bool]
    multithread: bool = False
    apart: bool = False


def make_calls(site: Site, reactor: Reactor, private: Sequence[int] = ()) -> Calls:
    """The model the operator asked for. What only some servers need is imported by them.

    private: descriptors of the worker that a process in which a call is made must not have.
    """
    model = model_of(site.config.app, "wsgi")
    timed = site.config.timeouts.request > 0
    if model == "threads" or (model == "inline" and timed):
        # A call that may hang needs a thread beside it that leads, and a main thread that can end the process.
        threads = thread_range(site.config.app) if model == "threads" else ThreadRange(1, 1)
        executor = ThreadsExecutor(reactor, threads.minimum, threads.maximum, spares_caller=timed)
        return Calls(
            executor,
            executor.run,
            lambda: executor.running + executor.waiting > 0,
            multithread=model == "threads",
        )
    if model == "greenlets":
        from drawbar.supervisor.worker.serve_greenlets import Hub

        hub = Hub(reactor, calls_at_once(site.config.app, model), site.config.timeouts.liveness)
        # They share one thread, and yet a call may begin before another has ended.
        return Calls(hub.executor, hub.run, hub.is_busy, multithread=True)
    if model == "fork":
        from drawbar.supervisor.worker.serve_fork import make_executor

        forks = make_executor(site, reactor, private)
        return Calls(forks, forks.run, lambda: bool(forks.running or forks.waiting), apart=True)
    return Calls(InlineExecutor(), reactor.run, _is_never_busy)


def serve(site: Site, ready: Callable[[], None]) -> int:
    """Serves until a stop signal and the last answer; returns the exit code."""
    config = site.config
    reactor = site.make_reactor()
    heard, told = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    calls = make_calls(site, reactor, (heard, told, site.report_fd))
    ignore_signals = _obey_signals(site, reactor, heard, told)
    disown_in_children(reactor, site.listeners)
    for listener in site.listeners:
        handler = WsgiHandler(
            site.app.app,
            calls.executor,
            root_path=config.app.root_path,
            server=server_name(listener),
            multithread=calls.multithread,
            multiprocess=calls.apart or site.shared_listeners,
            run_once=calls.apart,
            stream_input=config.app.stream_input,
            buffers=calls.apart,
            error_page=site.error_page(),
        )
        site.attend(reactor, listener, handler)
    if site.out_of_band is not None:
        site.out_of_band.attach(reactor, calls.is_busy)
    if site.stacks is not None:
        site.stacks.attach(reactor)
    # Where every call is a process of its own nothing hangs here, and the executor ends those that do.
    sentinel = None if calls.apart else watch_requests(site, reactor)
    ready()
    calls.run()
    if sentinel is not None:
        sentinel.stop()
    reactor.close()
    ignore_signals()
    return 0


def _is_never_busy() -> bool:
    """Whoever leads and asks is in no call."""
    return False


def _obey_signals(site: Site, reactor: Reactor, reader: int, writer: int) -> Callable[[], None]:
    """Drains at the first stop signal, and follows rotated logs. Calling what it returns ends that.

    reader, writer: the ends of a pipe that neither blocks nor is inherited, closed in the end.

    Python runs signal handlers on the main thread, which may be inside the application. So the handler does nothing,
    and the signal's number, which C code writes for it (signal.set_wakeup_fd), reaches whichever thread leads.
    """

    def ignore(number: int, frame: FrameType | None) -> None:
        return None

    def arrived() -> None:
        # The application may have handlers of its own: their numbers come here too.
        if site.hear(os.read(reader, 64), reactor) and not reactor.is_draining():
            reactor.drain()

    def cease() -> None:
        signal.set_wakeup_fd(-1)
        os.close(reader)
        os.close(writer)

    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in site.signals:
        signal.signal(number, ignore)
        # What C code of an application waits in goes on waiting.
        signal.siginterrupt(number, False)
    reactor.watch(reader, arrived)
    # The files were opened when loading the application began; a signal since then told nobody.
    site.reopen_logs()
    return cease
