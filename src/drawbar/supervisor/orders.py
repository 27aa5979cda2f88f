"""Orders by way of the control socket: which method of the master each one is, and when it is answered.

An order that takes its time (a reload, an upgrade) is answered at once, or, when the asker would rather wait, when the
master has settled. An order that cannot be followed is refused with the reason, and nothing has changed.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from drawbar.config import OperatorError
from drawbar.supervisor.control.desk import Command
from drawbar.supervisor.pool import Strategy, Worker
from drawbar.supervisor.queueless import Queueless
from drawbar.supervisor.refused import Refused
from drawbar.supervisor.report_status import effective_settings, status_of, team_of
from drawbar.supervisor.team import Team
from drawbar.supervisor.trade import Trade

if TYPE_CHECKING:
    from drawbar.supervisor.front.app_orders import AppOrders
    from drawbar.supervisor.front.deploys import Deploys
    from drawbar.supervisor.master import Master
    from drawbar.supervisor.versions import Past

BY: Final = "control socket"
"""Who gave the order, for the log."""

NOT_WHILE_STOPPING: Final = frozenset(
    {"reload", "restart", "upgrade", "workers", "pause", "resume", "kill", "split", "deploy", "rollback"}
)


def _of_queues(master: "Master", former: "Mapping[str, Past]") -> "tuple[Deploys, AppOrders]":
    # For no server without a queue: it would hold them in memory for nothing.
    from drawbar.supervisor.front.app_orders import AppOrders
    from drawbar.supervisor.front.deploys import Deploys

    deploys = Deploys(master, former)
    return deploys, AppOrders(master, deploys)


def _without_queues() -> tuple[Queueless, Queueless]:
    none = Queueless()
    return none, none


class Orders:
    """Carries out what the control desk takes in. former: by application, what it was before its last deploy."""

    def __init__(self, master: "Master", trade: Trade, former: "Mapping[str, Past]") -> None:
        self._master = master
        self.deploys: Deploys | Queueless
        self.apps: AppOrders | Queueless
        self.deploys, self.apps = _of_queues(master, former) if trade.takes_orders else _without_queues()
        self._waiting: list[tuple[Command, list[str]]] = []
        """Answered when the workers are settled, with these warnings."""
        self._upgrades: list[Command] = []
        """Answered when the next master serves, or does not."""
        self._verbs: dict[str, Callable[[Command], Mapping[str, Any] | None]] = {
            "ping": lambda command: {},
            "status": lambda command: status_of(master),
            "config": lambda command: effective_settings(master),
            "reload": lambda command: self._replace(command, None),
            "restart": lambda command: self._replace(command, Strategy.ALL),
            "upgrade": self._upgrade,
            "stop": self._stop,
            "workers": self._resize,
            "reopen-logs": self._reopen,
            "stacks": self._stacks,
            "kill": self._kill,
            "pause": lambda command: self._pause(paused=True),
            "resume": lambda command: self._pause(paused=False),
            **dict.fromkeys(("split", "deploy", "rollback"), self.apps.follow),
        }

    def take(self, commands: list[Command]) -> None:
        """Carries out what was ordered, and answers unless that comes later."""
        for command in commands:
            try:
                result = self._follow(command)
            except Refused as refused:
                self._master.desk.refuse(command, str(refused), refused.kind)
            except OperatorError as error:
                # The asker is told: what the status shows as the last error is news to whoever looks there.
                self._master.log.error(str(error))
                self._master.desk.refuse(command, str(error), "conflict")
            else:
                if result is not None:
                    self._master.desk.answer(command, result)

    def on_settled(self, failure: str | None) -> None:
        """A reload has come to its end; `failure`: why its workers do not start."""
        waiting, self._waiting = self._waiting, []
        for command, warnings in waiting:
            if failure is None:
                self._master.desk.answer(command, {**status_of(self._master), "warnings": warnings})
            else:
                why = f"the new workers do not start, the former ones serve on: {failure}"
                self._master.desk.refuse(command, why)

    def on_upgraded(self, pid: int) -> None:
        """The new master serves."""
        waiting, self._upgrades = self._upgrades, []
        for command in waiting:
            self._master.desk.answer(command, {"pid": pid})

    def on_not_upgraded(self, why: str) -> None:
        """The new master does not start."""
        waiting, self._upgrades = self._upgrades, []
        for command in waiting:
            self._master.desk.refuse(command, f"the new master does not start, this one serves on: {why}")

    def _follow(self, command: Command) -> Mapping[str, Any] | None:
        verb = self._verbs.get(command.verb)
        if verb is None:
            raise Refused(f"{command.verb} is nothing this server knows", "unknown")
        if self._master.is_stopping and command.verb in NOT_WHILE_STOPPING:
            raise Refused("the server is stopping", "conflict")
        # Said of an app it is about that one's requests, otherwise about the server.
        is_of_app = command.verb in ("pause", "resume", "stop") and "app" in command.arguments
        return (self.apps.follow if is_of_app else verb)(command)

    # The verbs. None: the answer comes later.

    def _replace(self, command: Command, strategy: Strategy | None) -> Mapping[str, Any] | None:
        warnings = self._master.reload(BY, strategy)
        if command.arguments.get("wait"):
            self._waiting.append((command, warnings))
            return None
        return {"generation": self._master.lead.pool.generation, "warnings": warnings}

    def _upgrade(self, command: Command) -> Mapping[str, Any] | None:
        pid = self._master.upgrade(BY)
        if command.arguments.get("wait"):
            self._upgrades.append(command)
            return None
        return {"pid": pid}

    def _stop(self, command: Command) -> Mapping[str, Any]:
        self._master.stop(BY, quick=bool(command.arguments.get("now")))
        return {}

    def _resize(self, command: Command) -> Mapping[str, Any]:
        arguments = command.arguments
        count = self._master.resize(BY, arguments.get("count"), arguments.get("change", 0), arguments.get("app"))
        return {"workers": count}

    def _reopen(self, command: Command) -> Mapping[str, Any]:
        self._master.reopen_logs(BY)
        return {}

    def _kill(self, command: Command) -> Mapping[str, Any]:
        team, worker = self._worker(command)
        self._master.kill(BY, team, worker)
        return {"pid": worker.pid}

    def _stacks(self, command: Command) -> Mapping[str, Any]:
        """Stacks are written by the workers, each when it comes to it: the answer says who writes, and where to."""
        master = self._master
        one = self._worker(command) if "pid" in command.arguments else None
        if not master.log.writes("error"):
            raise Refused("stacks go to the error log, and that is off", "conflict")
        master.write_stacks(BY, one)
        asked = master.teams.workers() if one is None else [one]
        path = master.log.path
        return {
            "asked": [_named(worker, team_of(master, team)) for team, worker in asked],
            "log": "standard error" if path is None else path,
        }

    def _worker(self, command: Command) -> tuple[Team, Worker]:
        """The one the order is about."""
        found = self._master.teams.find(int(command.arguments.get("pid", 0)))
        if found is None:
            pids = ", ".join(str(worker.pid) for _, worker in self._master.teams.workers())
            raise Refused(f"no worker has that process id; there are {pids or 'none'}", "unknown")
        return found

    def _pause(self, *, paused: bool) -> Mapping[str, Any]:
        self._master.pause(paused=paused)
        return {"paused": paused}


def _named(worker: Worker, team: str | None) -> dict[str, Any]:
    named = {"slot": worker.slot, "pid": worker.pid}
    return named if team is None else {**named, "team": team}
