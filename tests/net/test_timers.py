"""The timer wheel against a dictionary of deadlines, which is all it has to be equal to."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drawbar.net.inspect import NEVER, WheelProbe

SLOTS = 512
TIMERS = 6

steps = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(0, TIMERS - 1), st.integers(0, 3 * SLOTS)),
        st.tuples(st.just("forget"), st.integers(0, TIMERS - 1), st.just(0)),
        st.tuples(st.just("remove"), st.integers(0, TIMERS - 1), st.just(0)),
        st.tuples(st.just("skip"), st.just(0), st.integers(0, 2 * SLOTS)),
        # Mostly small steps, now and then a leap over several turns of the wheel.
        st.tuples(st.just("pop"), st.just(0), st.one_of(st.integers(0, 20), st.integers(0, 5 * SLOTS))),
    ),
    max_size=60,
)


@given(start=st.integers(0, 10_000), script=steps)
@settings(max_examples=400, deadline=None)
def test_a_wheel_does_what_a_dictionary_of_deadlines_does(start: int, script: list[tuple[str, int, int]]) -> None:
    wheel = WheelProbe(TIMERS, start)
    deadlines: dict[int, int] = {}
    now = start
    handled = start - 1
    for what, number, amount in script:
        if what == "set":
            wheel.set(number, now + amount)
            # A tick that is over does not come again: what is due then is due with the next one.
            deadlines[number] = max(now + amount, handled + 1)
        elif what == "forget":
            wheel.forget(number)
            deadlines.pop(number, None)
        elif what == "remove":
            wheel.remove(number)
            deadlines.pop(number, None)
        elif what == "skip":
            now += amount
            wheel.skip(now)
        else:
            handled = now = now + amount
            due = wheel.pop_due(now)
            assert sorted(due) == sorted(number for number, deadline in deadlines.items() if deadline <= now)
            for each in due:
                del deadlines[each]
        assert wheel.next() <= min(deadlines.values(), default=NEVER)


def test_a_wheel_that_skips_files_nothing_among_the_past() -> None:
    wheel = WheelProbe(2, 0)
    wheel.skip(1_000_000)
    wheel.set(0, 1_000_100)
    assert wheel.next() == 1_000_100
    # What is filed is not skipped.
    wheel.skip(1_000_200)
    wheel.set(1, 1_000_300)
    assert wheel.next() == 1_000_100
    assert wheel.pop_due(1_000_200) == [0]


def test_an_empty_wheel_wakes_nobody() -> None:
    assert WheelProbe(1, 5).next() == NEVER


def test_a_deadline_moved_later_keeps_its_timer_quiet() -> None:
    wheel = WheelProbe(1, 0)
    wheel.set(0, 10)
    wheel.set(0, 20)
    assert wheel.pop_due(19) == []
    assert wheel.pop_due(20) == [0]


def test_a_deadline_moved_earlier_is_kept() -> None:
    wheel = WheelProbe(1, 0)
    wheel.set(0, 500)
    wheel.set(0, 3)
    assert wheel.next() <= 3
    assert wheel.pop_due(3) == [0]


@pytest.mark.parametrize("deadline", [SLOTS - 1, SLOTS, SLOTS + 1, 10 * SLOTS + 7])
def test_a_deadline_beyond_one_turn_waits_for_its_own(deadline: int) -> None:
    wheel = WheelProbe(1, 0)
    wheel.set(0, deadline)
    for tick in range(deadline):
        assert wheel.pop_due(tick) == []
    assert wheel.pop_due(deadline) == [0]


def test_a_wheel_left_alone_for_long_takes_new_deadlines() -> None:
    wheel = WheelProbe(1, 0)
    wheel.set(0, 1_000_000)
    assert wheel.pop_due(999_999) == []
    assert wheel.pop_due(1_000_000) == [0]
