"""What a worker does between fork and exit: builds the parts from the configuration and serves until told to stop.

This is the one place where configuration, gateway, executor and reactor meet. How the app is then called stands in
`serve_wsgi` and `serve_asgi`, imported for the interface the application has: a WSGI worker never imports asyncio.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import socket
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from drawbar.config import Config, OperatorError
from drawbar.exchange.access_log import AccessLog
from drawbar.exchange.forwarded import Proxies
from drawbar.exchange.policy import Policy
from drawbar.exchange.refusals import app_error_line, refusal_line
from drawbar.gateways.target import LoadedApp, load_target
from drawbar.supervisor.logs import Log

# Descriptors for everything but connections: listeners, logs, spill files, and what the application opens.
SPARE_FILES = 4096
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT)

ServerName = tuple[str, int | None]


class Site(NamedTuple):
    """All a serving loop needs: what to serve, where, and how it may behave."""

    config: Config
    app: LoadedApp
    listeners: Sequence[socket.socket]
    policy: Policy
    log: Log
    access_log: AccessLog | None

    @property
    def shared_listeners(self) -> bool:
        """Other processes accept from the same sockets."""
        return self.config.server.worker_count(len(os.sched_getaffinity(0))) > 1

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
        access_log = AccessLog(config.log.access, config.log.access_format, log.error)
    site = Site(config, loaded, listeners, make_policy(config, log, access_log), log, access_log)
    # What start-up made stays: collections need not walk it for every request's garbage.
    gc.collect()
    gc.freeze()

    def ready() -> None:
        report(f"ready {loaded.interface}")

    if loaded.interface == "asgi":
        from drawbar.supervisor.serve_asgi import serve
    else:
        from drawbar.supervisor.serve_wsgi import serve
    return serve(site, ready)


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


def make_policy(config: Config, log: Log, access_log: AccessLog | None) -> Policy:
    """The configuration's limits and timeouts as the exchange wants them."""
    limits, timeouts = config.limits, config.timeouts

    def on_refused(peer: tuple[str, int] | None, status: int, why: str, offending: bytes) -> None:
        log.info(refusal_line(peer, status, why, offending))

    def on_app_error(exchange: Any, error: BaseException) -> None:
        log.error(app_error_line(exchange, error))
        log.traceback("error", error)

    return Policy(
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
        # A keep-alive of no seconds is one request a connection.
        keepalive_requests=limits.keepalive_requests if timeouts.keepalive else 1,
        head_timeout=timeouts.head,
        keepalive_timeout=timeouts.keepalive,
        body_timeout=timeouts.body,
        send_timeout=timeouts.send,
        linger_timeout=timeouts.linger,
        temp_dir=config.server.temp_dir,
        server_header=config.server.server_header,
        proxies=make_proxies(config),
        on_complete=access_log.write if access_log is not None else None,
        on_refused=on_refused,
        on_app_error=on_app_error,
    )


def make_proxies(config: Config) -> Proxies | None:
    """Whose forwarding fields are believed; None when nobody's are."""
    trusted = config.proxy.trusted
    if not trusted:
        return None
    return Proxies(lambda address: any(network.contains(address) for network in trusted), config.proxy.headers)


def server_name(listener: socket.socket) -> ServerName:
    """What the app is told it is: (host, port), or (path, None) for a Unix socket."""
    name = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        return (name.decode(errors="surrogateescape") if isinstance(name, bytes) else name, None)
    return (name[0], name[1])
