"""How many connections are dialled and when: decisions over plain data, with clock and lot in the test's hand."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawbar.pull.keeping import (
    AT_ONCE,
    CAP_S,
    FIRST_S,
    PATIENCE_S,
    REFUSED_S,
    Failure,
    Keeper,
    Kind,
    next_delay,
    refused_delay,
)

DOWN = Failure(Kind.FAILED, "it cannot be reached: Connection refused")
LEAVING = Failure(Kind.LEAVING, "it is stopping")
SLOW = Failure(Kind.FAILED, "it does not answer within 10 s")
TOKEN = Failure(Kind.REFUSED, "it refuses the token")


def most(low: float, high: float) -> float:
    """A lot that always falls on the longest wait."""
    return high


def keeper(slots: int = 3) -> Keeper:
    """One without luck."""
    return Keeper("http://front:4242", slots, " as blog v7", chance=most)


def dialled(keeping: Keeper, now: float = 0.0) -> int:
    """Begins what is due."""
    count = keeping.due(now)
    keeping.on_begun(count)
    return count


def test_the_first_wait_is_short_and_each_further_one_longer_up_to_the_cap() -> None:
    waits, previous = [], FIRST_S
    for _ in range(6):
        previous = next_delay(previous, most)
        waits.append(round(previous, 3))
    assert waits == [0.3, 0.9, 2.7, 8.1, 10.0, 10.0]


@given(previous=st.floats(FIRST_S, CAP_S), seed=st.integers())
def test_a_wait_is_never_out_of_bounds(previous: float, seed: int) -> None:
    lot = random.Random(seed).uniform
    assert FIRST_S <= next_delay(previous, lot) <= min(CAP_S, previous * 3)
    assert REFUSED_S / 2 <= refused_delay(lot) <= REFUSED_S * 1.5


def test_all_slots_are_dialled_at_once() -> None:
    keeping = keeper(3)
    assert dialled(keeping) == 3
    assert dialled(keeping) == 0


def test_many_slots_are_dialled_in_portions() -> None:
    keeping = keeper(20)
    assert dialled(keeping) == AT_ONCE
    assert keeping.wake_at() == math.inf
    for _ in range(5):
        keeping.on_attached()
    assert dialled(keeping) == 5


def test_a_front_that_does_not_answer_is_asked_by_one_attempt_at_a_time() -> None:
    keeping = keeper(8)
    assert dialled(keeping, 100.0) == 8
    for _ in range(8):
        keeping.on_failed(DOWN, 100.0)
    # Eight that fail together are one failure.
    assert keeping.wake_at() == pytest.approx(100.3)
    assert keeping.due(100.2) == 0
    assert dialled(keeping, 100.3) == 1
    keeping.on_failed(DOWN, 100.3)
    assert keeping.wake_at() == pytest.approx(101.2)
    assert dialled(keeping, 101.2) == 1
    keeping.on_attached()
    assert dialled(keeping, 101.2) == 7


def test_a_refusal_is_tried_again_slowly() -> None:
    keeping = keeper()
    dialled(keeping)
    keeping.on_failed(TOKEN, 0.0)
    assert keeping.wake_at() == math.inf
    keeping.on_failed(TOKEN, 0.0)
    keeping.on_failed(TOKEN, 0.0)
    assert keeping.wake_at() == REFUSED_S * 1.5


def test_what_is_wrong_is_told_once_and_again_when_it_is_something_else() -> None:
    keeping = keeper()
    dialled(keeping)
    first = keeping.on_failed(DOWN, 0.0)
    assert first is not None
    assert first == (
        "warning",
        "no connection to http://front:4242: it cannot be reached: Connection refused; "
        "trying again, at least every 10 s",
    )
    assert keeping.on_failed(DOWN, 0.0) is None
    refused = keeping.on_failed(TOKEN, 0.0)
    assert refused == (
        "error",
        "no connection to http://front:4242: it refuses the token; trying again, about every 30 s",
    )
    dialled(keeping, 100.0)
    assert keeping.on_attached() == ("info", "attached to http://front:4242 as blog v7")
    dialled(keeping, 100.0)
    assert keeping.on_attached() is None
    keeping.on_closed(7, 90_000, 200.0)
    dialled(keeping, 200.0)
    # After it has been well, the same trouble is news.
    assert keeping.on_failed(TOKEN, 200.0) is not None


@pytest.mark.parametrize(("requests", "lived_ms"), [(1, 0), (0, 1000), (5, 90_000)])
def test_a_connection_that_was_of_use_is_dialled_anew_at_once(requests: int, lived_ms: int) -> None:
    keeping = keeper(1)
    dialled(keeping)
    keeping.on_attached()
    assert keeping.due(5.0) == 0
    assert keeping.on_closed(requests, lived_ms, 5.0) is None
    assert keeping.due(5.0) == 1


def test_a_front_that_closes_what_it_has_just_taken_is_not_dialled_in_a_circle() -> None:
    keeping = keeper(1)
    dialled(keeping)
    keeping.on_attached()
    assert keeping.on_closed(0, 3, 5.0) is None
    assert keeping.due(5.0) == 0
    assert keeping.due(5.3) == 1


def test_a_front_that_goes_on_closing_what_it_has_just_taken_is_told() -> None:
    keeping = keeper(1)
    now, lines = 5.0, []
    while now < 5.0 + 3 * PATIENCE_S:
        dialled(keeping, now)
        keeping.on_attached()
        lines.append(keeping.on_closed(0, 3, now))
        now = keeping.wake_at()
    first = next(line for line in lines if line is not None)
    assert "as soon as they are attached" in first.text


def test_fronts_that_follow_each_other_are_not_told() -> None:
    keeping = keeper(1)
    dialled(keeping)
    assert keeping.on_attached() is not None
    keeping.on_closed(0, 90_000, 200.0)
    dialled(keeping, 200.0)
    assert keeping.on_failed(DOWN, 200.0) is None
    dialled(keeping, 200.3)
    assert keeping.on_attached() is None
    # An hour later the same happens, and lasts.
    keeping.on_closed(9, 90_000, 4000.0)
    dialled(keeping, 4000.0)
    assert keeping.on_failed(DOWN, 4000.0) is None
    dialled(keeping, 4001.0)
    line = keeping.on_failed(DOWN, 4000.0 + PATIENCE_S)
    assert line is not None
    assert line.level == "warning"


def test_a_front_that_leaves_in_order_is_no_warning_and_its_successor_has_time() -> None:
    keeping = keeper(1)
    dialled(keeping)
    keeping.on_attached()
    keeping.on_closed(9, 90_000, 200.0)
    lines = []
    for now, failure in [(200.0, LEAVING), (200.9, LEAVING), (201.0, LEAVING), (230.0, DOWN), (230.9, DOWN)]:
        keeping.on_begun()
        lines.append(keeping.on_failed(failure, now))
    assert [line and line.level for line in lines] == [None, None, "info", None, None]
    keeping.on_begun()
    assert keeping.on_attached() == ("info", "attached to http://front:4242 as blog v7")


def test_a_front_that_left_and_has_no_successor_is_told() -> None:
    keeping = keeper(1)
    dialled(keeping)
    keeping.on_attached()
    keeping.on_closed(9, 90_000, 200.0)
    for now in (200.0, 201.0):
        keeping.on_begun()
        keeping.on_failed(LEAVING, now)
    for now, level in [(230.0, None), (231.0, "warning")]:
        keeping.on_begun()
        line = keeping.on_failed(DOWN, now)
        assert (line and line.level) == level


def test_a_pause_ends_dialling_and_its_end_begins_it() -> None:
    keeping = keeper(2)
    keeping.paused = True
    assert keeping.due(0.0) == 0
    assert keeping.wake_at() == math.inf
    keeping.paused = False
    assert dialled(keeping) == 2


EVENTS = st.lists(
    st.tuples(st.sampled_from(["dial", "attached", "failed", "refused", "closed", "abandoned"]), st.floats(0, 20)),
    max_size=80,
)


@given(slots=st.integers(1, 20), events=EVENTS)
def test_there_are_never_more_connections_than_slots_and_never_none_for_good(
    slots: int, events: list[tuple[str, float]]
) -> None:
    keeping = Keeper("front", slots, chance=most)
    now = 0.0
    for event, later in events:
        now += later
        if event == "dial":
            dialled(keeping, now)
        elif event == "closed" and keeping.attached:
            keeping.on_closed(0, 0, now)
        elif event != "closed" and keeping.dialling:
            if event == "attached":
                keeping.on_attached()
            elif event == "abandoned":
                keeping.on_abandoned()
            else:
                keeping.on_failed(TOKEN if event == "refused" else DOWN, now)
        assert 0 <= keeping.attached + keeping.dialling <= slots
    if not keeping.dialling and keeping.attached < slots:
        assert keeping.due(max(now, keeping.wake_at())) >= 1
