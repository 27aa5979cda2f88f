"""Serving a WSGI application, whatever calls it: in place, threads, greenlets or a process for each request.

What the models share stands here, what is a model's own in `Calls`. All but greenlets run the reactor standalone.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

from drawbar.config import ThreadRange
from drawbar.exchange.exchange import Executor
from drawbar.executors.inline import InlineExecutor
from drawbar.executors.threads import ThreadsExecutor
from drawbar.gateways.wsgi import WsgiHandler
from drawbar.net.reactor import Reactor
from drawbar.supervisor.worker.concurrency import calls_at_once, model_of, thread_range
from drawbar.supervisor.worker.ear import obey_signals
from drawbar.supervisor.worker.forks import disown_in_children
from drawbar.supervisor.worker.request_timeout import watch_requests
from drawbar.supervisor.worker.site import ServerName, Site


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
    ignore_signals = obey_signals(site, reactor, heard, told)
    disown_in_children(reactor, site.listeners, site.abandon)

    def make_handler(server: ServerName) -> WsgiHandler:
        return WsgiHandler(
            site.app.app,
            calls.executor,
            root_path=config.app.root_path,
            server=server,
            multithread=calls.multithread,
            multiprocess=calls.apart or site.shared_listeners,
            run_once=calls.apart,
            stream_input=config.app.stream_input,
            buffers=calls.apart,
            error_page=site.error_page(),
        )

    site.attend_all(reactor, make_handler)
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
    site.close(reactor)
    ignore_signals()
    return 0


def _is_never_busy() -> bool:
    """Whoever leads and asks is in no call."""
    return False
