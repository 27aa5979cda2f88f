"""What an operator wants, done to the queues of a front, and trials of new versions held.

Law: what is wanted is compared with what is, so orders may come twice. A front that leaves takes no more orders on who
gets what: the workers it has left are those that answer its last clients.

A trial counts from the moment it is ordered. The outcome that decides it moves the queue back at once, so that not one
more request goes to a version that failed; the news of it, and whoever waits, follow on the next turn.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec

from drawbar.net.reactor import Reactor
from drawbar.pull.attach import send_away
from drawbar.pull.call import Alarm
from drawbar.pull.desk import Poll
from drawbar.pull.entry import Label
from drawbar.pull.front import Front
from drawbar.pull.judging import Score, Verdict, judge, last_outcomes
from drawbar.pull.queue import AppQueue, Gate
from drawbar.pull.traffic import Judge, Traffic

LOOK_MS: Final = 250
"""Between two looks at a trial's clock, and for whether its workers are there."""
ABSENT_MS: Final = 3_000
"""A version whose workers were there and are gone for so long has failed: each of them has crashed."""
LONGEST_ALARM_MS: Final = 3_600_000
"""Of a pause: then it is looked at again."""


class Decided(NamedTuple):
    """A trial that has ended, and what came of it."""

    judge: Judge
    kept: bool


class Steering:
    """Keeps the queues of `front` as they are wanted.

    on_judged: told the app, the label and the figures of a trial that has ended. on_changed: told the app and what
    holds now, when that changed by itself. clock: seconds, the machine's monotonic clock.
    """

    def __init__(
        self,
        front: Front,
        reactor: Reactor,
        *,
        clock: Callable[[], float],
        on_judged: Callable[[str, str, dict[str, Any]], object],
        on_changed: Callable[[str, Traffic], object],
    ) -> None:
        self.front = front
        self.reactor = reactor
        self.on_judged = on_judged
        self.on_changed = on_changed
        self._clock = clock
        self._wanted: dict[str, Traffic] = {}
        self._trials: dict[str, Trial] = {}
        self._decided: dict[str, Decided] = {}
        self._pauses: dict[str, Alarm] = {}
        self._is_leaving = False

    def traffic(self, app: str) -> Traffic:
        """What holds."""
        return self._wanted.get(app, Traffic())

    def want(self, app: str, traffic: Traffic) -> None:
        """Makes it so. KeyError for an app that is not here."""
        queue = self.front.queues[app]
        decided = self._decided.pop(app, None)
        if decided is not None and _is_same(traffic.judge, decided.judge):
            # Who orders this has not heard yet what came of that trial.
            self._decided[app] = decided
            traffic = traffic.judged(kept=decided.kept)
        former, self._wanted[app] = self.traffic(app), traffic
        self._set_gate(app, queue, traffic)
        if not self._is_leaving:
            self._set_labels(app, queue, traffic)
            if not _is_same(traffic.judge, former.judge):
                self._set_trial(app, queue, traffic)
            else:
                self._wanted[app] = msgspec.structs.replace(traffic, judge=former.judge)
        self.front.dispatch(queue)

    def on_trial(self, app: str) -> dict[str, Any] | None:
        """What is known so far of the trial of a new version; None when there is none."""
        trial = self._trials.get(app)
        return None if trial is None else trial.so_far()

    def leave(self) -> None:
        """The front stops: its trials are the next one's."""
        self._is_leaving = True
        for trial in self._trials.values():
            trial.close()
        self._trials.clear()

    # -- the gate

    def _set_gate(self, app: str, queue: AppQueue, traffic: Traffic) -> None:
        alarm = self._pauses.pop(app, None)
        if alarm is not None:
            alarm.cancel()
        now_ms = self.front.now_ms
        if traffic.gate == "paused":
            queue.pause(now_ms)
            if traffic.until:
                self._pauses[app] = alarm = Alarm(self.reactor, lambda: self._look_at_pause(app))
                alarm.set(self._pause_left_ms(traffic))
        elif traffic.gate == "stopped":
            if queue.gate is not Gate.CLOSED or queue.message != traffic.message:
                queue.stop(traffic.message, now_ms)
        elif queue.gate is not Gate.OPEN:
            queue.resume(now_ms)

    def _pause_left_ms(self, traffic: Traffic) -> int:
        return max(0, min(LONGEST_ALARM_MS, round((traffic.until - self._clock()) * 1000)))

    def _look_at_pause(self, app: str) -> None:
        traffic = self.traffic(app)
        if self._clock() < traffic.until:
            self._pauses[app].set(self._pause_left_ms(traffic))
            return
        self.want(app, traffic.resumed())
        self.on_changed(app, self.traffic(app))

    # -- labels

    def _set_labels(self, app: str, queue: AppQueue, traffic: Traffic) -> None:
        if queue.weights != traffic.weights:
            queue.weights = traffic.weights
        if queue.held != frozenset(traffic.held):
            queue.held = frozenset(traffic.held)
        retired = {label.name for label in queue.all_labels() if label.retired}
        for name in retired.difference(traffic.retired):
            queue.restore(name)
        for name in set(traffic.retired) - retired:
            for room in queue.retire(name):
                if isinstance(room, Poll):
                    room.end()
            send_away(self.front, app, name)

    # -- trials

    def _set_trial(self, app: str, queue: AppQueue, traffic: Traffic) -> None:
        trial = self._trials.pop(app, None)
        if trial is not None:
            trial.close()
        if traffic.judge is not None:
            trial = self._trials[app] = Trial(self, app, queue, traffic.judge)
            self._wanted[app] = msgspec.structs.replace(traffic, judge=trial.judge)

    def judged(self, app: str, queue: AppQueue, *, kept: bool) -> None:
        """A trial has ended: moves the queue, and serves nobody yet."""
        self._decided[app] = Decided(self._trials.pop(app).judge, kept)
        self._wanted[app] = traffic = self.traffic(app).judged(kept=kept)
        self._set_labels(app, queue, traffic)


def _is_same(one: Judge | None, other: Judge | None) -> bool:
    """The same trial, whatever is known of the old version."""
    if one is None or other is None:
        return one is other
    return msgspec.structs.replace(one, known=None) == msgspec.structs.replace(other, known=None)


class Trial:
    """A version that is on trial. `judge` holds what the old one's last outcomes were."""

    def __init__(self, steering: Steering, app: str, queue: AppQueue, wanted: Judge) -> None:
        self._steering = steering
        self._app = app
        self._queue = queue
        old = queue.label(wanted.old)
        known = wanted.known
        if known is None and old is not None:
            known = last_outcomes(old.recent, _all_outcomes(old).outcomes)
        self.judge = msgspec.structs.replace(wanted, known=known)
        self._old = Score(*known) if known is not None else Score()
        self._label: Label | None = None
        new = queue.label(wanted.new)
        self._at_first = _all_outcomes(new) if new is not None else Score()
        """Of the new version, before the trial."""
        self._looked_ms = self._seen_ms = steering.front.now_ms
        self._passed_ms = 0
        self._is_seen = False
        self._verdict = Verdict.OPEN
        self._why = ""
        self._alarm = Alarm(steering.reactor, self._look)
        self._look()

    def close(self) -> None:
        """Ends it without a verdict."""
        self._alarm.cancel()
        if self._label is not None:
            self._label.on_outcome = None

    def so_far(self) -> dict[str, Any]:
        """For those who ask."""
        score = self._score()
        wanted = self.judge.answers
        return {"label": self.judge.new, "answers": score.outcomes, "failed": score.bad, "wanted": wanted}

    def _score(self) -> Score:
        label = self._label
        if label is None:
            return Score()
        now, first = _all_outcomes(label), self._at_first
        return Score(now.outcomes - first.outcomes, now.bad - first.bad)

    def _watch(self) -> None:
        """From the moment there is such a label."""
        label = self._queue.label(self.judge.new)
        if label is not None and label is not self._label:
            self._label = label
            label.on_outcome = self._on_outcome

    def _on_outcome(self) -> None:
        """Within the queue: what is done here is little, and nobody is served."""
        score = self._score()
        verdict = judge(score, self._old, self.judge.answers)
        if verdict is not Verdict.OPEN:
            self._decide(verdict, "")

    def _look(self) -> None:
        """By the clock; and what is left to do after an outcome that decided it."""
        if self._verdict is Verdict.OPEN:
            self._watch()
            now_ms = self._steering.front.now_ms
            label = self._label
            if label is not None and label.idle + label.leased:
                self._seen_ms, self._is_seen = now_ms, True
            if self._queue.gate is not Gate.PAUSED:
                # In a pause nobody is answered, and nobody is judged.
                self._passed_ms += now_ms - self._looked_ms
            self._looked_ms = now_ms
            is_over = self._passed_ms >= self.judge.seconds * 1000
            is_gone = now_ms - self._seen_ms >= ABSENT_MS and (self._is_seen or is_over)
            verdict = judge(self._score(), self._old, self.judge.answers, is_over=is_over, is_absent=is_gone)
            if verdict is Verdict.OPEN:
                self._alarm.set(LOOK_MS)
                return
            self._decide(verdict, "none of its workers is left" if is_gone else "")
        self._alarm.cancel()
        self._steering.on_judged(self._app, self.judge.new, self._figures())
        self._steering.front.dispatch(self._queue)

    def _decide(self, verdict: Verdict, why: str) -> None:
        self._verdict, self._why = verdict, why
        self._ended_with = self._score()
        self.close()
        self._steering.judged(self._app, self._queue, kept=verdict is Verdict.KEPT)
        self._alarm.set(0)

    def _figures(self) -> dict[str, Any]:
        return {
            "kept": self._verdict is Verdict.KEPT,
            "answers": self._ended_with.outcomes,
            "failed": self._ended_with.bad,
            "old": self.judge.old,
            "old_answers": self._old.outcomes,
            "old_failed": self._old.bad,
            **({"why": self._why} if self._why else {}),
        }


def _all_outcomes(label: Label) -> Score:
    """Since there is such a label."""
    return Score(label.answered + label.lost, label.failed + label.lost)
