"""A front and the workers behind it, under one master: which applications have workers, and what their teams are to be.

Pure. The front is the lead; each application that has a target or a command is a team of its own, whose workers dial
the front's private place and answer what it sends them. They have the settings of a worker that serves by itself, with
what their table says laid over; what belongs to clients' connections (listeners, limits, access log) is the front's.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from socket import socket
from typing import TYPE_CHECKING, Final

import msgspec

from drawbar import __version__
from drawbar.config import Config, FrontUrl
from drawbar.config.api import ApiConfig
from drawbar.config.app_table import AppTable
from drawbar.config.log import OFF
from drawbar.net.scoreboard import Cell
from drawbar.supervisor.command.launch import COMMAND
from drawbar.supervisor.reloading import worker_count
from drawbar.supervisor.scaling import Scale
from drawbar.supervisor.team import TeamSpec
from drawbar.supervisor.trade import RunWorker, Trade
from drawbar.supervisor.words import plural
from drawbar.supervisor.worker.concurrency import describe

if TYPE_CHECKING:
    from drawbar.supervisor.listening.listeners import Listeners
    from drawbar.supervisor.team import Team

DIAL_TIMEOUT_S: Final = 600.0
"""The longest there is. Who listens is the master, so a dial that gets no answer has not gone astray."""

ONLY: Final = "app"
"""The application of a server that was given one TARGET."""


def run_behind(
    config: Config,
    listeners: Sequence[socket],
    slot: int,
    report: Callable[[str], None],
    cell: Cell | None = None,
) -> int:
    """What runs in a worker behind a front."""
    # A front that has no workers here, and may never have, does not need it.
    from drawbar.supervisor.worker.life import run_worker

    return run_worker(config, listeners, slot, report, cell)


def share() -> None:
    """Imports what each worker behind a front needs, into the process that they are forked from."""
    import drawbar.supervisor.worker.attaching
    import drawbar.supervisor.worker.life  # noqa: F401


def has_workers(config: Config) -> bool:
    """Whether a front of this configuration has workers behind it here."""
    return any(_served(with_only_app(config)))


def with_only_app(config: Config) -> Config:
    """The configuration of a split server with one TARGET: that is the application, and all requests are its."""
    if config.app.target is None:
        return config
    front = msgspec.structs.replace(config.front, apps=())
    only = msgspec.structs.replace(config.apps.get(ONLY, AppTable()), target=config.app.target, command=None)
    return msgspec.structs.replace(config, front=front, apps={ONLY: only})


def _served(config: Config) -> Iterable[str]:
    """The applications that have workers here."""
    return (name for name, table in config.apps.items() if table.has_workers)


def team_specs(config: Config, run_worker: RunWorker, path_of: Callable[[str], str]) -> list[TeamSpec]:
    """A team for each application that has workers here. path_of: where the front's socket for it is."""
    return [_team_spec(config, app, run_worker, path_of(app)) for app in _served(config)]


def _team_spec(config: Config, app: str, run_worker: RunWorker, path: str) -> TeamSpec:
    replace = msgspec.structs.replace
    own = config.for_app(app)
    label = own.work.label
    own = replace(
        own,
        # They know by it that their front is of the same master.
        server=replace(own.server, split=True),
        # A dial waits in the queue of the socket for a front, which may wait for another application.
        work=replace(own.work, front=(FrontUrl("unix", path),), token_file=None, dial_timeout=DIAL_TIMEOUT_S),
        api=ApiConfig(),
        log=replace(own.log, access=OFF),
    )
    name = f"{app} {label} worker" if label else f"{app} worker"
    table = config.apps[app]
    trade = Trade(run_worker, name) if table.command is None else COMMAND._replace(name=name)
    return TeamSpec(app, label, own, trade, worker_count(own, None), scale_of(table))


def scale_of(table: AppTable) -> Scale | None:
    """Between what the number of its processes follows the queue."""
    return None if table.max is None else Scale(table.least, table.max, table.scale_wait, table.scale_idle)


def most_workers(config: Config, spec: TeamSpec) -> int:
    """How many of them there may come to be without anybody asking."""
    # One that was deployed need not stand in the configuration.
    table = config.apps.get(spec.app)
    return max(spec.workers, (table.max if table is not None else None) or 0)


def is_alone(config: Config) -> bool:
    """There is one application, and nothing to serve without it."""
    return len(config.app_plans()) == 1 and any(_served(config))


def split_line(config: Config, teams: "Iterable[Team]", listeners: "Listeners") -> str:
    """The line of the start."""
    site, api = (", ".join(listeners.addresses(api=api)) for api in (False, True))
    behind = {team.app: team for team in teams}
    targets = [team.config.app.target for team in behind.values()]
    pull = f"; workers elsewhere pull from {api}" if api else ""
    if is_alone(config) and targets[0] is not None:
        (team,) = behind.values()
        kind = f" ({team.interface})" if team.interface else ""
        how = f"a front and {plural(len(team.pool.slots), 'worker')}, {describe(team.config.app, team.interface)}"
        return f"drawbar {__version__} serving {targets[0]}{kind} on {site}, {how}{pull} (pid {os.getpid()})"
    apps = ", ".join(_told(plan.name, behind.get(plan.name)) for plan in config.app_plans())
    return f"drawbar {__version__} front on {site} for {apps}{pull} (pid {os.getpid()})"


def _told(app: str, team: "Team | None") -> str:
    if team is None:
        return app
    workers = plural(len(team.pool.slots), "worker")
    is_sure = team.pool.booted or not team.pool.slots or (team.trade.foreign and not team.crew.last_failure)
    return f"{app} ({workers})" if is_sure else f"{app} (no worker has started)"
