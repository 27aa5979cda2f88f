"""Which workers to fork, stop and kill, and when to give up: decisions over the pool's plain data.

`decide()` changes nothing, so asking twice gives the same answer; whoever carries an action out tells the pool by the
`on_…` method of its name. Memory is the measure of haste: a planned replacement needs room for one more worker, so
there is one at a time, from its fork until the worker it replaces is gone; gaps are filled at once.
"""

from typing import NamedTuple

from drawbar.supervisor.pool import Cause, Phase, Pool, Slot, Strategy, Worker


class Fork(NamedTuple):
    """Start a worker in this slot."""

    slot: int
    generation: int


class Retire(NamedTuple):
    """This worker's time is over: it is to be replaced."""

    pid: int
    cause: Cause


class Dump(NamedTuple):
    """This worker did not start in time: have it write where it hangs; it will be killed."""

    pid: int


class Stop(NamedTuple):
    """Ask this worker to finish what it has and go."""

    pid: int


class Kill(NamedTuple):
    """This worker had its time."""

    pid: int


class End(NamedTuple):
    """Nobody is left: the master may go, with this exit code."""

    code: int


Action = Fork | Retire | Dump | Stop | Kill | End


def decide(pool: Pool, now: float) -> list[Action]:
    """What is to be done now. Every action is to be carried out and noted with the `on_…` method of its name."""
    actions: list[Action] = [Kill(worker.pid) for worker in pool.workers if worker.is_overdue(now)]
    if pool.ending is not None:
        return [*actions, *_endings(pool, now)]
    timing = pool.timing
    actions += (Dump(worker.pid) for worker in pool.workers if worker.is_late(now, timing.boot_s))
    actions += (Retire(worker.pid, Cause.MAX_AGE) for worker in pool.workers if worker.is_aged(now, timing.max_age_s))
    actions += (
        Retire(worker.pid, Cause.MAX_REQUESTS)
        for worker in pool.workers
        if worker.is_serving() and now >= worker.had_enough_at(timing.least_service_s)
    )
    return [*actions, *_stops(pool, now), *_forks(pool, now)]


def next_wake(pool: Pool) -> float | None:
    """When `decide()` may answer differently though nothing happened; None: only an event can change it."""
    timing = pool.timing
    times = [worker.deadline for worker in pool.workers if worker.phase is not Phase.KILLED]
    times = [time for time in times if time < float("inf")]
    if pool.ending is not None:
        if any(not worker.is_leaving() for worker in pool.workers):
            times.append(pool.ending.at)
        return min((time for time in times if time > float("-inf")), default=None)
    for worker in pool.workers:
        if worker.until > float("-inf") and not worker.is_leaving() and _is_outlasted(pool, worker):
            times.append(worker.until)
        if timing.boot_s and worker.is_expected():
            times.append(worker.started_at + timing.boot_s)
        if worker.is_serving():
            times.append(worker.had_enough_at(timing.least_service_s))
        if timing.max_age_s and worker.is_serving() and worker.retiring is None:
            times.append(worker.ready_at + timing.max_age_s)
    times += [slot.retry_at for slot in pool.slots if _is_wanted(pool, slot) and _may_fork(pool, slot, [])]
    return min((time for time in times if time < float("inf")), default=None)


def _endings(pool: Pool, now: float) -> list[Action]:
    assert pool.ending is not None
    if not pool.workers:
        return [End(pool.ending.code)]
    # Before its time those that serve, serve on; who has not begun need not.
    return [
        Stop(worker.pid)
        for worker in pool.workers
        if not worker.is_leaving() and (now >= pool.ending.at or not worker.is_serving())
    ]


# Stopping.


def _stops(pool: Pool, now: float) -> list[Action]:
    numbers = {slot.number for slot in pool.slots}
    stops: list[Action] = []
    for worker in pool.workers:
        if worker.is_leaving():
            continue
        if worker.slot in numbers:
            goes = pool.is_obsolete(worker) and _may_go(pool, worker, stops)
        else:
            goes = not worker.is_serving() or (now >= worker.until and _is_outlasted(pool, worker))
        if goes or pool.halted:
            stops.append(Stop(worker.pid))
    return stops


def _is_outlasted(pool: Pool, worker: Worker) -> bool:
    """A worker of no slot need not wait for a new generation: none is awaited, or it serves."""
    if not worker.until_generation:
        return True
    return pool.generation >= worker.until_generation and all(
        any(pool.is_fit(other) and other.is_serving() for other in pool.of_slot(slot.number)) for slot in pool.slots
    )


def _may_go(pool: Pool, worker: Worker, stops: list[Action]) -> bool:
    """An obsolete worker that never served, whose place is taken, or whose turn it is to go first."""
    if not worker.is_serving():
        return True
    if _is_relieved(pool, worker):
        return True
    if not _goes_first(pool, worker):
        return False
    # One slot at a time is empty.
    return not stops and not _is_replacing(pool) and all(_has_serving(pool, slot) for slot in pool.slots)


def _goes_first(pool: Pool, worker: Worker) -> bool:
    return pool.strategy is Strategy.STOP_FIRST and worker.generation != pool.generation and not pool.held


# Forking.


def _forks(pool: Pool, now: float) -> list[Fork]:
    forks: list[Fork] = []
    for slot in pool.slots:
        if now >= slot.retry_at and _is_wanted(pool, slot) and _may_fork(pool, slot, forks):
            forks.append(Fork(slot.number, pool.generation))
    return forks


def _is_wanted(pool: Pool, slot: Slot) -> bool:
    """The slot needs a worker, now or when its back-off is over."""
    if pool.halted or pool.barren or any(pool.is_fit(worker) for worker in pool.of_slot(slot.number)):
        return False
    serving = [worker for worker in pool.of_slot(slot.number) if worker.is_serving()]
    if serving:
        # A failed reload is no reason to keep a worker that is to go for its own sake.
        due = not pool.held or (not pool.patient and any(worker.retiring is not None for worker in serving))
        return due and not any(_goes_first(pool, worker) for worker in serving)
    if pool.strategy is Strategy.STOP_FIRST and any(worker.is_leaving() for worker in pool.of_slot(slot.number)):
        return False
    return not (pool.held and pool.patient)


def _may_fork(pool: Pool, slot: Slot, forks: list[Fork]) -> bool:
    """Gaps are filled at once; replacements wait for each other, unless the strategy is to replace all at once."""
    serving = [worker for worker in pool.of_slot(slot.number) if worker.is_serving()]
    if not serving:
        return True
    if pool.strategy is Strategy.ALL and any(worker.generation != pool.generation for worker in serving):
        return True
    if any(_has_serving(pool, other) for other in pool.slots if any(fork.slot == other.number for fork in forks)):
        return False
    if any(worker.retiring is not None and worker.retiring.is_urgent() for worker in serving):
        return not _is_booting(pool)
    return not _is_replacing(pool)


def _is_booting(pool: Pool) -> bool:
    """Some replacement starts."""
    return any(
        pool.is_fit(worker) and not worker.is_serving() and _has_other_serving(pool, worker) for worker in pool.workers
    )


def _is_replacing(pool: Pool) -> bool:
    """Some replacement starts, or the worker it replaced is still on its way out."""
    return _is_booting(pool) or any(
        pool.is_obsolete(worker) and (worker.is_leaving() or _is_relieved(pool, worker)) for worker in pool.workers
    )


def _is_relieved(pool: Pool, worker: Worker) -> bool:
    """Its replacement serves."""
    return any(pool.is_fit(other) and other.is_serving() for other in pool.of_slot(worker.slot))


def _has_serving(pool: Pool, slot: Slot) -> bool:
    return any(worker.is_serving() for worker in pool.of_slot(slot.number))


def _has_other_serving(pool: Pool, worker: Worker) -> bool:
    return any(other.is_serving() for other in pool.of_slot(worker.slot) if other is not worker)
