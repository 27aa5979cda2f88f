"""What a worker does between fork and exit: builds the parts from the configuration and serves until told to stop.

This is the one place where configuration, gateway, executor and reactor meet. How the app is then called stands in
`serve_wsgi` and `serve_asgi`; the latter is imported only for an ASGI application, since a WSGI worker never imports
asyncio.
"""

from __future__ import annotations

import gc
import os
import resource
import socket
from collections.abc import Callable, Sequence
from typing import Any

from drawbar.config import Config, OperatorError
from drawbar.gateways.target import CHDIR, LoadedApp, load_target
from drawbar.hooks import Worker
from drawbar.supervisor.child import Reporter
from drawbar.supervisor.hooks import WORKER_HOOKS, Hooks, finished_request
from drawbar.supervisor.host.places import go_home_if_lost
from drawbar.supervisor.host.privileges import require_readable
from drawbar.supervisor.logs import Log
from drawbar.supervisor.process import give_back_memory
from drawbar.supervisor.worker import concurrency, serve_wsgi
from drawbar.supervisor.worker.enough import Enough
from drawbar.supervisor.worker.environment import enter_environment
from drawbar.supervisor.worker.out_of_band import OutOfBand
from drawbar.supervisor.worker.promotion import Promotion
from drawbar.supervisor.worker.site import Site, make_policy
from drawbar.supervisor.worker.stacks import Stacks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from drawbar.net.scoreboard import Cell

# Descriptors for everything but connections: listeners, logs, spill files, and what the application opens.
SPARE_FILES = 4096


def load_app(config: Config) -> LoadedApp:
    """Imports the application. Raises OperatorError."""
    if config.app.target is None:
        raise OperatorError("no application to serve", where="app.target", right="name one such as module:app")
    app = config.app
    require_readable(config)
    go_home_if_lost()
    enter_environment(app.env)
    concurrency.prepare(app)
    try:
        loaded = load_target(app.target or "", interface=app.interface, factory=app.factory, chdir=app.chdir)
    except OperatorError as error:
        if error.where == CHDIR:
            error.where = config.place("chdir", CHDIR)
        raise
    # Said before any worker is ready, so that a model that does not fit ends the start and not the first request.
    concurrency.model_of(app, loaded.interface)
    return loaded


def run_worker(
    config: Config,
    listeners: Sequence[socket.socket],
    slot: int,
    report: Callable[[str], None],
    cell: Cell | None = None,
    loaded: LoadedApp | None = None,
    promotion: Promotion | None = None,
) -> int:
    """Serves until SIGTERM, SIGINT or SIGQUIT; returns the exit code.

    report: told "ready INTERFACE" once requests are taken. cell: this worker's place on the scoreboard. loaded: the
    application, when this process was forked from one that had imported it. promotion: see that module.

    Raises OperatorError when the application or a hook cannot be loaded, or a hook the worker needs fails.
    """
    stop_counting = count_in(cell)
    log = Log.from_config(config.log)
    # Before the application loads: that may be what takes for ever.
    stacks = Stacks(log)
    raise_open_files(config.limits.connections)
    if loaded is None:
        loaded = load_app(config)
    me = Worker(pid=os.getpid(), slot=slot, app=loaded.name, interface=loaded.interface)
    hooks = Hooks(config.hooks, log, WORKER_HOOKS)
    hooks.after_fork(me)
    enough = Enough(config.lifecycle, report)
    site = make_site(config, loaded, listeners, log, hooks, me, enough)._replace(
        promotion=promotion,
        cell=cell,
        stacks=stacks,
        report_fd=report.fileno() if isinstance(report, Reporter) else -1,
    )
    # What start-up made stays: collections need not walk it for every request's garbage.
    gc.collect()
    gc.freeze()
    give_back_memory()
    serving = False

    def ready() -> None:
        nonlocal serving
        # Before the report: the worker this one replaces serves until then.
        hooks.worker_ready(me)
        serving = True
        if cell is not None:
            cell.phase = "serving"
        report(f"ready {site.app.interface}")

    try:
        return serve(site, ready)
    finally:
        if site.out_of_band is not None:
            site.out_of_band.close()
        if serving:
            hooks.worker_exit(me)
        stop_counting()
        if promotion is not None:
            # Elsewhere they stay to the end of the process, which may hang.
            stacks.close()


def count_in(cell: Cell | None) -> Callable[[], None]:
    """Makes this process the worker whose cell that is, and has it time Python's collector. Call the result at the end.

    The process may live on as something else (`promotion`) when its cell is another's.
    """
    if cell is None:
        return lambda: None
    from drawbar.net.scoreboard import CollectionTimer

    cell.enter()
    timer = CollectionTimer(cell)
    gc.callbacks.append(timer)

    def stop() -> None:
        gc.callbacks.remove(timer)
        cell.disown()

    return stop


def make_site(
    config: Config,
    loaded: LoadedApp,
    listeners: Sequence[socket.socket],
    log: Log,
    hooks: Hooks,
    me: Worker,
    enough: Enough,
) -> Site:
    """All that serving needs, made from the configuration."""
    access_log = None
    if config.log.access != "off":
        from drawbar.exchange.access_log import AccessLog

        access_log = AccessLog(config.log.access, config.log.form, log.error)
    out_of_band: OutOfBand | None = None
    on_finished: list[Callable[[Any], object]] = []
    if hooks.has("request_finished"):
        on_finished.append(lambda exchange: hooks.request_finished(finished_request(exchange, me.slot)))
    if hooks.has("out_of_band"):
        out_of_band = OutOfBand(lambda: hooks.out_of_band(me))
        on_finished.append(out_of_band.note)
    if enough.limit:
        on_finished.append(enough.note)
    policy = make_policy(config, log, access_log, on_finished)
    attaching = None
    if config.work.front:
        from drawbar.supervisor.worker.attaching import Attaching

        most = concurrency.calls_at_once(config.app, concurrency.model_of(config.app, loaded.interface))
        attaching = Attaching(config.work, most, lambda level, text: log.write(level, f"worker {me.slot}: {text}"))
    return Site(config, loaded, listeners, policy, log, access_log, out_of_band=out_of_band, attaching=attaching)


def serve(site: Site, ready: Callable[[], None]) -> int:
    """Serves as the application's interface wants it."""
    if site.app.interface == "asgi":
        from drawbar.supervisor.worker import serve_asgi

        return serve_asgi.serve(site, ready)
    return serve_wsgi.serve(site, ready)


def raise_open_files(connections: int) -> None:
    """Raises this process's soft limit of open files to what its connections may need, as far as the hard one goes.

    Past it accepting pauses until a connection closes, as it does at the limit of connections.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + SPARE_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
