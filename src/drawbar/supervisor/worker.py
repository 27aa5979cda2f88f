"""What a worker does between fork and exit: builds the parts from the configuration and serves until told to stop.

This is the one place where configuration, gateway, executor and reactor meet. How the app is then called stands in
`serve_wsgi` and `serve_asgi`; the latter is imported only for an ASGI application, since a WSGI worker never imports
asyncio.
"""

from __future__ import annotations

import gc
import resource
import socket
from collections.abc import Callable, Sequence

from drawbar.config import Config, OperatorError
from drawbar.gateways.target import load_target
from drawbar.supervisor import serve_wsgi
from drawbar.supervisor.logs import Log
from drawbar.supervisor.process import give_back_memory
from drawbar.supervisor.site import Site, make_policy

# Descriptors for everything but connections: listeners, logs, spill files, and what the application opens.
SPARE_FILES = 4096


def run_worker(config: Config, listeners: Sequence[socket.socket], slot: int, report: Callable[[str], None]) -> int:
    """Serves until SIGTERM, SIGINT or SIGQUIT; returns the exit code.

    report: told "ready INTERFACE" once requests are taken. Raises OperatorError when the application cannot be loaded.
    """
    log = Log.from_config(config.log)
    raise_open_files(config.limits.connections)
    if config.app.target is None:
        raise OperatorError("no application to serve", where="app.target", right="name one such as module:app")
    loaded = load_target(
        config.app.target, interface=config.app.interface, factory=config.app.factory, chdir=config.app.chdir
    )
    access_log = None
    if config.log.access != "off":
        from drawbar.exchange.access_log import AccessLog

        access_log = AccessLog(config.log.access, config.log.access_format, log.error)
    site = Site(config, loaded, listeners, make_policy(config, log, access_log), log, access_log)
    # What start-up made stays: collections need not walk it for every request's garbage.
    gc.collect()
    gc.freeze()
    give_back_memory()

    def ready() -> None:
        report(f"ready {loaded.interface}")

    if loaded.interface == "asgi":
        from drawbar.supervisor import serve_asgi

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
