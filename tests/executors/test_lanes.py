"""Which waiting call runs next: the decision alone, step by step and against a model that remembers everything."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from drawbar.executors.inspect import NONE, OVERLAP, QUICK, QUICK_REST, SLOW, TRACKED_CALLS, LanesProbe

NOW = 1_000_000_000
UNKNOWN = 0


def slots(maximum: int, *, slow: int = 0, quick: int = 0, due_ns: int = UNKNOWN, recent: bool = False) -> LanesProbe:
    """Slots with so many calls running, the slow ones due at `due_ns`. recent: a quick call was seen just now."""
    probe = LanesProbe(maximum)
    for _ in range(slow):
        probe.note_started(SLOW, due_ns)
    for _ in range(quick):
        probe.note_started(QUICK, UNKNOWN)
    if recent:
        probe.note_quick(NOW)
    return probe


@pytest.mark.parametrize(
    ("probe", "quick", "slow", "expected"),
    [
        pytest.param(slots(4), 0, 0, NONE, id="nothing-waits"),
        pytest.param(slots(4), 1, 0, QUICK, id="a-quick-one"),
        pytest.param(slots(4), 0, 1, SLOW, id="a-slow-one"),
        pytest.param(slots(4), 1, 9, QUICK, id="quick-goes-first"),
        pytest.param(slots(4, slow=4), 1, 1, NONE, id="all-slots-held-by-slow"),
        pytest.param(slots(4, quick=4), 1, 1, NONE, id="all-slots-held-by-quick"),
        pytest.param(slots(4, slow=3), 0, 1, SLOW, id="the-last-slot-when-no-quick-calls-are-about"),
        pytest.param(slots(4, slow=2, recent=True), 0, 1, SLOW, id="the-last-but-one-slot-always"),
        pytest.param(slots(4, slow=3, recent=True), 0, 1, NONE, id="the-last-slot-is-kept-for-quick-calls"),
        pytest.param(slots(4, slow=3, recent=True), 1, 1, QUICK, id="and-they-get-it"),
        pytest.param(slots(4, slow=2, quick=1, recent=True), 0, 1, SLOW, id="beside-a-quick-one-that-ends-soon"),
        pytest.param(slots(1, recent=True), 0, 1, SLOW, id="nothing-is-kept-from-a-pool-of-one"),
        pytest.param(slots(2, slow=1, recent=True), 0, 1, NONE, id="one-is-kept-from-a-pool-of-two"),
        pytest.param(slots(4, slow=3, recent=True, due_ns=NOW + OVERLAP - 1), 0, 1, SLOW, id="one-is-about-to-end"),
        pytest.param(slots(4, slow=3, recent=True, due_ns=NOW + OVERLAP), 0, 1, NONE, id="none-ends-soon-enough"),
        pytest.param(slots(4, slow=3, recent=True, due_ns=NOW), 0, 1, NONE, id="one-is-late-nobody-knows-how-much"),
    ],
)
def test_who_is_next(probe: LanesProbe, quick: int, slow: int, expected: int) -> None:
    assert probe.next_lane(quick, slow, NOW) == expected


def test_quick_calls_are_about_for_a_while_after_the_last() -> None:
    probe = slots(2, slow=1, recent=True)
    assert probe.next_lane(0, 1, NOW + QUICK_REST - 1) == NONE
    assert probe.next_lane(0, 1, NOW + QUICK_REST) == SLOW


@pytest.mark.parametrize(
    ("probe", "quick", "slow", "expected"),
    [
        pytest.param(slots(4), 0, 0, 0, id="nothing-waits"),
        pytest.param(slots(2, slow=2, recent=True), 0, 1, 0, id="no-slot-is-free"),
        pytest.param(slots(2, slow=1), 0, 1, 0, id="no-quick-calls-are-about"),
        pytest.param(slots(2, slow=1, recent=True), 0, 1, QUICK_REST, id="until-no-quick-calls-are-about"),
        pytest.param(
            slots(2, slow=1, recent=True, due_ns=NOW + OVERLAP + 7), 0, 1, 8, id="until-another-is-about-to-end"
        ),
        pytest.param(
            slots(2, slow=1, recent=True, due_ns=NOW + 9 * QUICK_REST), 0, 1, QUICK_REST, id="whichever-comes-first"
        ),
        pytest.param(slots(2, slow=1, recent=True, due_ns=NOW - 1), 0, 1, QUICK_REST, id="one-is-late"),
    ],
)
def test_when_time_alone_brings_another_answer(probe: LanesProbe, quick: int, slow: int, expected: int) -> None:
    wait = probe.look_again_ns(quick, slow, NOW)
    assert wait == expected
    if wait:
        assert probe.next_lane(quick, slow, NOW + wait - 1) == NONE
        assert probe.next_lane(quick, slow, NOW + wait) == SLOW


def test_a_call_that_ended_is_due_no_more() -> None:
    probe = slots(3, slow=1, recent=True)
    ticket = probe.note_started(SLOW, NOW + 1)
    assert probe.next_lane(0, 1, NOW) == SLOW
    probe.note_ended(SLOW, ticket)
    probe.note_started(SLOW, UNKNOWN)
    assert probe.next_lane(0, 1, NOW) == NONE


def test_calls_past_those_it_can_track_are_of_unknown_length() -> None:
    probe = LanesProbe(2 * TRACKED_CALLS)
    tickets = [probe.note_started(SLOW, NOW + OVERLAP) for _ in range(TRACKED_CALLS)]
    assert sorted(tickets) == list(range(TRACKED_CALLS))
    assert probe.note_started(SLOW, NOW + 1) == -1
    probe.note_ended(SLOW, tickets[7])
    assert probe.note_started(SLOW, NOW + 1) == tickets[7]
    assert probe.running == probe.running_slow == TRACKED_CALLS + 1


@given(
    maximum=st.integers(1, 20),
    slow_running=st.integers(0, 20),
    quick_running=st.integers(0, 20),
    quick=st.integers(0, 5),
    slow=st.integers(0, 5),
    elapsed=st.integers(0, 2 * QUICK_REST),
)
def test_a_slot_stays_free_only_for_a_reason(
    maximum: int, slow_running: int, quick_running: int, quick: int, slow: int, elapsed: int
) -> None:
    probe = slots(maximum, slow=min(slow_running, maximum), recent=True)
    for _ in range(min(quick_running, maximum - probe.running)):
        probe.note_started(QUICK, UNKNOWN)
    lane = probe.next_lane(quick, slow, NOW + elapsed)
    full = probe.running == maximum
    kept = maximum > 1 and probe.running_slow >= maximum - 1 and elapsed < QUICK_REST
    assert (lane == NONE) == (full or (not quick and (not slow or kept)))
    assert lane != QUICK or quick
    assert lane != SLOW or (slow and not quick)


class Lanes(RuleBasedStateMachine):
    """Calls come, start when the decision lets them, and end, over time that only goes forward."""

    def __init__(self) -> None:
        super().__init__()
        self.maximum = 3
        self.probe = LanesProbe(self.maximum)
        self.now = NOW
        self.waiting = {QUICK: 0, SLOW: 0}
        self.running: list[tuple[int, int, int]] = []
        self.quick_seen = 0

    @rule(ns=st.integers(1, 2 * QUICK_REST))
    def time_passes(self, ns: int) -> None:
        self.now += ns

    @rule()
    def quick_comes(self) -> None:
        self.waiting[QUICK] += 1
        self.quick_seen = self.now
        self.probe.note_quick(self.now)

    @rule()
    def slow_comes(self) -> None:
        self.waiting[SLOW] += 1

    @rule(takes=st.sampled_from([UNKNOWN, OVERLAP // 2, OVERLAP, 10 * OVERLAP]))
    def one_starts(self, takes: int) -> None:
        lane = self.probe.next_lane(self.waiting[QUICK], self.waiting[SLOW], self.now)
        if lane == NONE:
            return
        if lane == SLOW:
            assert self.waiting[QUICK] == 0
            self._check_last_slot()
        due = self.now + takes if takes and lane == SLOW else UNKNOWN
        self.waiting[lane] -= 1
        self.running.append((lane, self.probe.note_started(lane, due), due))

    def _check_last_slot(self) -> None:
        """A slow call may make all running ones slow only when nobody quick would wait long for it."""
        others = [due for lane, _, due in self.running if lane == SLOW]
        if len(others) < self.maximum - 1:
            return
        quick_about = self.quick_seen and self.now < self.quick_seen + QUICK_REST
        assert not quick_about or any(0 < due - self.now < OVERLAP for due in others)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def one_ends(self, data: st.DataObject) -> None:
        lane, ticket, _ = self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))
        self.probe.note_ended(lane, ticket)

    @invariant()
    def counts_agree(self) -> None:
        assert self.probe.running == len(self.running) <= self.maximum
        assert self.probe.running_slow == sum(lane == SLOW for lane, _, _ in self.running)

    @invariant()
    def nobody_starves(self) -> None:
        """With time passing and nothing quick coming, every free slot goes to whoever waits."""
        later = self.now + QUICK_REST
        free = len(self.running) < self.maximum
        lane = self.probe.next_lane(self.waiting[QUICK], self.waiting[SLOW], later)
        assert (lane != NONE) == (free and bool(self.waiting[QUICK] or self.waiting[SLOW]))


TestLanes = Lanes.TestCase
TestLanes.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
