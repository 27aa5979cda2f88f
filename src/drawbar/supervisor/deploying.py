"""From one version of an app to the next: what to do, and when. Pure: plain data and events in, steps out.

    waits -> moves -> on trial -> over
       |       |         |
       `-------`---------`----> over, and everything as it was

Law: the new version gets nothing before its workers are there, and then everything at once; the old one keeps its
workers until the verdict. Whatever goes wrong, everything goes back to whom it belonged to. A deploy ends once, and
says how it ended in one line. Times are seconds of one clock.
"""

import enum
from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from drawbar.config import OperatorError
from drawbar.pull.traffic import Judge, Traffic
from drawbar.supervisor.front.shares import shown

ANSWERS: Final = 50
"""A new version is judged by its first answers, so many."""


class Stage(enum.Enum):
    """How far a deploy has come."""

    WAITS = "waits for the new version's workers"
    MOVES = "moves the queue"
    TRIAL = "judges the new version"
    OVER = "is over"


class Want(NamedTuple):
    """Tell the fronts; what they are told has a serial, for on_holds()."""

    traffic: Traffic


class Stop(NamedTuple):
    """The workers of this label are not needed any more. lets_go: when they are gone, it is not held any more."""

    label: str
    lets_go: bool = False


class Moved(NamedTuple):
    """The new version has everything."""


class Kept(NamedTuple):
    """It is over, and the new version stays: in words, with what was counted."""

    why: str
    figures: Mapping[str, Any]


class Failed(NamedTuple):
    """It is over, and the old version has everything: in words, with what was counted, if anything was."""

    why: str
    figures: Mapping[str, Any]


Step = Want | Stop | Moved | Kept | Failed


class Wish(NamedTuple):
    """What an operator wants. timeout_s: for the new workers to be there. judge_s: for the trial; 0: none."""

    app: str
    label: str
    timeout_s: float
    judge_s: float


def present_version(traffic: Traffic, labels: Mapping[str, int]) -> str | None:
    """The label that gets most; None: nobody gets anything. labels: those attached, with their number of processes."""
    if traffic.weights is not None:
        return max(traffic.weights, key=lambda label: traffic.weights[label] if traffic.weights else 0)
    serving = [label for label in labels if label not in traffic.held and label not in traffic.retired]
    return max(serving, key=lambda label: labels[label], default=None)


class Deploy:
    """One deploy, from the order to its end."""

    def __init__(self, wish: Wish, traffic: Traffic, labels: Mapping[str, int], now: float) -> None:
        """labels: those attached now. Raises OperatorError when there is nothing to do."""
        self.app = wish.app
        self.new = wish.label
        self.stage = Stage.WAITS
        self.began = now
        self.deadline = now + wish.timeout_s
        self._timeout_s = wish.timeout_s
        self._judge_s = wish.judge_s
        others = {label: count for label, count in labels.items() if label != wish.label}
        self.old = present_version(_without_new(traffic, wish.label), others)
        if traffic.weights is not None and {label for label, share in traffic.weights.items() if share} == {wish.label}:
            raise OperatorError(f"{wish.app}: {wish.label} has everything already")
        self._back = _without_new(traffic, wish.label).weights
        self._holds = not _gets_some(traffic, wish.label, labels)
        """It gets nothing yet, and shall not until all of it is there."""
        self._was_held = wish.label in traffic.held

    # Events. `traffic` is what holds at that time.

    def begin(self, traffic: Traffic) -> list[Step]:
        """Before any worker of the new version is started."""
        return [Want(traffic.holding(self.new))] if self._holds else []

    def on_there(self, traffic: Traffic) -> list[Step]:
        """The new version's workers are there."""
        if self.stage is not Stage.WAITS:
            return []
        self.stage = Stage.MOVES
        if not self._is_judged():
            return [Want(traffic.shared({self.new: 1.0}))]
        judge = Judge(self.new, self.old or "", ANSWERS, self._judge_s, self._back)
        return [Want(traffic.on_trial(judge))]

    def on_holds(self) -> list[Step]:
        """The front has moved the queue."""
        if self.stage is not Stage.MOVES:
            return []
        if self._is_judged():
            self.stage = Stage.TRIAL
            return [Moved()]
        return [Moved(), *self._keep("not judged", {})]

    def on_judged(self, figures: Mapping[str, Any]) -> list[Step]:
        """The front has come to a verdict, and has done what follows from it."""
        if self.stage not in (Stage.MOVES, Stage.TRIAL):
            return []
        why = in_words(figures, self.old)
        if figures.get("kept"):
            moved: list[Step] = [Moved()] if self.stage is Stage.MOVES else []
            return moved + self._keep(why, figures)
        return self._end(f"{self.new} is worse than {shown(self.old or '')}: {why}", figures)

    def on_time(self, now: float) -> list[Step]:
        """The clock has gone on."""
        if self.stage is not Stage.WAITS or now < self.deadline:
            return []
        return self._undo(f"no worker labelled {self.new} was there within {self._timeout_s:g} s")

    def on_not_started(self, why: str) -> list[Step]:
        """The new version does not start."""
        if self.stage is not Stage.WAITS:
            return []
        return self._undo(f"{self.new} does not start: {why}")

    def on_cancelled(self, why: str, traffic: Traffic) -> list[Step]:
        """An operator takes it back."""
        if self.stage is Stage.WAITS:
            return self._undo(why)
        if self.stage is Stage.OVER:
            return []
        return [Want(traffic.shared(self._back).holding(self.new)), *self._end(why, {})]

    def wake_at(self) -> float | None:
        """When on_time() is due."""
        return self.deadline if self.stage is Stage.WAITS else None

    # --

    def _is_judged(self) -> bool:
        return self._judge_s > 0 and self.old is not None

    def _undo(self, why: str) -> list[Step]:
        self.stage = Stage.OVER
        return [Failed(why, {}), Stop(self.new, lets_go=self._holds and not self._was_held)]

    def _keep(self, why: str, figures: Mapping[str, Any]) -> list[Step]:
        self.stage = Stage.OVER
        return [Kept(why, figures), *([Stop(self.old)] if self.old is not None else [])]

    def _end(self, why: str, figures: Mapping[str, Any]) -> list[Step]:
        self.stage = Stage.OVER
        return [Failed(why, figures), Stop(self.new)]


def _without_new(traffic: Traffic, label: str) -> Traffic:
    """As if that label had no share."""
    if traffic.weights is None:
        return traffic
    rest = {name: share for name, share in traffic.weights.items() if name != label}
    return msgspec.structs.replace(traffic, weights=rest if any(rest.values()) else None)


def _gets_some(traffic: Traffic, label: str, labels: Collection[str]) -> bool:
    """It has requests already, of its own accord or as a canary."""
    if label in traffic.held or label in traffic.retired:
        return False
    return label in labels if traffic.weights is None else bool(traffic.weights.get(label))


def in_words(figures: Mapping[str, Any], old: str | None) -> str:
    """What was counted in a trial."""
    if figures.get("why"):
        return str(figures["why"])
    answers, failed = int(figures.get("answers", 0)), int(figures.get("failed", 0))
    before, before_failed = int(figures.get("old_answers", 0)), int(figures.get("old_failed", 0))
    text = f"{failed} of {answers} answers failed" if answers else "nobody asked"
    return f"{text}, of the last {before} of {shown(old or '')} {before_failed}" if before else text
