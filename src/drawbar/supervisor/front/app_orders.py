"""Orders about the requests of one application: hold them, refuse them, share them out, move them to another version.

An order that the front follows is answered when the front says that it holds: nobody is told that requests wait while
one more is given out. What is refused has changed nothing.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from drawbar.pull.traffic import MOST_MESSAGE, Traffic
from drawbar.supervisor.control.desk import Command
from drawbar.supervisor.front.channel import Holds, News
from drawbar.supervisor.front.deploys import Deploys
from drawbar.supervisor.front.fronts import FIRST
from drawbar.supervisor.front.shares import complete, in_words, shown
from drawbar.supervisor.refused import Refused

if TYPE_CHECKING:
    from drawbar.supervisor.master import Master

Answer = Callable[[Mapping[str, Any]], str]
"""From what a front says to the line for who gave the order."""


class AppOrders:
    """Carries out what is ordered of single applications."""

    def __init__(self, master: "Master", deploys: Deploys) -> None:
        self.deploys = deploys
        self._master = master
        self._fronts = master.fronts
        self._holding: dict[int, tuple[Command, Answer]] = {}
        """By serial: answered when the front says that it holds."""
        self._fronts.hear(self._on_news)

    def follow(self, command: Command) -> None:
        """Does it, and answers then or later. Raises Refused and OperatorError."""
        app = str(command.arguments.get("app"))
        self._require(app)
        verb = {
            "pause": self._pause,
            "resume": self._resume,
            "stop": self._stop,
            "split": self._split,
            "deploy": self.deploys.deploy,
            "rollback": self.deploys.roll_back,
        }[command.verb]
        verb(command, app)

    def _require(self, app: str) -> None:
        known = [plan.name for plan in self._master.config.app_plans()]
        if app not in known:
            raise Refused(f"there is no application {app!r}; there is {', '.join(known)}", "unknown")
        if self._master.succession.is_under_way:
            raise Refused("an upgrade is under way: what is ordered now would be forgotten", "conflict")

    # The gate.

    def _pause(self, command: Command, app: str) -> None:
        seconds = self._master.config.queue.pause
        until = self._master.clock() + seconds if seconds else 0.0
        most = f", for {seconds:g} s at most" if seconds else ""
        traffic = self._fronts.traffic(app).paused(until)
        still = "still answered"
        self._want(
            command, app, traffic, lambda figures: f"{app}: requests wait{most}{_some(figures, 'leased', still)}"
        )

    def _resume(self, command: Command, app: str) -> None:
        self._want(command, app, self._fronts.traffic(app).resumed(), lambda figures: f"{app}: requests are served")

    def _stop(self, command: Command, app: str) -> None:
        message = str(command.arguments.get("message") or "")
        if len(message) > MOST_MESSAGE:
            raise Refused(f"the message is longer than {MOST_MESSAGE} characters", "invalid")
        traffic = self._fronts.traffic(app).stopped(message)
        still = "wait, and are served"
        self._want(
            command, app, traffic, lambda figures: f"{app}: requests are refused{_some(figures, 'queued', still)}"
        )

    # Shares.

    def _split(self, command: Command, app: str) -> None:
        self.deploys.require_none(app)
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
            raise Refused(f"{app}: {shown(absent[0])}: no worker is there; attached: {present}", "conflict")
        self._want(command, app, before.shared(weights), lambda figures: f"{app}: {in_words(weights)}")

    # What comes of it.

    def _want(self, command: Command, app: str, traffic: Traffic, answer: Answer) -> None:
        serial = self._fronts.want(app, traffic)
        self._holding[serial] = command, answer
        if serial == FIRST:
            self._on_holds(app, serial, {})

    def _on_news(self, news: News) -> None:
        if isinstance(news, Holds):
            self._on_holds(news.app, int(news.figures.get("serial", FIRST)), news.figures)
        else:
            self.deploys.on_news(news)

    def _on_holds(self, app: str, serial: int, figures: Mapping[str, Any]) -> None:
        held = self._holding.pop(serial, None)
        if held is not None:
            command, answer = held
            message = answer(figures)
            self._master.log.info(message)
            self._master.desk.answer(command, {**figures, "app": app, "message": message})
        self.deploys.on_holds(serial)


def _some(figures: Mapping[str, Any], what: str, are: str) -> str:
    """`; 3 still answered`, or nothing when none is."""
    count = int(figures.get(what, 0))
    return f"; {count} {are}" if count else ""
