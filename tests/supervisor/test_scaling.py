"""How many processes an application has: the rules one by one, and a small world that is left to them."""

import math

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from drawbar.supervisor.scaling import Facts, Scale, Scaling, Staff, fits_into, order_of_leaving

SCALE = Scale(least=0, most=3, wait_s=0.1, idle_s=60.0)


def decided(facts: Facts, staff: Staff, now: float = 100.0, scale: Scale = SCALE) -> int:
    scaling = Scaling(scale)
    scaling.on_facts(facts, staff, now)
    return scaling.decide(staff, now)


def test_who_comes_to_nobody_starts_the_first() -> None:
    assert decided(Facts(queued=1, peak=1), Staff(0, 0)) == 1
    assert decided(Facts(), Staff(0, 0)) == 0


def test_who_waits_too_long_starts_one_more() -> None:
    waiting = Facts(queued=5, oldest_s=0.2, busy=1, peak=6)
    assert decided(waiting, Staff(1, 1)) == 2
    assert decided(waiting._replace(oldest_s=0.1), Staff(1, 1)) == 1
    assert decided(waiting, Staff(3, 3)) == 3


def test_the_next_one_waits_until_the_last_one_had_its_chance() -> None:
    waiting = Facts(queued=5, oldest_s=9.0, busy=1, peak=6)
    assert decided(waiting, Staff(1, 0)) == 1
    assert decided(waiting, Staff(2, 2, ready_at=99.95)) == 2
    assert decided(waiting, Staff(2, 2, ready_at=99.9)) == 3


def test_one_decision_is_not_made_twice_on_the_same_facts() -> None:
    scaling = Scaling(SCALE)
    scaling.on_facts(Facts(queued=5, oldest_s=9.0, busy=1, peak=6), Staff(1, 1), 100.0)
    assert scaling.decide(Staff(1, 1), 100.0) == 2
    assert scaling.decide(Staff(2, 2), 100.0) == 2


@pytest.mark.parametrize(
    ("facts", "serving", "processes", "fits"),
    [
        (Facts(), 0, 0, True),
        (Facts(room=4, peak=1), 1, 0, False),
        (Facts(busy=4, room=4, peak=4), 2, 1, True),
        (Facts(busy=4, room=4, peak=5), 2, 1, False),
        (Facts(busy=1, room=0, peak=1), 1, 1, True),
        (Facts(queued=1, peak=1), 0, 1, False),
    ],
)
def test_what_was_under_way_fits_or_does_not(facts: Facts, serving: int, processes: int, fits: bool) -> None:
    assert fits_into(facts, Staff(serving, serving), processes) is fits


def test_fewer_when_one_less_was_enough_for_a_while() -> None:
    scaling, little = Scaling(SCALE), Facts(busy=1, room=7, peak=2)
    for now, wanted in ((0.0, 2), (30.0, 2), (59.0, 2), (60.0, 1)):
        scaling.on_facts(little, Staff(2, 2), now)
        assert scaling.decide(Staff(2, 2), now) == wanted
    # The last one goes only when nothing was under way.
    scaling.on_facts(little._replace(room=3), Staff(1, 1), 200.0)
    assert scaling.decide(Staff(1, 1), 200.0) == 1


def test_a_busy_moment_begins_the_while_anew() -> None:
    scaling, little = Scaling(SCALE), Facts(busy=1, room=7, peak=2)
    scaling.on_facts(little, Staff(2, 2), 0.0)
    scaling.on_facts(little._replace(peak=8), Staff(2, 2), 50.0)
    scaling.on_facts(little, Staff(2, 2), 59.0)
    assert scaling.decide(Staff(2, 2), 61.0) == 2
    assert scaling.decide(Staff(2, 2), 119.0) == 1


def test_in_silence_the_clock_alone_decides_and_otherwise_never() -> None:
    scaling = Scaling(SCALE)
    assert scaling.due_at(Staff(0, 0)) == math.inf
    scaling.on_facts(Facts(room=8), Staff(2, 2), 10.0)
    assert scaling.due_at(Staff(2, 2)) == 70.0
    assert scaling.decide(Staff(2, 2), 70.0) == 1
    assert scaling.due_at(Staff(1, 1)) == 130.0
    assert scaling.decide(Staff(1, 1), 130.0) == 0
    assert scaling.due_at(Staff(0, 0)) == math.inf
    scaling.on_facts(Facts(busy=1, room=7, peak=1), Staff(2, 2), 10.0)
    assert scaling.due_at(Staff(2, 2)) == math.inf


def test_a_number_outside_of_the_range_is_brought_back() -> None:
    assert decided(Facts(), Staff(9, 9)) == 3
    assert decided(Facts(), Staff(1, 1), scale=Scale(2, 4, 0.1, 60.0)) == 2


# A world of one application, a tick at a time.

TICK_S = 0.05


class World:
    """Requests come, wait, are worked on and go; a process takes `boot` ticks to start and has `slots`."""

    def __init__(self, scale: Scale, slots: int, boot: int) -> None:
        self.scaling = Scaling(scale)
        self.slots = slots
        self.boot = boot
        self.now = 0.0
        self.queue: list[float] = []
        self.working: list[int] = []
        self.starting: list[int] = []
        self.serving = scale.least
        self.wanted = scale.least
        self.ready_at = -math.inf
        self.longest = 0.0
        self.history = [self.wanted]

    def tick(self, lengths: list[int]) -> None:
        """Requests of these lengths come, everything goes on, and a decision is made."""
        self.now += TICK_S
        self.working = [left - 1 for left in self.working if left > 1]
        self.starting = [left - 1 for left in self.starting]
        if 0 in self.starting:
            self.serving += self.starting.count(0)
            self.starting = [left for left in self.starting if left]
            self.ready_at = self.now
        self.lengths = [*getattr(self, "lengths", []), *lengths]
        self.queue += [self.now] * len(lengths)
        peak = len(self.queue) + len(self.working)
        while self.queue and len(self.working) < self.serving * self.slots:
            self.longest = max(self.longest, self.now - self.queue.pop(0))
            self.working.append(self.lengths.pop(0))
        self._decide(peak)

    def _decide(self, peak: int) -> None:
        staff = Staff(self.wanted, self.serving, self.ready_at)
        busy = len(self.working)
        oldest_s = self.now - self.queue[0] if self.queue else 0.0
        room = max(0, self.serving * self.slots - busy)
        facts = Facts(len(self.queue), oldest_s, busy, room, peak)
        self.scaling.on_facts(facts, staff, self.now)
        wanted = self.scaling.decide(staff, self.now)
        if wanted > self.wanted:
            self.starting += [self.boot] * (wanted - self.wanted)
        # The newest go first; one that has not come to serve goes before those that do.
        for _ in range(self.wanted - wanted):
            if self.starting:
                self.starting.pop()
            else:
                self.serving -= 1
        self.wanted = wanted
        self.history.append(wanted)


scales = st.builds(
    lambda least, more, wait, idle: Scale(least, max(1, least + more), wait, idle),
    st.integers(0, 3),
    st.integers(0, 4),
    st.sampled_from([0.05, 0.1, 1.0]),
    st.sampled_from([0.2, 1.0, 5.0]),
)
loads = st.lists(st.lists(st.integers(1, 40), max_size=4), max_size=120)


@settings(max_examples=200, deadline=None)
@given(scale=scales, load=loads, slots=st.integers(1, 4), boot=st.integers(1, 30))
def test_whatever_comes_the_range_holds_nobody_waits_for_ever_and_silence_brings_it_down(
    scale: Scale, load: list[list[int]], slots: int, boot: int
) -> None:
    world = World(scale, slots, boot)
    for lengths in load:
        world.tick(lengths)
    work = sum(map(len, load))
    # All is done at last: in silence, with one process at the least while anybody waits.
    patience = 60 + boot + 41 * (work + 1)
    for _ in range(patience):
        world.tick([])
    assert not world.queue
    assert not world.working
    for _ in range(math.ceil(scale.idle_s / TICK_S + 2) * scale.most):
        world.tick([])
    assert world.wanted == scale.least
    assert all(scale.least <= wanted <= scale.most for wanted in world.history)
    assert all(abs(after - before) <= 1 for before, after in zip(world.history, world.history[1:], strict=False))


@pytest.mark.parametrize(
    ("loads", "order"),
    [
        ({}, []),
        ({1: 0, 2: 0, 3: 0}, [3, 2, 1]),
        ({1: 0, 2: 4, 3: 1}, [1, 3, 2]),
        # Who does not serve yet has nothing, and no room either.
        ({1: 0, 2: -1, 3: 2}, [2, 1, 3]),
    ],
)
def test_who_has_least_to_do_goes_first(loads: dict[int, int], order: list[int]) -> None:
    assert order_of_leaving(loads) == order


@settings(max_examples=100, deadline=None)
@given(scale=scales, boot=st.integers(1, 10))
def test_more_than_all_can_do_brings_all_there_may_be(scale: Scale, boot: int) -> None:
    world = World(scale, 1, boot)
    ticks = (boot + math.ceil(scale.wait_s / TICK_S) + 3) * (scale.most + 1)
    for _ in range(ticks):
        world.tick([40, 40, 40])
    assert world.wanted == scale.most


@settings(max_examples=100, deadline=None)
@given(length=st.integers(1, 8), boot=st.integers(1, 10))
def test_what_one_process_can_do_brings_no_second(length: int, boot: int) -> None:
    world = World(Scale(1, 4, 1.0, 5.0), 1, boot)
    for _ in range(50):
        world.tick([length])
        for _ in range(length):
            world.tick([])
    assert set(world.history) == {1}
