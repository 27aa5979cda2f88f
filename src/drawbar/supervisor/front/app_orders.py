"""Orders about the requests of one app: hold them, refuse them, share them out, move them to another version.

An order that the front follows is answered when the front says that it holds: nobody is told that requests wait while
one more is given out. A deploy is answered when the queue has moved, or when the new version has been judged, whichever
the asker waits for; what it does when is `deploying`'s affair. What is refused has changed nothing.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from drawbar.config import OperatorError
from drawbar.config.names import parse_name
from drawbar.pull.traffic import MOST_MESSAGE, Traffic
from drawbar.supervisor.control.desk import Command
from drawbar.supervisor.deploying import Deploy, Failed, Kept, Moved, Step, Stop, Want, Wish
from drawbar.supervisor.front.channel import Holds, Judged, News, Seen
from drawbar.supervisor.front.fronts import FIRST
from drawbar.supervisor.front.shares import complete, in_words, shown
from drawbar.supervisor.refused import Refused

if TYPE_CHECKING:
    from drawbar.supervisor.master import Master

WAIT_S: Final = 60.0
"""For workers elsewhere to come, unless the order says otherwise."""
JUDGE_S: Final = 60.0
"""For the answers by which a new version is judged; by those that are there then it is judged all the same."""

Answer = Callable[[Mapping[str, Any]], str]
"""From what a front says to the line for who gave the order."""


class Running(NamedTuple):
    """A deploy, and who waits for it: until the queue has moved, or, `to_the_end`, until the verdict."""

    deploy: Deploy
    command: Command | None
    to_the_end: bool


class AppOrders:
    """Carries out what is ordered of single apps. former: by app, the label of the version before the last deploy."""

    def __init__(self, master: "Master", former: Mapping[str, str] | None = None) -> None:
        self._master = master
        self._fronts = master.fronts
        self.former = dict(former or {})
        self._holding: dict[int, tuple[Command, Answer]] = {}
        """By serial: answered when the front says that it holds."""
        self._moving: dict[int, str] = {}
        """By serial: the app whose queue moves with it."""
        self._deploys: dict[str, Running] = {}
        self._fronts.hear(self._on_news)

    def follow(self, command: Command) -> Mapping[str, Any] | None:
        """Does it; None: it is answered later. Raises Refused and OperatorError."""
        app = str(command.arguments.get("app"))
        self._require(app)
        verb = {
            "pause": self._pause,
            "resume": self._resume,
            "stop": self._stop,
            "split": self._split,
            "deploy": self._deploy,
            "rollback": self._roll_back,
        }[command.verb]
        return verb(command, app)

    def _require(self, app: str) -> None:
        if not self._master.lead.trade.takes_orders:
            why = "this server has no queue: its workers take requests themselves; `drawbar serve` has one"
            raise Refused(why, "conflict")
        known = [plan.name for plan in self._master.config.app_plans()]
        if app not in known:
            raise Refused(f"there is no application {app!r}; there is {', '.join(known)}", "unknown")
        if self._master.succession.is_under_way:
            raise Refused("an upgrade is under way: what is ordered now would be forgotten", "conflict")

    def require_rest(self, by: str) -> None:
        """Raises OperatorError while a deploy is under way: another master would know nothing of it."""
        for app in self._deploys:
            raise OperatorError(f"{by}: a deploy of {app} is under way", right=f"wait, or `drawbar ctl rollback {app}`")

    # -- the gate

    def _pause(self, command: Command, app: str) -> None:
        seconds = self._master.config.queue.pause
        until = self._master.clock() + seconds if seconds else 0.0
        most = f", for {seconds:g} s at most" if seconds else ""
        traffic = self._fronts.traffic(app).paused(until)
        self._want(
            command,
            app,
            traffic,
            lambda figures: f"{app}: requests wait{most}{_still(figures, 'leased', 'still answered')}",
        )

    def _resume(self, command: Command, app: str) -> None:
        self._want(command, app, self._fronts.traffic(app).resumed(), lambda figures: f"{app}: requests are served")

    def _stop(self, command: Command, app: str) -> None:
        message = str(command.arguments.get("message") or "")
        if len(message) > MOST_MESSAGE:
            raise Refused(f"the message is longer than {MOST_MESSAGE} characters", "invalid")
        traffic = self._fronts.traffic(app).stopped(message)
        self._want(
            command,
            app,
            traffic,
            lambda figures: f"{app}: requests are refused{_still(figures, 'queued', 'wait, and are served')}",
        )

    # -- shares

    def _split(self, command: Command, app: str) -> None:
        self._require_no_deploy(app)
        shares: Mapping[str, float] | None = command.arguments.get("shares")
        before = self._fronts.traffic(app)
        if shares is None:
            self._want(command, app, before.even(), lambda figures: f"{app}: all labels alike")
            return
        there = set(self._fronts.labels(app))
        try:
            weights = complete(shares, there.difference(before.held, before.retired))
        except ValueError as error:
            raise Refused(f"{app}: {error}", "invalid") from error
        absent = [label for label, share in weights.items() if share and label not in there]
        if absent:
            present = ", ".join(sorted(map(shown, there))) or "nobody"
            raise Refused(f"{app}: {shown(absent[0])}: no worker is there; there is {present}", "conflict")
        self._want(command, app, before.shared(weights), lambda figures: f"{app}: {in_words(weights)}")

    # -- versions

    def _deploy(self, command: Command, app: str) -> None:
        self._require_no_deploy(app)
        try:
            label = parse_name(command.arguments.get("label"))
        except ValueError as error:
            raise Refused(f"--label: {error}", "invalid") from error
        timeout_s = command.arguments.get("timeout")
        judge_s = JUDGE_S if command.arguments.get("judge", True) else 0.0
        self._begin(command, Wish(app, label, WAIT_S if timeout_s is None else float(timeout_s), judge_s))

    def _roll_back(self, command: Command, app: str) -> None:
        running = self._deploys.get(app)
        if running is not None:
            self._do(running, running.deploy.on_cancelled("it was taken back", self._fronts.traffic(app)))
            self._master.desk.answer(command, {"app": app, "message": f"{app}: {running.deploy.new} was taken back"})
            return
        if app not in self.former:
            raise Refused(f"{app}: nothing has been deployed that could be taken back", "conflict")
        timeout_s = command.arguments.get("timeout")
        self._begin(command, Wish(app, self.former[app], WAIT_S if timeout_s is None else float(timeout_s), 0.0))

    def _require_no_deploy(self, app: str) -> None:
        running = self._deploys.get(app)
        if running is not None:
            why = f"{app}: a deploy of {running.deploy.new} is under way: it {running.deploy.stage.value}"
            raise Refused(why, "conflict")

    def _begin(self, command: Command, wish: Wish) -> None:
        traffic = self._fronts.traffic(wish.app)
        labels = {label: len(pids) for label, pids in self._fronts.labels(wish.app).items()}
        deploy = Deploy(wish, traffic, labels, self._master.clock())
        waits = bool(command.arguments.get("wait"))
        running = Running(deploy, command if waits else None, bool(command.arguments.get("judged")))
        self._deploys[wish.app] = running
        try:
            self._do(running, deploy.begin(traffic))
        except OperatorError:
            del self._deploys[wish.app]
            raise
        self._master.log.info(f"{wish.app}: deploying {wish.label}: waiting for its workers")
        if not waits:
            self._master.desk.answer(command, {"app": wish.app, "label": wish.label})
        self._look_for_workers(wish.app)

    def _look_for_workers(self, app: str) -> None:
        running = self._deploys.get(app)
        if running is not None and running.deploy.new in self._fronts.labels(app):
            self._do(running, running.deploy.on_there(self._fronts.traffic(app)))

    def _do(self, running: Running, steps: list[Step]) -> None:
        app = running.deploy.app
        for step in steps:
            if isinstance(step, Want):
                self._move(app, step.traffic)
            elif isinstance(step, Moved):
                self._on_moved(running)
            elif isinstance(step, Kept):
                self._on_kept(running, step)
            elif isinstance(step, Failed):
                self._on_failed(running, step)
            elif isinstance(step, Stop):
                self._stop_label(app, step)

    def _move(self, app: str, traffic: Traffic) -> None:
        serial = self._fronts.want(app, traffic)
        self._moving[serial] = app
        if serial == FIRST:
            self._on_holds(app, serial, {})

    def _on_moved(self, running: Running) -> None:
        deploy = running.deploy
        took_s = self._master.clock() - deploy.began
        text = f"{deploy.app}: {deploy.new} has everything, {took_s:.1f} s after the order"
        self._master.log.info(text)
        if running.command is not None and not running.to_the_end:
            self._master.desk.answer(running.command, {"app": deploy.app, "label": deploy.new, "message": text})
            self._deploys[deploy.app] = running._replace(command=None)

    def _on_kept(self, running: Running, step: Kept) -> None:
        deploy = running.deploy
        running = self._deploys.pop(deploy.app)
        if deploy.old is not None:
            self.former[deploy.app] = deploy.old
        text = f"{deploy.app}: {deploy.new} stays: {step.why}"
        self._master.log.info(text)
        self._answer(running, {**step.figures, "app": deploy.app, "label": deploy.new, "message": text})

    def _on_failed(self, running: Running, step: Failed) -> None:
        deploy = running.deploy
        running = self._deploys.pop(deploy.app)
        stays = f"{shown(deploy.old)} has everything" if deploy.old is not None else "nothing has changed"
        text = f"{deploy.app}: {step.why}; {stays}"
        if running.command is None:
            # Nobody waits for it any more.
            self._master.tell_error(text)
            return
        self._master.log.error(text)
        self._master.desk.refuse(running.command, text)

    def _answer(self, running: Running, result: Mapping[str, Any]) -> None:
        if running.command is not None:
            self._master.desk.answer(running.command, result)

    def _stop_label(self, app: str, step: Stop) -> None:
        """Workers elsewhere are for whoever started them to stop: they stay attached, and get nothing."""
        if step.lets_go:
            self._fronts.want(app, self._fronts.traffic(app).letting_go(step.label))

    # -- what comes of it

    def _want(self, command: Command, app: str, traffic: Traffic, answer: Answer) -> None:
        serial = self._fronts.want(app, traffic)
        self._holding[serial] = command, answer
        if serial == FIRST:
            self._on_holds(app, serial, {})

    def _on_news(self, news: News) -> None:
        if isinstance(news, Seen):
            self._look_for_workers(news.app)
        elif isinstance(news, Judged):
            running = self._deploys.get(news.app)
            if running is not None and running.deploy.new == news.label:
                self._do(running, running.deploy.on_judged(news.figures))
        elif isinstance(news, Holds):
            self._on_holds(news.app, int(news.figures.get("serial", 0)), news.figures)

    def _on_holds(self, app: str, serial: int, figures: Mapping[str, Any]) -> None:
        held = self._holding.pop(serial, None)
        if held is not None:
            command, answer = held
            message = answer(figures)
            self._master.log.info(message)
            self._master.desk.answer(command, {**figures, "app": app, "message": message})
        if self._moving.pop(serial, None) is not None:
            running = self._deploys.get(app)
            if running is not None:
                self._do(running, running.deploy.on_holds())

    # -- time

    def wake_at(self) -> float:
        """When look_after() is due."""
        times = (running.deploy.wake_at() for running in self._deploys.values())
        return min((time for time in times if time is not None), default=float("inf"))

    def look_after(self, now: float) -> None:
        """What is due by the clock alone."""
        for running in list(self._deploys.values()):
            self._do(running, running.deploy.on_time(now))


def _still(figures: Mapping[str, Any], what: str, doing: str) -> str:
    """`; 3 are still answered`, or nothing when none is."""
    count = int(figures.get(what, 0))
    return f"; {count} {doing}" if count else ""
