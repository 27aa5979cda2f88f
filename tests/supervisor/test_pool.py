"""What events do to the pool's data, and what is then decided: no process, no clock."""

import pytest

from drawbar.supervisor.decisions import End, Fork, Stop, decide, next_wake
from drawbar.supervisor.pool import Boot, Cause, Death, Ending, backoff
from tests.supervisor.pools import READY, STARTING, STOPPING, TIMING, pool, worker


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 0.1), (2, 0.2), (3, 0.4), (4, 0.8), (5, 1.0), (6, 1.0), (100_000, 1.0)]
)
def test_backs_off_doubling_to_the_cap(failures: int, seconds: float) -> None:
    assert backoff(failures, TIMING) == seconds


def test_a_young_death_waits_longer_each_time() -> None:
    subject = pool(slots=1, booted=True)
    waits = []
    for attempt in range(3):
        subject.on_forked(1, 1, attempt)
        waits.append(subject.on_died(subject.workers[0], 50.0).retry_s)
    assert waits == pytest.approx([0.1, 0.2, 0.4])


def test_an_old_worker_is_replaced_at_once_and_its_slot_forgiven() -> None:
    subject = pool(worker(1, READY), slots=1, booted=True)
    subject.slots[0].failures = 4
    assert subject.on_died(subject.workers[0], 5.0) == Death(1, READY, expected=False, retry_s=0.0)
    assert subject.slots[0].failures == 0
    assert decide(subject, 5.0) == [Fork(1, 1)]


def test_one_slot_backs_off_alone() -> None:
    subject = pool(worker(1, STARTING), worker(2, READY), booted=True)
    subject.on_died(subject.workers[0], 100.0)
    subject.on_died(subject.workers[0], 100.0)
    assert decide(subject, 100.0) == [Fork(2, 1)]


def test_gives_up_when_none_ever_boots() -> None:
    subject = pool(slots=1)
    for attempt in range(TIMING.give_up_after):
        assert subject.ending is None
        subject.on_forked(1, 1, attempt)
        death = subject.on_died(subject.workers[0], 0.0)
    assert subject.ending == Ending(1, "giving up: 3 attempts and no worker ever started")
    assert death.retry_s is None
    assert decide(subject, 0.0) == [End(1)]


def test_never_gives_up_once_booted() -> None:
    subject = pool(slots=1, booted=True)
    for attempt in range(50):
        subject.on_forked(1, 1, attempt)
        assert subject.on_died(subject.workers[0], 0.0).retry_s is not None
    assert subject.ending is None


def test_a_stubborn_pool_never_gives_up_and_takes_no_failed_start_for_the_end() -> None:
    subject = pool(slots=1, stubborn=True)
    for attempt in range(2 * TIMING.give_up_after):
        subject.on_forked(1, 1, attempt).failure = "not right"
        assert subject.on_died(subject.workers[0], 0.0).retry_s is not None
    assert subject.ending is None
    assert next_wake(subject) == subject.slots[0].retry_at


def test_an_application_that_cannot_start_ends_the_pool_at_once() -> None:
    subject = pool(worker(1, STARTING), worker(2, STARTING))
    subject.workers[0].failure = "no such module"
    subject.on_died(subject.workers[0], 0.0)
    assert subject.ending == Ending(2, "no such module", operator=True)
    assert decide(subject, 0.0) == [Stop(21)]


def test_a_failed_start_after_the_first_boot_is_tried_again() -> None:
    subject = pool(worker(1, STARTING), worker(2, READY), booted=True)
    subject.workers[0].failure = "no such module"
    assert subject.on_died(subject.workers[0], 0.0).retry_s == pytest.approx(0.1)
    assert subject.ending is None


def test_a_failed_reload_keeps_the_former_worker_until_the_next_change() -> None:
    subject = pool(worker(1, READY), slots=1, booted=True)
    subject.on_change()
    subject.on_forked(1, 2, 12)
    assert subject.on_died(subject.workers[1], 0.0).retry_s is None
    assert decide(subject, 1000.0) == []
    subject.on_change()
    assert decide(subject, 1000.0) == [Fork(1, 3)]


def test_a_worker_that_is_to_go_is_tried_to_be_replaced_though_the_reload_is_held() -> None:
    subject = pool(worker(1, READY), slots=1, booted=True, generation=2, held=True)
    subject.on_due(subject.workers[0], Cause.ORDER)
    subject.on_forked(1, 2, 12)
    assert subject.on_died(subject.workers[1], 0.0).retry_s == pytest.approx(0.1)


def test_who_leaves_a_removed_slot_keeps_the_time_it_was_given() -> None:
    subject = pool(worker(1, READY), worker(2, READY), worker(3, READY), slots=3, booted=True)
    subject.on_resize(2, {3: 101.0})
    subject.on_resize(1, {2: 102.0})
    assert decide(subject, 100.0) == []
    assert decide(subject, 101.0) == [Stop(31)]
    subject.on_resize(2)
    assert decide(subject, 102.0) == [Stop(31)]


def test_who_is_to_go_first_goes_and_the_others_keep_their_slots() -> None:
    subject = pool(worker(1, READY), worker(2, READY), worker(3, READY), slots=3, booted=True)
    subject.on_resize(2, go_first=[1, 3, 2])
    assert [slot.number for slot in subject.slots] == [2, 3]
    assert decide(subject, 100.0) == [Stop(11)]
    subject.on_asked_to_stop(subject.workers[0], 100.0)
    # The lowest number that is free, and then those beyond.
    subject.on_resize(4)
    assert [slot.number for slot in subject.slots] == [1, 2, 3, 4]
    assert decide(subject, 100.0) == [Fork(1, 1), Fork(4, 1)]


def test_without_a_wish_the_highest_slots_go() -> None:
    subject = pool(worker(2, READY), worker(3, READY), slots=3, booted=True)
    subject.on_resize(1, go_first=[7])
    assert [slot.number for slot in subject.slots] == [1]


def test_development_waits_for_a_change_after_a_failed_first_start() -> None:
    subject = pool(worker(1, STARTING), slots=1, patient=True)
    subject.workers[0].failure = "syntax error"
    subject.on_died(subject.workers[0], 0.0)
    assert subject.ending is None
    assert decide(subject, 1000.0) == []
    subject.on_change()
    assert decide(subject, 0.0) == [Fork(1, 2)]


def test_an_outdated_start_that_dies_does_not_hold_the_new_one() -> None:
    subject = pool(worker(1, STARTING), slots=1, patient=True)
    subject.on_change()
    subject.on_died(subject.workers[0], 0.0)
    assert not subject.held


@pytest.mark.parametrize(("stops", "deadline"), [(1, 130.0), (2, 103.0), (3, 102.0)])
def test_each_request_to_stop_is_more_urgent(stops: int, deadline: float) -> None:
    subject = pool(worker(1, READY), slots=1)
    subject.on_stop(100.0)
    subject.on_asked_to_stop(subject.workers[0], 100.0)
    for extra in range(1, stops):
        subject.on_stop(100.0 + extra)
    assert subject.workers[0].deadline == deadline


def test_a_later_request_never_gives_more_time() -> None:
    subject = pool(worker(1, STOPPING, deadline=100.5), slots=1)
    subject.on_stop(100.0)
    subject.on_stop(100.0)
    assert subject.workers[0].deadline == 100.5


def test_deaths_while_stopping_are_expected() -> None:
    subject = pool(worker(1, READY), worker(2, STOPPING))
    assert subject.on_died(subject.workers[1], 0.0).expected
    subject.on_stop(0.0)
    assert subject.on_died(subject.workers[0], 0.0).expected


def test_tells_a_first_boot_from_the_others() -> None:
    subject = pool(worker(1, STARTING), worker(2, STARTING))
    assert [subject.on_ready(each, 0.0) for each in subject.workers] == [Boot.FIRST, Boot.ANOTHER]
    subject.on_died(subject.workers[0], 10.0)
    subject.on_forked(1, 1, 99)
    assert subject.on_ready(subject.workers[1], 10.0) is Boot.AGAIN


def test_that_a_first_boot_failed_before_makes_it_news() -> None:
    subject = pool(worker(1, READY), worker(2, STARTING), booted=True)
    subject.on_died(subject.workers[1], 10.0)
    assert subject.on_ready(subject.on_forked(2, 1, 99), 11.0) is Boot.AGAIN


def test_a_worker_told_to_stop_while_it_starts_does_not_count_as_serving() -> None:
    subject = pool(worker(1, STOPPING, deadline=5.0), slots=1)
    subject.on_ready(subject.workers[0], 0.0)
    assert subject.workers[0].phase is STOPPING


def test_a_fork_refused_by_the_system_is_tried_again_later() -> None:
    subject = pool(slots=1)
    subject.on_fork_failed(1, 100.0)
    assert decide(subject, 100.0) == []
    assert next_wake(subject) == pytest.approx(100.1)


def test_halted_workers_come_back_with_a_change_that_is_ordered() -> None:
    subject = pool(booted=True)
    subject.on_halt()
    subject.on_change()
    assert decide(subject, 0.0) == [], "nobody ordered this one"
    subject.on_recall()
    assert decide(subject, 0.0) == [], "it has not come yet"
    subject.on_change()
    assert decide(subject, 0.0) == [Fork(1, 3), Fork(2, 3)]


def test_whoever_halts_after_the_order_is_heard_last() -> None:
    subject = pool(booted=True)
    subject.on_recall()
    subject.on_halt()
    subject.on_change()
    assert decide(subject, 0.0) == []
    subject.on_recall()
    subject.on_halt()
    subject.on_change()
    assert decide(subject, 0.0) == []
