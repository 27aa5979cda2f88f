"""The pool's decisions, by table: no process, no clock."""

import math

import pytest

from drawbar.supervisor.decisions import Action, Dump, End, Fork, Kill, Retire, Stop, decide, next_wake
from drawbar.supervisor.pool import Cause, Ending, Pool, Strategy, Worker
from tests.supervisor.pools import KILLED, READY, STARTING, STOPPING, TIMING, pool, retrying, worker


def retiring(subject: Worker, cause: Cause) -> Worker:
    subject.retiring = cause
    return subject


def sated(subject: Worker) -> Worker:
    subject.sated = True
    return subject


def aged(subject: Pool, max_age_s: float) -> Pool:
    subject.timing = TIMING._replace(max_age_s=max_age_s)
    return subject


def booting(*workers: Worker, started_at: float, **fields: object) -> Pool:
    for each in workers:
        each.started_at = started_at
    subject = pool(*workers, **fields)  # type: ignore[arg-type]
    subject.timing = TIMING._replace(boot_s=60.0)
    return subject


def late(subject: Worker) -> Worker:
    """One that was asked for its stacks and is to be killed at 100."""
    subject.failure, subject.deadline = "it did not start", 100.0
    return subject


def outlasting(subject: Worker, generation: int) -> Worker:
    """One in a slot that a reload takes away, which begins this generation."""
    subject.until_generation = generation
    return subject


ALL, STOP_FIRST = Strategy.ALL, Strategy.STOP_FIRST

DECISIONS: dict[str, tuple[Pool, list[Action], float | None]] = {
    "an empty pool is filled": (pool(), [Fork(1, 1), Fork(2, 1)], -math.inf),
    "a full pool is left alone": (pool(worker(1, READY), worker(2, STARTING)), [], None),
    "a gap is filled": (pool(worker(2, READY)), [Fork(1, 1)], -math.inf),
    "a gap that backs off is not filled yet": (retrying(pool(worker(2, READY)), 1, at=100.5), [], 100.5),
    "a gap whose back-off is over is filled": (retrying(pool(worker(2, READY)), 1, at=100.0), [Fork(1, 1)], 100.0),
    "a worker that leaves is replaced at once": (
        pool(worker(1, STOPPING, deadline=110.0), worker(2, READY)),
        [Fork(1, 1)],
        -math.inf,
    ),
    "replacements start one at a time": (
        pool(worker(1, READY), worker(2, READY), generation=2),
        [Fork(1, 2)],
        -math.inf,
    ),
    "the next replacement waits for the one that starts": (
        pool(worker(1, READY), worker(1, STARTING, 2), worker(2, READY), generation=2),
        [],
        None,
    ),
    "a replaced worker is stopped": (
        pool(worker(1, READY), worker(1, READY, 2), worker(2, READY), generation=2),
        [Stop(11)],
        None,
    ),
    "the next replacement waits for the one that leaves": (
        pool(worker(1, STOPPING, deadline=130.0), worker(1, READY, 2), worker(2, READY), generation=2),
        [],
        130.0,
    ),
    "the next replacement starts when it has left": (
        pool(worker(1, READY, 2), worker(2, READY), generation=2),
        [Fork(2, 2)],
        -math.inf,
    ),
    "gaps are filled at once during a reload": (pool(generation=2), [Fork(1, 2), Fork(2, 2)], -math.inf),
    "an outdated worker that starts is stopped": (
        pool(worker(1, READY), worker(1, STARTING, 2), generation=3, slots=1),
        [Stop(12), Fork(1, 3)],
        -math.inf,
    ),
    "a held reload leaves the former workers": (
        pool(worker(1, READY), worker(2, READY), generation=2, held=True),
        [],
        None,
    ),
    "a gap is filled though the reload is held": (
        pool(worker(1, READY), generation=2, held=True),
        [Fork(2, 2)],
        -math.inf,
    ),
    "development waits for a change, even with a gap": (
        pool(worker(1, READY), generation=2, held=True, patient=True),
        [],
        None,
    ),
    "a held reload keeps nobody who is to go for another reason": (
        pool(retiring(worker(1, READY), Cause.MAX_MEMORY), worker(2, READY), generation=2, held=True),
        [Fork(1, 2)],
        -math.inf,
    ),
    "nor does it by another strategy": (
        pool(retiring(worker(1, READY), Cause.ORDER), generation=2, held=True, strategy=STOP_FIRST, slots=1),
        [Fork(1, 2)],
        -math.inf,
    ),
    "in development it does, as nothing would start": (
        pool(retiring(worker(1, READY), Cause.ORDER), generation=2, held=True, patient=True, slots=1),
        [],
        None,
    ),
    "an overdue worker is killed": (
        pool(worker(1, STOPPING, deadline=100.0), worker(1, READY, 2), slots=1, generation=2),
        [Kill(11)],
        100.0,
    ),
    "a killed worker is only waited for": (
        pool(worker(1, KILLED, deadline=90.0), worker(1, READY, 2), slots=1, generation=2),
        [],
        None,
    ),
    "at the end all are stopped": (
        pool(worker(1, READY), worker(2, STARTING), ending=Ending(0)),
        [Stop(11), Stop(21)],
        None,
    ),
    "at the end nobody is replaced": (pool(worker(1, STOPPING, deadline=130.0), ending=Ending(0)), [], 130.0),
    "at the end the overdue are killed": (
        pool(worker(1, STOPPING, deadline=99.0), worker(2, KILLED), ending=Ending(0)),
        [Kill(11)],
        99.0,
    ),
    "with nobody left it ends": (pool(ending=Ending(3)), [End(3)], None),
    "before its end those that serve, serve on": (
        pool(worker(1, READY), worker(2, STARTING), ending=Ending(0, at=105.0)),
        [Stop(21)],
        105.0,
    ),
    "when the delay is over they are stopped": (
        pool(worker(1, READY), slots=1, ending=Ending(0, at=100.0)),
        [Stop(11)],
        100.0,
    ),
    "all at once": (
        pool(worker(1, READY), worker(2, READY), generation=2, strategy=ALL),
        [Fork(1, 2), Fork(2, 2)],
        -math.inf,
    ),
    "all at once still waits for a replacement to serve": (
        pool(
            worker(1, READY), worker(1, STARTING, 2), worker(2, READY), worker(2, READY, 2), generation=2, strategy=ALL
        ),
        [Stop(21)],
        None,
    ),
    "stop first": (
        pool(worker(1, READY), worker(2, READY), generation=2, strategy=STOP_FIRST),
        [Stop(11)],
        None,
    ),
    "stop first: its replacement waits until it is gone": (
        pool(worker(1, STOPPING, deadline=130.0), worker(2, READY), generation=2, strategy=STOP_FIRST),
        [],
        130.0,
    ),
    "stop first: then it starts": (
        pool(worker(2, READY), generation=2, strategy=STOP_FIRST),
        [Fork(1, 2)],
        -math.inf,
    ),
    "stop first: the next waits for the replacement to serve": (
        pool(worker(1, STARTING, 2), worker(2, READY), generation=2, strategy=STOP_FIRST),
        [],
        None,
    ),
    "stop first: then the next stops": (
        pool(worker(1, READY, 2), worker(2, READY), generation=2, strategy=STOP_FIRST),
        [Stop(21)],
        None,
    ),
    "stop first: none stops when its generation does not start": (
        retrying(pool(worker(2, READY), generation=2, strategy=STOP_FIRST, held=True), 1, at=101.0),
        [],
        101.0,
    ),
    "a worker that retires is replaced before it stops": (
        pool(retiring(worker(1, READY), Cause.MAX_REQUESTS), worker(2, READY)),
        [Fork(1, 1)],
        -math.inf,
    ),
    "two that retire are replaced one after the other": (
        pool(retiring(worker(1, READY), Cause.MAX_REQUESTS), retiring(worker(2, READY), Cause.MAX_MEMORY)),
        [Fork(1, 1)],
        -math.inf,
    ),
    "the second waits until the first has gone": (
        pool(
            retiring(worker(1, STOPPING, deadline=130.0), Cause.MAX_AGE),
            Worker(1, 99, 1, READY, ready_at=0.0),
            retiring(worker(2, READY), Cause.MAX_AGE),
        ),
        [],
        130.0,
    ),
    "one that hangs is not waited for": (
        pool(
            retiring(worker(1, STOPPING, deadline=130.0), Cause.TIMEOUT),
            Worker(1, 99, 1, READY, ready_at=0.0),
            retiring(worker(2, READY), Cause.TIMEOUT),
        ),
        [Fork(2, 1)],
        -math.inf,
    ),
    "a retiring worker stops when its replacement serves": (
        pool(retiring(worker(1, READY), Cause.MAX_AGE), Worker(1, 99, 1, READY, ready_at=0.0), slots=1),
        [Stop(11)],
        None,
    ),
    "stop first is for reloads only": (
        pool(retiring(worker(1, READY), Cause.MAX_AGE), slots=1, strategy=STOP_FIRST),
        [Fork(1, 1)],
        -math.inf,
    ),
    "a worker retires at its age": (aged(pool(worker(1, READY), slots=1), 100.0), [Retire(11, Cause.MAX_AGE)], 100.0),
    "a worker younger than that stays": (aged(pool(worker(1, READY), slots=1), 100.5), [], 100.5),
    "a worker that has served its requests is replaced": (
        pool(sated(worker(1, READY)), slots=1),
        [Retire(11, Cause.MAX_REQUESTS)],
        1.0,
    ),
    "however fast they came it serves for a while": (
        pool(sated(Worker(1, 11, 1, READY, ready_at=99.5)), slots=1),
        [],
        100.5,
    ),
    "fewer workers: the highest goes": (pool(worker(1, READY), worker(2, READY), slots=1), [Stop(21)], None),
    "fewer workers by a reload: the highest serves on while its fork server is prepared": (
        pool(worker(1, READY), outlasting(worker(2, READY), 2), slots=1),
        [],
        None,
    ),
    "and until the new generation serves": (
        pool(worker(1, READY), worker(1, STARTING, 2), outlasting(worker(2, READY), 2), slots=1, generation=2),
        [],
        None,
    ),
    "whatever the strategy": (
        pool(worker(1, READY), outlasting(worker(2, READY), 2), slots=1, generation=2, strategy=STOP_FIRST),
        [Stop(11)],
        None,
    ),
    "then it goes": (
        pool(worker(1, READY, 2), outlasting(worker(2, READY), 2), slots=1, generation=2),
        [Stop(21)],
        None,
    ),
    "one that has not begun to serve goes at once": (
        pool(worker(1, READY), outlasting(worker(2, STARTING), 2), slots=1),
        [Stop(21)],
        None,
    ),
    "more workers": (pool(worker(1, READY), slots=2), [Fork(2, 1)], -math.inf),
    "halted: all go and none comes": (
        pool(worker(1, READY), worker(2, STARTING), halted=True),
        [Stop(11), Stop(21)],
        None,
    ),
    "a start that takes too long is asked where it hangs": (
        booting(worker(1, STARTING), started_at=40.0, slots=1),
        [Dump(11)],
        100.0,
    ),
    "then it is killed": (booting(late(worker(1, STARTING)), started_at=40.0, slots=1), [Kill(11)], 100.0),
    "a start that is in time is waited for": (booting(worker(1, STARTING), started_at=41.0, slots=1), [], 101.0),
}


@pytest.mark.parametrize("name", DECISIONS)
def test_decides(name: str) -> None:
    subject, actions, wake = DECISIONS[name]
    before = repr(subject)
    assert decide(subject, now=100.0) == actions
    assert next_wake(subject) == wake
    assert repr(subject) == before, "a decision changes nothing"


def test_a_reload_goes_through_all_slots_one_by_one() -> None:
    """Carried out as the master would: never two replacements about, and never fewer serving than before."""
    subject = pool(*(worker(slot, READY) for slot in (1, 2, 3)), slots=3, booted=True)
    subject.on_change()
    pids = iter(range(1000, 2000))
    for now in range(100):
        for action in decide(subject, now):
            if isinstance(action, Fork):
                subject.on_forked(action.slot, action.generation, next(pids), now)
            elif isinstance(action, Stop):
                leaving = subject.find(action.pid)
                assert leaving is not None
                subject.on_asked_to_stop(leaving, now)
        assert sum(each.is_serving() for each in subject.workers) >= 3
        assert len(subject.workers) <= 4
        if subject.is_settled():
            break
        for each in subject.workers:
            if each.phase is STARTING:
                subject.on_ready(each, now)
                break
        else:
            gone = next(each for each in subject.workers if each.is_leaving())
            assert subject.on_died(gone, now).expected
    assert [each.generation for each in subject.workers] == [2, 2, 2]
