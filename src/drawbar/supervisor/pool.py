"""Which workers to fork, stop and kill, and when to give up: decisions over plain data.

No process, signal, socket or clock is touched here. The master tells the pool what happened (the `on_…` methods),
asks `decide()` what to do, does it, and sleeps until `next_wake()`. `now` is any monotonic time in seconds.

Invariants:
- `decide()` changes nothing; asking twice gives the same answer.
- A worker is stopped once, and killed once when its deadline has passed.
- A slot has at most one worker of the current generation that is starting or serving.
- While a replacement boots, the worker it replaces serves on; a replacement that fails costs no worker.
"""

import enum
import math
from typing import NamedTuple

from msgspec import Struct, field


class Phase(enum.Enum):
    """A worker's life: STARTING -> READY -> STOPPING -> KILLED; death can come at any point."""

    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    KILLED = "killed"


class Timing(NamedTuple):
    """The pool's patience, in seconds."""

    graceful_s: float = 30.0
    """From the request to stop until a worker is killed."""
    hurry_s: float = 2.0
    """The same after a second request to stop; a third kills at once."""
    young_s: float = 5.0
    """A worker that dies within this time of being ready died young: its replacement waits."""
    backoff_first_s: float = 0.1
    """Wait after the first young death in a slot; each further one doubles it."""
    backoff_cap_s: float = 30.0
    """Longest such wait."""
    give_up_after: int = 5
    """Young deaths in one slot, no worker having ever been ready, after which the pool ends."""


class Fork(NamedTuple):
    """Start a worker in this slot."""

    slot: int
    generation: int


class Stop(NamedTuple):
    """Ask this worker to finish what it has and go."""

    pid: int


class Kill(NamedTuple):
    """This worker had its time."""

    pid: int


class End(NamedTuple):
    """Nobody is left: the master may go, with this exit code."""

    code: int


Action = Fork | Stop | Kill | End


class Death(NamedTuple):
    """What a worker's end means, for the log."""

    slot: int
    phase: Phase
    expected: bool
    """It was told to stop, or everything stops."""
    retry_s: float | None
    """Seconds until the next attempt; None when there will be none of its own accord."""


class Boot(enum.Enum):
    """What it means that a worker is ready."""

    FIRST = "the server serves"
    ANOTHER = "one more of those that start with the server"
    AGAIN = "a replacement"


class Worker(Struct):
    """One child process."""

    slot: int
    pid: int
    generation: int
    phase: Phase = Phase.STARTING
    ready_at: float = math.inf
    asked_at: float = math.inf
    """When it was told to stop."""
    deadline: float = math.inf
    """When a stopping worker is killed."""
    failure: str | None = None
    """Its own account of why it could not start."""

    def is_serving(self) -> bool:
        return self.phase is Phase.READY

    def is_leaving(self) -> bool:
        return self.phase in (Phase.STOPPING, Phase.KILLED)

    def is_overdue(self, now: float) -> bool:
        return self.phase is Phase.STOPPING and now >= self.deadline


class Slot(Struct):
    """A place for one worker, with the memory of how its last ones fared."""

    number: int
    failures: int = 0
    """Young deaths in a row."""
    retry_at: float = -math.inf
    served: bool = False
    """Some worker of this slot has been ready."""


class Ending(Struct):
    """The pool comes to its end."""

    code: int
    error: str | None = None
    """Why it gave up; None when it was asked to stop."""
    operator: bool = False
    """The error is one the operator can mend: the application itself did not start."""


class Pool(Struct):
    """The workers there are and the workers there should be."""

    slots: list[Slot]
    timing: Timing = Timing()
    patient: bool = False
    """Development: never give up; after a failed start wait for the next change."""
    workers: list[Worker] = field(default_factory=list)
    generation: int = 1
    booted: bool = False
    """Some worker has once been ready."""
    held: bool = False
    """This generation failed to start where an earlier one serves on; the next change tries again."""
    stops: int = 0
    ending: Ending | None = None

    def find(self, pid: int) -> Worker | None:
        return next((worker for worker in self.workers if worker.pid == pid), None)

    def on_forked(self, action: Fork, pid: int) -> None:
        self.workers.append(Worker(action.slot, pid, action.generation))

    def on_fork_failed(self, action: Fork, now: float) -> None:
        """The system would not give a process: tried again like a young death, which it is."""
        self._died_young(self._slot(action.slot), now)

    def on_ready(self, worker: Worker, now: float) -> Boot:
        """The worker serves. One that was told to stop while it started stays on its way out."""
        slot = self._slot(worker.slot)
        boot = Boot.AGAIN if slot.served else Boot.ANOTHER if self.booted else Boot.FIRST
        if worker.phase is Phase.STARTING:
            worker.phase, worker.ready_at = Phase.READY, now
        self.booted = slot.served = True
        return boot

    def on_asked_to_stop(self, worker: Worker, now: float) -> None:
        worker.phase, worker.asked_at = Phase.STOPPING, now
        worker.deadline = now + self._stop_patience()

    def on_killed(self, worker: Worker) -> None:
        worker.phase = Phase.KILLED

    def on_died(self, worker: Worker, now: float) -> Death:
        self.workers.remove(worker)
        if worker.is_leaving() or self.ending is not None:
            return Death(worker.slot, worker.phase, expected=True, retry_s=None)
        slot = self._slot(worker.slot)
        if worker.phase is Phase.READY and now - worker.ready_at >= self.timing.young_s:
            slot.failures, slot.retry_at = 0, now
        else:
            self._died_young(slot, now)
        if worker.phase is Phase.STARTING:
            self._judge_failed_start(worker, slot)
        wanted = self.ending is None and _is_wanted(self, slot)
        return Death(worker.slot, worker.phase, expected=False, retry_s=slot.retry_at - now if wanted else None)

    def on_stop(self, now: float) -> None:
        """Somebody asks the whole to stop: first gracefully, then in haste, then at once."""
        self.stops += 1
        if self.ending is None:
            self.ending = Ending(code=0)
        for worker in self.workers:
            if worker.phase is Phase.STOPPING:
                worker.deadline = min(worker.deadline, now + self._stop_patience())

    def on_change(self) -> None:
        """The application is another: a new generation takes over, slot by slot."""
        self.generation += 1
        self.held = False
        for slot in self.slots:
            slot.failures, slot.retry_at = 0, -math.inf

    def _slot(self, number: int) -> Slot:
        return next(slot for slot in self.slots if slot.number == number)

    def _stop_patience(self) -> float:
        if self.stops < 2:
            return self.timing.graceful_s
        return min(self.timing.hurry_s, self.timing.graceful_s) if self.stops == 2 else 0.0

    def _died_young(self, slot: Slot, now: float) -> None:
        slot.failures += 1
        slot.retry_at = now + backoff(slot.failures, self.timing)

    def _judge_failed_start(self, worker: Worker, slot: Slot) -> None:
        if self.patient or any(other.is_serving() and other.generation < self.generation for other in self.workers):
            self.held = worker.generation == self.generation
        elif self.booted:
            pass
        elif worker.failure is not None:
            self.ending = Ending(code=2, error=worker.failure, operator=True)
        elif slot.failures >= self.timing.give_up_after:
            self.ending = Ending(code=1, error=f"giving up: {slot.failures} attempts and no worker ever started")


def backoff(failures: int, timing: Timing) -> float:
    """Seconds to wait after the n-th young death in a row: doubling from the first to the cap."""
    # The exponent is held down only to stay within what a float can say.
    return min(timing.backoff_cap_s, timing.backoff_first_s * 2.0 ** min(failures - 1, 60))


def decide(pool: Pool, now: float) -> list[Action]:
    """What is to be done now. Every action is to be carried out and noted with the `on_…` method of its name."""
    kills: list[Action] = [Kill(worker.pid) for worker in pool.workers if worker.is_overdue(now)]
    if pool.ending is not None:
        if not pool.workers:
            return [End(pool.ending.code)]
        return [*kills, *(Stop(worker.pid) for worker in pool.workers if not worker.is_leaving())]
    stops = [Stop(worker.pid) for worker in pool.workers if _is_obsolete(pool, worker)]
    return [*kills, *stops, *_forks(pool, now)]


def next_wake(pool: Pool) -> float | None:
    """When `decide()` may answer differently though nothing happened; None: only an event can change it."""
    times = [worker.deadline for worker in pool.workers if worker.phase is Phase.STOPPING]
    if pool.ending is None:
        times += [slot.retry_at for slot in pool.slots if _is_wanted(pool, slot)]
    return min(times, default=None)


def _forks(pool: Pool, now: float) -> list[Fork]:
    forks: list[Fork] = []
    for slot in pool.slots:
        if not _is_wanted(pool, slot) or now < slot.retry_at:
            continue
        # Replacements boot one at a time: a reload needs memory for one more worker, not for twice as many.
        if forks and _has_serving(pool, slot):
            break
        forks.append(Fork(slot.number, pool.generation))
    return forks


def _is_wanted(pool: Pool, slot: Slot) -> bool:
    """The slot needs a worker of this generation, now or when its back-off is over."""
    if any(_is_current(pool, worker) and worker.slot == slot.number for worker in pool.workers):
        return False
    if _has_serving(pool, slot):
        starting = any(_is_current(pool, worker) and worker.phase is Phase.STARTING for worker in pool.workers)
        return not pool.held and not starting
    return not (pool.held and pool.patient)


def _is_obsolete(pool: Pool, worker: Worker) -> bool:
    """An earlier generation's worker that never served, or whose place is taken."""
    if worker.is_leaving() or worker.generation == pool.generation:
        return False
    if worker.phase is Phase.STARTING:
        return True
    return any(
        other.slot == worker.slot and other.generation == pool.generation and other.is_serving()
        for other in pool.workers
    )


def _has_serving(pool: Pool, slot: Slot) -> bool:
    return any(worker.slot == slot.number and worker.is_serving() for worker in pool.workers)


def _is_current(pool: Pool, worker: Worker) -> bool:
    return worker.generation == pool.generation and not worker.is_leaving()
