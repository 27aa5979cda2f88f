"""What the master tells of itself when it is asked: plain data for the control process, which adds the figures."""

import os
import time
from typing import TYPE_CHECKING, Any

import msgspec

from drawbar import __version__
from drawbar.supervisor.control.backlog import backlog_of
from drawbar.supervisor.control.status import FRONT, Backlog, Listener, Record, WorkerRecord
from drawbar.supervisor.front.place import FIGURES
from drawbar.supervisor.listening.sockets import address_of

if TYPE_CHECKING:
    from drawbar.config.sources import Effective
    from drawbar.supervisor.master import Master
    from drawbar.supervisor.team import Team


def status_of(master: "Master") -> dict[str, Any]:
    """The master's record, as JSON has it."""
    now = master.clock()
    record = Record(
        version=__version__,
        pid=os.getpid(),
        started=master.began_at,
        uptime_s=round(time.time() - master.began_at, 3),
        phase=phase_of(master),
        target=master.config.app.target,
        interface=_interface(master),
        generation=master.lead.pool.generation,
        listeners=_listeners(master),
        workers=[
            WorkerRecord(
                slot=worker.slot,
                pid=worker.pid,
                generation=worker.generation,
                phase=worker.phase.value,
                cell=team.crew.cell_index(worker),
                started_s_ago=round(now - worker.started_at, 3),
                retiring=None if worker.retiring is None else worker.retiring.value,
                team=team_of(master, team),
            )
            for team, worker in master.teams.workers()
        ],
        desired=sum(len(team.pool.slots) for team in master.teams),
        restarts=master.scoreboard.restarts(),
        last_error=master.last_error.line,
        last_error_s_ago=master.last_error.age_s,
        config_file=None if master.loaded is None else master.loaded.file,
        deploys=master.deploys.records(),
        front=None if master.behind.place is None else master.behind.place.path(FIGURES),
    )
    result: dict[str, Any] = msgspec.to_builtins(record)
    return result


def team_of(master: "Master", team: "Team") -> str | None:
    """What a process is among others: of an application, the front, or, where there is none, neither."""
    return team.app or (FRONT if master.behind.place is not None else None)


def _interface(master: "Master") -> str | None:
    """What the application was found to be; of several, that they are behind a front."""
    apps = master.teams.apps
    return (apps[0] if len(apps) == 1 else master.lead).interface or None


def phase_of(master: "Master") -> str:
    """What the server is about, in one word."""
    pool = master.lead.pool
    if pool.ending is not None:
        return "draining"
    if master.succession.is_under_way:
        return "upgrading"
    if not pool.booted:
        return "starting"
    if master.paused or pool.halted:
        return "paused"
    return "serving" if master.is_settled else "reloading"


def effective_settings(master: "Master") -> dict[str, Any]:
    """Every setting in force, and where it comes from; what is wanted and waits for an upgrade beside it."""
    loaded = master.loaded
    if loaded is None:
        return {"file": None, "settings": []}
    return {
        "file": loaded.file,
        "settings": [_setting(item) for item in loaded.effective],
    }


def _setting(item: "Effective") -> dict[str, str]:
    said = {"key": item.setting.key, "value": item.setting.show(item.value), "source": item.place or "default"}
    return said if item.waits is None else {**said, "waits": item.waits}


def _listeners(master: "Master") -> list[Listener]:
    """Each address once, with what waits in all of its sockets."""
    found: dict[str, Listener] = {}
    for listener in master.listeners.sockets:
        address, queue = address_of(listener), backlog_of(listener)
        known = found.setdefault(address, Listener(address))
        if queue is not None:
            before = known.backlog or Backlog(0, 0)
            known.backlog = Backlog(before.waiting + queue.waiting, before.limit + queue.limit)
    return list(found.values())
