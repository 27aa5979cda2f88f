"""From one version to the next: the steps, and what holds whatever happens."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from drawbar.config import OperatorError
from drawbar.pull.traffic import Judge, Traffic
from drawbar.supervisor.deploying import (
    ANSWERS,
    Deploy,
    Failed,
    Kept,
    Moved,
    Stage,
    Step,
    Stop,
    Want,
    Wish,
    in_words,
    present_version,
)

V8 = Wish("app", "v8", timeout_s=30.0, judge_s=60.0)
GOOD = {"kept": True, "answers": 50, "failed": 1, "old_answers": 50, "old_failed": 0}
BAD = {"kept": False, "answers": 6, "failed": 6, "old_answers": 50, "old_failed": 0}


def deploy(traffic: Traffic | None = None, wish: Wish = V8, **labels: int) -> Deploy:
    return Deploy(wish, traffic or Traffic(), labels or {"v7": 1}, now=100.0)


def test_a_version_that_is_kept() -> None:
    subject = deploy()
    held = Traffic(held=("v8",))
    assert subject.begin(Traffic()) == [Want(held)]
    trial = Traffic(weights={"v8": 1.0}, judge=Judge("v8", "v7", ANSWERS, 60.0))
    assert subject.on_there(held) == [Want(trial)]
    assert subject.on_there(trial) == []
    assert subject.on_holds() == [Moved()]
    assert subject.on_holds() == []
    assert subject.on_judged(GOOD) == [Kept("1 of 50 answers failed, of the last 50 of v7 0", GOOD), Stop("v7")]
    assert subject.stage is Stage.OVER


def test_a_version_that_is_worse() -> None:
    subject = deploy(Traffic(weights={"v7": 9.0, "v8": 1.0}), v7=1, v8=1)
    assert subject.begin(Traffic()) == []
    [want] = subject.on_there(Traffic(weights={"v7": 9.0, "v8": 1.0}))
    assert isinstance(want, Want)
    assert want.traffic.judge is not None
    assert want.traffic.judge.back == {"v7": 9.0}
    subject.on_holds()
    why = "v8 is worse than v7: 6 of 6 answers failed, of the last 50 of v7 0"
    assert subject.on_judged(BAD) == [Failed(why, BAD), Stop("v8")]


def test_a_verdict_may_come_before_the_news_that_the_queue_has_moved() -> None:
    subject = deploy()
    subject.on_there(Traffic())
    assert subject.on_judged(GOOD)[0] == Moved()


@pytest.mark.parametrize("labels", [{"v7": 1}, {}])
def test_without_a_trial_or_an_old_version_it_is_over_when_it_has_moved(labels: dict[str, int]) -> None:
    wish = V8._replace(judge_s=0.0) if labels else V8
    subject = Deploy(wish, Traffic(), labels, now=100.0)
    assert subject.on_there(Traffic(held=("v8",))) == [Want(Traffic(weights={"v8": 1.0}))]
    stops = [Stop("v7")] if labels else []
    assert subject.on_holds() == [Moved(), Kept("not judged", {}), *stops]


def test_nobody_comes() -> None:
    subject = deploy()
    subject.begin(Traffic())
    assert subject.wake_at() == 130.0
    assert subject.on_time(129.9) == []
    assert subject.on_time(130.0) == [
        Failed("no worker labelled v8 was there within 30 s", {}),
        Stop("v8", lets_go=True),
    ]
    assert subject.on_time(131.0) == []
    assert subject.wake_at() is None


def test_it_does_not_start() -> None:
    subject = deploy(Traffic(held=("v8",)))
    assert subject.on_not_started("no module named x") == [
        Failed("v8 does not start: no module named x", {}),
        # It was held before, and stays so.
        Stop("v8", lets_go=False),
    ]


def test_it_is_taken_back() -> None:
    subject = deploy(Traffic(weights={"v7": 1.0}))
    subject.on_there(Traffic(weights={"v7": 1.0}, held=("v8",)))
    now = Traffic(weights={"v8": 1.0}, gate="paused", judge=Judge("v8", "v7"))
    assert subject.on_cancelled("rolled back", now) == [
        Want(Traffic(weights={"v7": 1.0}, gate="paused", held=("v8",))),
        Failed("rolled back", {}),
        Stop("v8"),
    ]
    assert subject.on_cancelled("rolled back", now) == []


def test_what_has_everything_cannot_be_deployed() -> None:
    with pytest.raises(OperatorError, match="app: v8 has everything already"):
        deploy(Traffic(weights={"v8": 1.0, "v7": 0.0}))


@pytest.mark.parametrize(
    ("traffic", "labels", "expected"),
    [
        (Traffic(), {}, None),
        (Traffic(), {"v6": 1, "v7": 3}, "v7"),
        (Traffic(held=("v7",)), {"v6": 1, "v7": 3}, "v6"),
        (Traffic(retired=("v7",)), {"v7": 3}, None),
        (Traffic(weights={"v7": 1.0, "v6": 9.0}), {"v7": 3}, "v6"),
    ],
)
def test_the_version_that_serves(traffic: Traffic, labels: dict[str, int], expected: str | None) -> None:
    assert present_version(traffic, labels) == expected


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ({"answers": 0, "failed": 0}, "nobody asked"),
        ({"answers": 9, "failed": 1}, "1 of 9 answers failed"),
        ({"answers": 9, "failed": 1, "why": "none of its workers is left"}, "none of its workers is left"),
    ],
)
def test_figures_in_words(figures: dict[str, Any], expected: str) -> None:
    assert in_words(figures, "v7") == expected


class Machine(RuleBasedStateMachine):
    """Events in any order: it ends once, and the queue belongs to one of the two at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.traffic = Traffic()
        self.now = 0.0
        self.ends: list[Step] = []
        self.moved = 0
        self.stopped: list[str] = []
        self.subject = Deploy(V8, self.traffic, {"v7": 2}, self.now)
        self.take(self.subject.begin(self.traffic))

    def take(self, steps: list[Step]) -> None:
        for step in steps:
            if isinstance(step, Want):
                self.traffic = step.traffic
            elif isinstance(step, Moved):
                self.moved += 1
            elif isinstance(step, Kept | Failed):
                self.ends.append(step)
            else:
                self.stopped.append(step.label)
                if step.lets_go:
                    self.traffic = self.traffic.letting_go(step.label)

    @rule()
    def workers_are_there(self) -> None:
        self.take(self.subject.on_there(self.traffic))

    @rule()
    def the_front_follows(self) -> None:
        self.take(self.subject.on_holds())

    @precondition(lambda self: self.traffic.judge is not None)
    @rule(figures=st.sampled_from([GOOD, BAD]))
    def the_front_judges(self, figures: Mapping[str, Any]) -> None:
        self.traffic = self.traffic.judged(kept=bool(figures["kept"]))
        self.take(self.subject.on_judged(figures))

    @rule(seconds=st.floats(0, 40))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        self.take(self.subject.on_time(self.now))

    @rule()
    def it_does_not_start(self) -> None:
        self.take(self.subject.on_not_started("why"))

    @rule()
    def somebody_cancels(self) -> None:
        self.take(self.subject.on_cancelled("why", self.traffic))

    @rule(paused=st.booleans())
    def somebody_pauses(self, paused: bool) -> None:
        self.traffic = self.traffic.paused() if paused else self.traffic.resumed()

    @invariant()
    def it_ends_once(self) -> None:
        assert len(self.ends) == len(self.stopped) == (self.subject.stage is Stage.OVER)
        assert self.moved <= 1

    @invariant()
    def the_queue_belongs_to_somebody_who_stays(self) -> None:
        has_all = self.traffic.weights == {"v8": 1.0}
        if self.subject.stage is Stage.OVER:
            assert has_all is isinstance(self.ends[0], Kept)
            assert self.stopped == ["v7" if has_all else "v8"]
        elif self.subject.stage is Stage.WAITS:
            assert self.traffic.held == ("v8",)
        if not has_all:
            assert "v7" not in self.traffic.held


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=100, stateful_step_count=20)
