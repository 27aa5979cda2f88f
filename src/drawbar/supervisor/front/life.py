"""What a front does between fork and exit: queues made, site and API listened to, served until told to stop.

A front is one process with one thread: whoever is next is known in one place. It calls no application, and so nothing
in it takes long.
"""

import gc
import os
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

from drawbar.config import Config, OperatorError
from drawbar.exchange.access_log import AccessLog
from drawbar.exchange.exchange import Handler
from drawbar.exchange.http1 import Http1Connector
from drawbar.gateways.http import ServerRules
from drawbar.gateways.target import LoadedApp
from drawbar.net.listener import listen
from drawbar.net.reactor import Reactor
from drawbar.net.scoreboard import Cell
from drawbar.pull import tokens
from drawbar.pull.api import Api
from drawbar.pull.api import policy as api_policy
from drawbar.pull.desk import Limits
from drawbar.pull.front import Front
from drawbar.pull.gauge import Gauge
from drawbar.pull.leaving import Leaving
from drawbar.pull.told import values_of
from drawbar.supervisor.child import Reporter
from drawbar.supervisor.front import secure
from drawbar.supervisor.front.certificates import make_context
from drawbar.supervisor.front.line import Line, Notes
from drawbar.supervisor.front.place import FIGURES
from drawbar.supervisor.front.plan import make_queue, routes_of
from drawbar.supervisor.front.trade import NAME
from drawbar.supervisor.listening.listeners import Sockets
from drawbar.supervisor.logs import Log
from drawbar.supervisor.process import give_back_memory
from drawbar.supervisor.worker.ear import obey_signals
from drawbar.supervisor.worker.life import count_in, raise_open_files
from drawbar.supervisor.worker.site import Site, make_policy, server_name
from drawbar.supervisor.worker.stacks import Stacks

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl


def run_front(
    config: Config,
    listeners: Sockets,
    slot: int,
    report: Callable[[str], None],
    cell: Cell | None = None,
) -> int:
    """Serves until SIGTERM, SIGINT or SIGQUIT and the last answer; returns the exit code.

    report: told "ready front" once requests are taken. Raises OperatorError when the tokens cannot be read.
    """
    stop_counting = count_in(cell)
    report_fd = report.fileno() if isinstance(report, Reporter) else -1
    log = Log.from_config(config.log)
    stacks = Stacks(log)
    context = make_context(config.api)
    # Workers that are attached are no connections of the site: none of them takes a client's file.
    raise_open_files(config.limits.connections + config.api.attached * (secure.FILES_A_LINE if context else 1))
    granted = read_tokens(config)
    access_log = None
    if config.log.access != "off":
        access_log = AccessLog(config.log.access, config.log.form, log.error)
    site = Site(
        config,
        LoadedApp(None, "wsgi", NAME),
        [listener for listener in listeners if listener not in listeners.api],
        make_policy(config, log, access_log),
        log,
        access_log,
        cell=cell,
        stacks=stacks,
        report_fd=report_fd,
    )
    reactor = site.make_reactor()
    heard, told = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    front = make_front(config, reactor)
    if access_log is not None:
        access_log.more = partial(values_of, front)
    api = make_api(config, front, reactor, log, granted, cell)
    line = Line(front, reactor, Notes(reactor, report, report_fd))
    api.tell_of_trials(line.steering.on_trial)
    leaving = Leaving(front, api, reactor, line.steering.leave)
    ignore_signals = obey_signals(site, reactor, heard, told, leaving.begin)
    gauges = make_gauges(config, front, reactor, line)
    if listeners.orders is not None:
        # Before a request is taken that they are about.
        line.obey(listeners.orders)
    for listener in site.listeners:
        site.attend(reactor, listener, front)
    door = open_api(config, api, reactor, listeners, context, log)
    stacks.attach(reactor)
    # What start-up made stays: collections need not walk it for every request's garbage.
    gc.collect()
    gc.freeze()
    give_back_memory()
    if cell is not None:
        cell.phase = "serving"
    report(f"ready {NAME}")
    for gauge in gauges:
        gauge.begin()
    try:
        reactor.run()
        if door is not None:
            door.finish()
        reactor.close()
        if door is not None:
            door.close()
        ignore_signals()
        return 0
    finally:
        stop_counting()


def open_api(
    config: Config, api: Api, reactor: Reactor, listeners: Sockets, context: "ssl.SSLContext | None", log: Log
) -> secure.SecureDoor | None:
    """Listens for workers; what comes by TLS comes through the door that is returned."""
    plain, encrypted = secure.plain_and_secure([*listeners.api], context)
    policy = api_policy(server_header=config.server.server_header)

    def attend(listener: socket.socket, handler: Handler) -> None:
        listener.setblocking(False)
        listen(reactor, listener, Http1Connector(policy, handler, "http", server_name(listener)), exclusive=False)

    for listener in plain:
        attend(listener, api.handler)
    for app, listener in listeners.private.items():
        everything = app == FIGURES
        attend(listener, api.handler_for(tokens.EVERYTHING if everything else tokens.Grant(frozenset({app}))))
    for address in secure.exposed(plain):
        log.warning(
            f"the API on http://{address} is not encrypted: whoever is on the way reads requests, responses and "
            "tokens; write --api-cert-file PATH, unless the network is private"
        )
    if context is None or not encrypted:
        return None
    return _open_door(config, api, reactor, encrypted, context, log)


def _open_door(
    config: Config, api: Api, reactor: Reactor, encrypted: list[socket.socket], context: "ssl.SSLContext", log: Log
) -> secure.SecureDoor:
    policy = api_policy(server_header=config.server.server_header)
    for listener in encrypted:
        listener.setblocking(False)
    door = secure.SecureDoor(
        encrypted,
        context,
        make_connector=lambda listener: Http1Connector(policy, api.handler, "https", server_name(listener)),
        most=config.limits.connections + config.api.attached,
        is_full=lambda: reactor.connections >= config.limits.connections,
        tell=lambda line: log.info(f"the API: {line}"),
    )
    door.open(reactor)
    return door


def read_tokens(config: Config) -> tokens.Tokens | None:
    """Who may use the API; None: whoever reaches it. Raises OperatorError."""
    path = config.api.token_file
    if path is None:
        return None
    try:
        found = tokens.read(Path(path))
    except OSError as error:
        raise OperatorError(f"{path} cannot be read: {error.strerror}", where="--api-token-file") from error
    except ValueError as error:
        raise OperatorError(str(error), where="--api-token-file") from error
    strangers = found.apps - {plan.name for plan in config.app_plans()}
    if strangers:
        known = ", ".join(plan.name for plan in config.app_plans())
        raise OperatorError(
            f"{path} grants {', '.join(sorted(strangers))}, and there is no such application",
            where="--api-token-file",
            right=f"applications are {known}",
        )
    return found


def make_front(config: Config, reactor: Reactor) -> Front:
    """The site's handler, with a queue for each application."""
    limits = config.limits
    rules = ServerRules(
        head_bytes=limits.head_bytes,
        fields=limits.fields,
        body_bytes=0,
        extension_bytes=limits.chunk_extension_bytes,
        trailer_bytes=limits.trailer_bytes,
        send_timeout=config.timeouts.send,
    )
    front = Front(reactor, stream_input=config.front.stream_input, rules=rules)
    for plan in config.app_plans():
        front.add_app(plan.name, make_queue(plan, config.queue), routes_of(plan), plan.stream_input)
    return front


def make_gauges(config: Config, front: Front, reactor: Reactor, line: Line) -> list[Gauge]:
    """One for each application whose number of processes follows its queue."""
    gauges = {
        app: Gauge(
            front,
            app,
            reactor,
            wait_ms=round(table.scale_wait * 1000),
            idle_ms=round(table.scale_idle * 1000),
            tell=partial(line.gauge, app),
        )
        for app, table in config.apps.items()
        if table.is_scaled and table.has_workers
    }
    front.on_watched = lambda app: gauges[app].on_watched()
    return list(gauges.values())


def make_api(
    config: Config, front: Front, reactor: Reactor, log: Log, granted: tokens.Tokens | None, cell: Cell | None = None
) -> Api:
    """The handler of the API's listeners."""
    limits = Limits(
        body_bytes=config.api.body_bytes,
        head_bytes=config.limits.head_bytes,
        polls=config.api.polls,
        attached=config.api.attached,
        output_bytes=config.limits.output_high_bytes,
    )

    def on_error(error: BaseException) -> None:
        log.error(f"the API failed: {type(error).__name__}: {error}")
        log.traceback("error", error)

    return Api(
        front,
        reactor,
        tokens=granted,
        limits=limits,
        on_demand={app for app, table in config.apps.items() if table.has_workers and table.min == 0},
        is_leaving=lambda: cell is not None and cell.phase == "draining",
        on_bad=lambda app, why: log.warning(f"a worker of {app} has answered badly: {why}"),
        on_error=on_error,
    )
