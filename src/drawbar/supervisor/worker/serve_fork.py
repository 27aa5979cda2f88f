"""Serving a WSGI application in a process for each request: forked from the worker, and gone when its call is over.

What a call does to memory, to its process or to the modules of the application ends with it. What such a process is to
the outside stands here: it dies with its worker, is deaf to what is meant for servers (a terminal's Ctrl-C and a
service manager reach all processes at once, and a worker that drains waits for this one), and shows what it is.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from drawbar.exchange.refusals import request_line
from drawbar.executors.fork import ForkExecutor
from drawbar.net.reactor import Reactor
from drawbar.supervisor.exits import describe_exit
from drawbar.supervisor.host.oom import OomCount
from drawbar.supervisor.host.title import set_title
from drawbar.supervisor.process import die_with_parent
from drawbar.supervisor.worker.concurrency import calls_at_once
from drawbar.supervisor.worker.forks import fork_deaf
from drawbar.supervisor.worker.live_threads import other_threads
from drawbar.supervisor.worker.site import Site
from drawbar.supervisor.worker.stacks import RAW_STACKS_SIGNAL

EXIT_BROKEN = 1


def make_executor(site: Site, reactor: Reactor, private: Sequence[int]) -> ForkExecutor:
    """Forks for each call, as many at once as the operator allows; `private` are descriptors of the worker alone."""
    config = site.config
    worker = os.getpid()
    timeout = config.timeouts.request
    oom = OomCount()
    threads = other_threads()
    if threads:
        site.log.warning(
            f"the application started threads while it was imported ({', '.join(threads)}): processes of requests do "
            "not have them, and a lock that one of them holds at that moment is never released there"
        )

    def fork() -> int:
        pid = fork_deaf()
        if pid == 0:
            _settle(site, worker, private)
        return pid

    def late(exchange: Any, pid: int) -> None:
        line = f"{request_line(exchange)}: no answer within {timeout:g} s; its process ({pid}) is killed"
        site.log.write("error", line, exchange.log_files)
        if site.stacks is not None:
            # Its handler is the worker's, which a child inherits.
            os.kill(pid, RAW_STACKS_SIGNAL)

    return ForkExecutor(
        reactor,
        calls_at_once(config.app, "fork"),
        fork=fork,
        describe=lambda status, by_us: describe_exit(status, by_us=by_us, out_of_memory=oom.has_risen()),
        on_short=lambda error: site.log.error(
            f"cannot start a process for a request ({error.strerror}): "
            "requests wait until one that runs has ended, or get 503"
        ),
        timeout=timeout,
        on_late=late,
    )


def _settle(site: Site, worker: int, private: Sequence[int]) -> None:
    """The first steps of a child. What it cannot do without ends it: its client is told by the parent."""
    try:
        die_with_parent()
        if os.getppid() != worker:
            os._exit(EXIT_BROKEN)
        for descriptor in private:
            if descriptor >= 0:
                os.close(descriptor)
        if site.stacks is not None:
            site.stacks.leave_to_worker()
        set_title("drawbar: request", "drawbar-request")
    except BaseException as error:
        site.report(error)
        os._exit(EXIT_BROKEN)
