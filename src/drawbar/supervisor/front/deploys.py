"""Deploys: which are under way, and their steps done to queues and to teams of workers.

When something happens is `deploying`'s to decide; here it is carried out. A new version's workers are a team of this
master, started beside that of the old version, or workers elsewhere, which are for whoever started them to stop: they
stay attached, and get nothing. An application has one deploy at a time.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from drawbar.config import OperatorError
from drawbar.config.names import parse_name
from drawbar.pull.traffic import Traffic
from drawbar.supervisor.control.desk import Command
from drawbar.supervisor.control.status import DeployRecord
from drawbar.supervisor.deploying import Deploy, Failed, Kept, Moved, Step, Stop, Want, Wish
from drawbar.supervisor.front.channel import Judged, News, Seen
from drawbar.supervisor.front.fronts import FIRST
from drawbar.supervisor.front.shares import shown
from drawbar.supervisor.pool import Ending
from drawbar.supervisor.refused import Refused
from drawbar.supervisor.team import Team
from drawbar.supervisor.versions import Past, Version, as_configured, label_of, to_be_written

if TYPE_CHECKING:
    from drawbar.supervisor.master import Master

WAIT_S: Final = 60.0
"""For workers to come, unless the order says otherwise; for those of this master it is `timeouts.boot`, if longer."""
JUDGE_S: Final = 60.0
"""For the answers by which a new version is judged; by those that are there then it is judged all the same."""
OF_WORKERS: Final = ("target", "command", "chdir", "workers")
"""What an order may say of the new version's workers."""


class Running(NamedTuple):
    """A deploy. version: of workers of this master; None: of workers elsewhere. past: what had everything before.

    command: who waits, until the queue has moved, or, `to_the_end`, until the verdict.
    """

    deploy: Deploy
    version: Version | None
    past: Past | None
    command: Command | None
    to_the_end: bool


class Ended(NamedTuple):
    """How a deploy ended, and when."""

    deploy: Deploy
    is_kept: bool
    verdict: str
    at: float


class Deploys:
    """The deploys of a master. former: by application, what had everything before the last one."""

    def __init__(self, master: "Master", former: Mapping[str, Past]) -> None:
        self._master = master
        self._fronts = master.fronts
        self.former = dict(former)
        self._running: dict[str, Running] = {}
        self._ended: dict[str, Ended] = {}
        """The last one of each application."""
        self._moving: dict[int, str] = {}
        """By serial: the application whose queue moves with it."""
        self._let_go: set[tuple[str, str]] = set()
        """Applications and labels that are held until their workers have ended."""

    # Orders.

    def deploy(self, command: Command, app: str) -> None:
        """To another version. Raises Refused and OperatorError."""
        self.require_none(app)
        try:
            label = parse_name(command.arguments.get("label"))
        except ValueError as error:
            raise Refused(f"--label: {error}", "invalid") from error
        judge_s = JUDGE_S if command.arguments.get("judge", True) else 0.0
        self._begin(command, app, label, self._version(command, app, label), judge_s)

    def roll_back(self, command: Command, app: str) -> None:
        """To the version before, or to where a deploy under way began."""
        running = self._running.get(app)
        if running is not None:
            self._do(running, running.deploy.on_cancelled("it was taken back", self._fronts.traffic(app)))
            text = f"{app}: {shown(running.deploy.new)} was taken back"
            self._master.desk.answer(command, {"app": app, "message": text})
            return
        past = self.former.get(app)
        if past is None:
            raise Refused(f"{app}: nothing has been deployed that could be taken back", "conflict")
        self._begin(command, app, past.label, past.version, 0.0)

    def require_none(self, app: str) -> None:
        """Raises Refused while a deploy of the application is under way."""
        running = self._running.get(app)
        if running is not None:
            why = f"{app}: a deploy of {shown(running.deploy.new)} is under way: it {running.deploy.stage.value}"
            raise Refused(f"{why}; wait for its end, or `drawbar ctl rollback {app}`", "conflict")

    def require_rest(self, by: str, *, of_own: bool = False, of_app: str | None = None) -> None:
        """Raises OperatorError while a deploy is under way.

        of_own: one whose workers are of this master. of_app: one of that application; None: of any.
        """
        for app, running in self._running.items():
            if of_app in (None, app) and (not of_own or running.version is not None):
                right = f"wait for its end, or `drawbar ctl rollback {app}`"
                raise OperatorError(f"{by}: a deploy of {app} is under way", right=right)

    def records(self) -> list[DeployRecord]:
        """For the status: those under way, then those that have ended."""
        now = self._master.clock()
        under_way = [running.deploy for running in self._running.values()]
        return [
            *(
                DeployRecord(deploy.app, deploy.new, deploy.old, deploy.stage.name.lower(), now - deploy.began)
                for deploy in under_way
            ),
            *(
                DeployRecord(app, deploy.new, deploy.old, "kept" if is_kept else "failed", now - at, verdict)
                for app, (deploy, is_kept, verdict, at) in self._ended.items()
            ),
        ]

    def _version(self, command: Command, app: str, label: str) -> Version | None:
        """What the new workers are, if they are this master's to start."""
        said = {name: command.arguments[name] for name in OF_WORKERS if command.arguments.get(name) is not None}
        present = self._master.teams.of_app(app)
        if present is None and not ("target" in said or "command" in said):
            if said:
                raise Refused(f"{app} has no workers here: --target or --command says what to start", "invalid")
            return None
        if "command" in said:
            said["command"] = tuple(said["command"])
        before = self._master.behind.versions.get(app)
        # What an earlier deploy said holds on, as what the configuration says does.
        kept = {name: getattr(before, name) for name in OF_WORKERS if before is not None}
        if "target" in said or "command" in said:
            kept |= {"target": None, "command": None}
        return Version(label, label_of(self._master.config, app), **{**kept, **said})

    def _begin(self, command: Command, app: str, label: str, version: Version | None, judge_s: float) -> None:
        master, timeout_s = self._master, command.arguments.get("timeout")
        spec = None
        present = master.teams.of_app(app)
        if version is not None:
            if master.teams.of(app, version.label) is not None:
                raise Refused(f"{app}: there are workers of {shown(label)} already; take another label", "conflict")
            spec = master.behind.spec_of(app, version)
            if version.workers is None:
                spec = spec._replace(workers=len(present.pool.slots) if present is not None else spec.workers)
            spec = spec._replace(workers=max(1, spec.workers))
            timeout_s = max(WAIT_S, spec.config.timeouts.boot) if timeout_s is None else timeout_s
        wish = Wish(app, label, WAIT_S if timeout_s is None else float(timeout_s), judge_s)
        labels = {name: len(pids) for name, pids in self._fronts.labels(app).items()}
        if present is not None:
            # It may have no worker just now, where their number follows the queue.
            labels.setdefault(present.label or "", 0)
        deploy = Deploy(wish, self._fronts.traffic(app), labels, master.clock())
        waits = bool(command.arguments.get("wait"))
        to_the_end = bool(command.arguments.get("judged"))
        running = Running(deploy, version, self._past(deploy, present), command if waits else None, to_the_end)
        self._running[app] = running
        try:
            self._do(running, deploy.begin(self._fronts.traffic(app)), follows=False)
        except OperatorError:
            del self._running[app]
            raise
        what = "waiting for its workers" if spec is None else "starting its workers"
        master.log.info(f"{app}: deploying {shown(label)}: {what}")
        if spec is not None:
            master.behind.begin_version(spec)
        if not waits:
            master.desk.answer(command, {"app": app, "label": label})
        self._look(running)

    def _past(self, deploy: Deploy, present: Team | None) -> Past | None:
        """What to go back to one day."""
        if deploy.old is None:
            return None
        if present is None or (present.label or "") != deploy.old:
            return Past(deploy.old)
        master = self._master
        return Past(deploy.old, master.behind.versions.get(deploy.app) or as_configured(master.config, deploy.app))

    # Steps.

    def _do(self, running: Running, steps: list[Step], *, follows: bool = True) -> None:
        """Takes these steps; `follows` as Fronts.want() has it."""
        app = running.deploy.app
        for step in steps:
            if isinstance(step, Want):
                self._move(app, step.traffic, follows=follows)
            elif isinstance(step, Moved):
                self._on_moved(app)
            elif isinstance(step, Kept):
                self._on_kept(app, step)
            elif isinstance(step, Failed):
                self._on_failed(app, step)
            elif isinstance(step, Stop):
                self._stop(app, step)

    def _move(self, app: str, traffic: Traffic, *, follows: bool) -> None:
        serial = self._fronts.want(app, traffic, follows=follows)
        self._moving[serial] = app
        if serial == FIRST:
            self.on_holds(serial)

    def _on_moved(self, app: str) -> None:
        running = self._running[app]
        deploy = running.deploy
        took_s = self._master.clock() - deploy.began
        text = f"{app}: everything goes to {shown(deploy.new)}, {took_s:.1f} s after the order"
        self._master.log.info(text)
        if running.command is not None and not running.to_the_end:
            self._master.desk.answer(running.command, {"app": app, "label": deploy.new, "message": text})
            self._running[app] = running._replace(command=None)

    def _on_kept(self, app: str, step: Kept) -> None:
        running = self._running.pop(app)
        master, version = self._master, running.version
        if running.past is not None:
            self.former[app] = running.past
        if version is not None:
            master.behind.versions[app] = version
        text = f"{app}: kept {shown(running.deploy.new)}: {step.why}"
        self._ended[app] = Ended(running.deploy, True, text, master.clock())
        master.log.info(text)
        unwritten = None if version is None else to_be_written(app, version, master.config)
        if unwritten is not None:
            master.log.info(f"{app}: to start with this version, the configuration must say: {unwritten}")
        if running.command is not None:
            result = {**step.figures, "app": app, "label": running.deploy.new, "message": text}
            master.desk.answer(running.command, result)

    def _on_failed(self, app: str, step: Failed) -> None:
        running = self._running.pop(app)
        old = running.deploy.old
        text = f"{app}: {step.why}; {f'everything goes to {shown(old)}' if old is not None else 'nothing has changed'}"
        self._ended[app] = Ended(running.deploy, False, text, self._master.clock())
        if running.command is None:
            # Nobody waits for it any more.
            self._master.tell_error(text)
            return
        self._master.log.error(text)
        self._master.desk.refuse(running.command, text)

    def _stop(self, app: str, step: Stop) -> None:
        team = self._master.teams.of(app, step.label or None)
        if team is not None:
            if step.lets_go:
                # Let go while they end, they would get requests.
                self._let_go.add((app, step.label))
            self._master.behind.end_version(team)
        elif step.lets_go:
            self._fronts.want(app, self._fronts.traffic(app).letting_go(step.label), follows=True)

    # Events.

    def on_news(self, news: News) -> None:
        """Something was told by a front."""
        running = self._running.get(news.app)
        if running is None:
            return
        if isinstance(news, Seen):
            self._look(running)
        elif isinstance(news, Judged) and running.deploy.new == news.label:
            self._do(running, running.deploy.on_judged(news.figures))

    def on_holds(self, serial: int) -> None:
        """Every front follows the order with that serial."""
        running = self._running.get(self._moving.pop(serial, ""))
        if running is not None:
            self._do(running, running.deploy.on_holds())

    def on_team_over(self, team: Team, ending: Ending) -> bool:
        """The last process of a team has ended; False when that is no deploy's affair."""
        key = (team.app, team.label or "")
        if not self._master.is_stopping and ending.error is None:
            whose = f"workers of {team.label}" if team.label else shown("")
            self._master.log.info(f"{team.app}: {whose} have ended")
        if key in self._let_go:
            self._let_go.discard(key)
            self._fronts.want(team.app, self._fronts.traffic(team.app).letting_go(key[1]), follows=True)
        running = self._running.get(team.app)
        if running is not None and running.deploy.new == key[1] and running.version is not None:
            if self._master.is_stopping:
                self._do(running, running.deploy.on_cancelled("the server is stopping", self._fronts.traffic(team.app)))
            else:
                self._do(running, running.deploy.on_not_started(ending.error or "its workers have ended"))
            return True
        return ending.error is None

    def on_relabelled(self, app: str) -> None:
        """A reload has the workers of an application name another label, one after the other: shares are void."""
        traffic = self._fronts.traffic(app)
        if traffic.weights is not None:
            self._fronts.want(app, traffic.even(), follows=True)

    def _look(self, running: Running) -> None:
        if self._is_there(running):
            self._do(running, running.deploy.on_there(self._fronts.traffic(running.deploy.app)))

    def _is_there(self, running: Running) -> bool:
        """Somebody of the new version is attached; of workers of this master, all that there are to be."""
        deploy = running.deploy
        there = self._fronts.labels(deploy.app).get(deploy.new, set())
        if running.version is None:
            return bool(there)
        team = self._master.teams.of(deploy.app, running.version.label)
        if team is None or not there or not team.pool.is_settled():
            return False
        # A program is ready when it has attached, and may have done so by another process.
        return team.trade.foreign or there.issuperset(worker.pid for worker in team.pool.workers)

    # Time.

    def wake_at(self) -> float:
        """When look_after() is due."""
        times = (running.deploy.wake_at() for running in self._running.values())
        return min((time for time in times if time is not None), default=float("inf"))

    def look_after(self, now: float) -> None:
        """Looks at what each waits for."""
        for running in list(self._running.values()):
            self._look(running)
            self._do(running, running.deploy.on_time(now))
