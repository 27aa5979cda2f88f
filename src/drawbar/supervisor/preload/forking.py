"""What runs in a fork server: it loads the application once, then forks a worker for each order of the master.

The process moves in a circle: fork server, and in each child that it forks worker, and if that worker is promoted fork
server again. It is a loop and no recursion: however often a server forks anew, its stack is as deep as the first time.

A fork server serves nothing: it holds no listener and no connection, and has one thread when it forks. Its pipe for
reports and its socket for orders are its own: a child closes its copies before it does anything else.

Functions registered with atexit run in each worker when it ends. In the fork server they do not: what they tidy up is
still in use by its workers.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
from collections.abc import Callable
from typing import NamedTuple, NoReturn

from drawbar.config import Config, OperatorError
from drawbar.gateways.target import LoadedApp
from drawbar.hooks import ForkServer
from drawbar.supervisor.child import EXIT_BROKEN, READY, Reporter, Role, attempt, in_one_line, say_goodbye
from drawbar.supervisor.hooks import FORK_SERVER_HOOKS, Hooks
from drawbar.supervisor.host.title import set_title
from drawbar.supervisor.logs import Log
from drawbar.supervisor.preload.fork_orders import (
    FORKING,
    GO,
    NOT_FORKING,
    TITLE,
    CellOf,
    Order,
    Reply,
    receive_order,
    send_reply,
)
from drawbar.supervisor.preload.grandchild import fork_grandchild
from drawbar.supervisor.process import end_with_parent, give_back_memory
from drawbar.supervisor.signals import REQUESTS, STOPPING
from drawbar.supervisor.worker.forks import disown_nothing
from drawbar.supervisor.worker.life import load_app, run_worker
from drawbar.supervisor.worker.live_threads import other_threads, wait_for_threads
from drawbar.supervisor.worker.promotion import Promotion

THREADS_END_S = 2.0
"""What a drained worker's threads have to end in before it is found unfit to fork."""


class Setting(NamedTuple):
    """What stays the same from the first fork server to the last worker."""

    config: Config
    log: Log
    master: int
    """Its process id."""
    cell_of: CellOf | None = None
    name: str = "worker"
    """What a worker is called, before the number of its slot."""


class Desk(NamedTuple):
    """Where a fork server takes orders and tells what it is."""

    orders: socket.socket
    report: Reporter

    def close(self) -> None:
        self.orders.close()
        self.report.close()


class Task(NamedTuple):
    """What a worker that was just forked starts with."""

    order: Order
    desk: Desk
    """Its own: it reports there, hears that the master knows it, and may take orders there one day."""
    listeners: list[socket.socket]


class ForkedApp(NamedTuple):
    """What is loaded once."""

    loaded: LoadedApp
    hooks: Hooks


def run_fork_server(setting: Setting, orders: socket.socket, report: Reporter) -> NoReturn:
    """Loads the application, reports, and forks until the master hangs up. Raises OperatorError when it cannot."""
    loaded = load_app(setting.config)
    app = ForkedApp(loaded, Hooks(setting.config.hooks, setting.log, FORK_SERVER_HOOKS))
    _make_fit(app, refork=False)
    threads = other_threads()
    if threads:
        setting.log.warning(
            f"the application started threads while it was imported ({', '.join(threads)}): forked workers do not "
            "have them; start them in the hook after_fork"
        )
    report(f"{READY} {loaded.interface}")
    _circle(setting, app, Desk(orders, report))


def _make_fit(app: ForkedApp, *, refork: bool) -> None:
    """Closes what must not be shared and puts the memory in order: its pages shall stay as they are."""
    app.hooks.before_fork(
        ForkServer(pid=os.getpid(), app=app.loaded.name, interface=app.loaded.interface, refork=refork)
    )
    # What a worker froze when it started may be garbage by now.
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    give_back_memory()


def _circle(setting: Setting, app: ForkedApp, desk: Desk) -> NoReturn:
    """Fork server, worker, fork server, ... The process ends inside."""
    while True:
        task = _await_order(setting, desk)
        # Here only a process that was just forked arrives; what was the desk is not its own.
        try:
            desk.close()
            _serve_as_worker(setting, app, task)
            desk = task.desk
        except BaseException as error:
            setting.log.traceback("error", error)
            os._exit(EXIT_BROKEN)


# As fork server.


def _await_order(setting: Setting, desk: Desk) -> Task:
    """Forks for each order, until the process ends with the master's end. Returns in each new process."""
    while True:
        received = receive_order(desk.orders)
        if received is None:
            os._exit(0)
        order, (reports, leash, *listeners) = received
        # A worker starts with a copy of this log, which may have been rotated away.
        with contextlib.suppress(OSError):
            setting.log.reopen()
        try:
            pid = fork_grandchild()
        except OSError as error:
            reply = Reply(errno=error.errno or 0)
        else:
            if pid == 0:
                own = Desk(socket.socket(fileno=leash), Reporter(reports))
                return Task(order, own, [socket.socket(fileno=listener) for listener in listeners])
            reply = Reply(pid=pid)
        for descriptor in (reports, leash, *listeners):
            os.close(descriptor)
        with contextlib.suppress(BrokenPipeError):
            send_reply(desk.orders, reply)


# As worker.


def _serve_as_worker(setting: Setting, app: ForkedApp, task: Task) -> None:
    """Returns when the worker has become a fork server; otherwise the process ends."""
    config, slot = setting.config, task.order.slot
    end_with_parent(config.timeouts.graceful)
    if os.getppid() != setting.master or task.desk.orders.recv(len(GO)) != GO:
        os._exit(EXIT_BROKEN)
    if not config.lifecycle.refork:
        task.desk.orders.close()
    set_title(f"drawbar: {setting.name} {slot}", "drawbar-worker")
    promotion = Promotion() if config.lifecycle.refork else None
    cell = setting.cell_of(task.order.cell) if setting.cell_of is not None else None

    def work(report: Callable[[str], None]) -> int:
        return run_worker(config, task.listeners, slot, report, cell, app.loaded, promotion)

    code = attempt(Role("", "", work), setting.log, task.desk.report)
    for listener in task.listeners:
        listener.close()
    if promotion is not None and promotion.asked and code == 0:
        failure = _become_fork_server(app)
        if not failure:
            task.desk.report(f"{FORKING}{app.loaded.interface}")
            return
        task.desk.report(f"{NOT_FORKING}{failure}")
    say_goodbye()
    os._exit(code)


def _become_fork_server(app: ForkedApp) -> str:
    """Makes a drained worker what a fork server is; returns why that cannot be, "" when it is done."""
    _reset_signals()
    disown_nothing()
    try:
        _make_fit(app, refork=True)
    except OperatorError as error:
        return in_one_line(error)
    threads = wait_for_threads(THREADS_END_S)
    if threads:
        return f"it still has threads ({', '.join(threads)}); end them in the hook before_fork"
    set_title(*TITLE)
    return ""


def _reset_signals() -> None:
    """What a fork server does at signals, and its workers before they have handlers of their own.

    To be stopped is the default; whatever else means the master does nothing (see signals.reset_signals).
    """
    signal.set_wakeup_fd(-1)
    for number in REQUESTS:
        default = number in STOPPING or number == signal.SIGCHLD
        signal.signal(number, signal.SIG_DFL if default else _nothing)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _nothing(number: int, frame: object) -> None:
    """Not ignored, or the programs an application starts would ignore it as well (execve(2))."""
