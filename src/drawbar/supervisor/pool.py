"""The workers there are and the workers there should be: plain data, and what events do to it.

No process, signal, socket or clock is touched here. The master tells the pool what happened (the `on_…` methods),
asks `decisions.decide()` what to do, does it, and sleeps until `decisions.next_wake()`. `now` is any monotonic time in
seconds.

Invariants:
- A worker is stopped once, and killed once when its deadline has passed.
- A slot has at most one fit worker: of the current generation, starting or serving, and with no cause to be replaced.
- While a replacement boots, the worker it replaces serves on; a replacement that fails costs no worker. (Only
  the strategy `stop-first` gives this up, by its name.)
"""

import enum
import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from msgspec import Struct, field

DUMP_S = 1.0
"""For a worker that is about to be killed to write its stacks: well more than a handler needs."""


class Phase(enum.Enum):
    """A worker's life: STARTING -> READY -> STOPPING -> KILLED; death can come at any point."""

    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    KILLED = "killed"


class Strategy(enum.Enum):
    """How a reload replaces workers; as in the configuration."""

    ROLLING = "rolling"
    ALL = "all"
    STOP_FIRST = "stop-first"


class Cause(enum.Enum):
    """Why a worker is replaced, or ended without being asked; as metrics name it."""

    RELOAD = "reload"
    MAX_REQUESTS = "max-requests"
    MAX_MEMORY = "max-memory"
    MAX_AGE = "max-age"
    TIMEOUT = "timeout"
    LIVENESS = "liveness"
    REFORK = "refork"
    ORDER = "order"
    CRASH = "crash"
    BOOT = "boot"

    def is_urgent(self) -> bool:
        """The worker may be of no use to anybody until it is replaced."""
        return self in (Cause.TIMEOUT, Cause.LIVENESS)


class Timing(NamedTuple):
    """The pool's patience, in seconds."""

    graceful_s: float = 30.0
    """From the request to stop until a worker is killed."""
    hurry_s: float = 2.0
    """The same after a second request to stop; a third kills at once."""
    young_s: float = 1.0
    """A worker that dies within this time of being ready died young: its replacement waits."""
    backoff_first_s: float = 0.1
    """Wait after the first young death in a slot; each further one doubles it."""
    backoff_cap_s: float = 30.0
    """Longest such wait."""
    give_up_after: int = 5
    """Young deaths in one slot, no worker having ever been ready, after which the pool ends."""
    boot_s: float = 0.0
    """From a worker's start until it must be ready; 0: it may take as long as it likes."""
    max_age_s: float = 0.0
    """Age at which a worker is replaced; 0: never."""
    least_service_s: float = 1.0
    """A worker serves so long before its number of requests has it replaced. At full speed that number may pass in a
    blink, and starting workers would be what the server does most."""
    drain_delay_s: float = 0.0
    """From the request to stop until the workers are told."""


class Death(NamedTuple):
    """What a worker's end means, for the log."""

    slot: int
    phase: Phase
    expected: bool
    """It was told to stop, or everything stops."""
    retry_s: float | None
    """Seconds until the next attempt; None when there will be none of its own accord."""
    attempts: int = 0
    """Young deaths of this slot in a row, this one included."""


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
    started_at: float = -math.inf
    ready_at: float = math.inf
    asked_at: float = math.inf
    """When it was told to stop."""
    deadline: float = math.inf
    """When a stopping worker, or one that did not start in time, is killed."""
    failure: str | None = None
    """Its own account of why it could not start, or ours."""
    until: float = -math.inf
    """In a slot that is no more: it serves on until then."""
    until_generation: int = 0
    """In a slot that a reload takes away: it serves on until all workers there shall be serve, and are of this
    generation or a later one."""
    retiring: Cause | None = None
    """Why it is to be replaced, other than by a reload."""
    sated: bool = False
    """It has served its number of requests."""

    def is_serving(self) -> bool:
        return self.phase is Phase.READY

    def is_leaving(self) -> bool:
        return self.phase in (Phase.STOPPING, Phase.KILLED)

    def is_expected(self) -> bool:
        """It starts, and nothing is known against it."""
        return self.phase is Phase.STARTING and self.failure is None

    def is_late(self, now: float, boot_s: float) -> bool:
        """It should have been ready by now, and nobody has said so yet."""
        return boot_s > 0 and self.is_expected() and now >= self.started_at + boot_s

    def had_enough_at(self, least_service_s: float) -> float:
        """When it is to be replaced for its number of requests; never, if that is not there yet."""
        return self.ready_at + least_service_s if self.sated and self.retiring is None else math.inf

    def is_overdue(self, now: float) -> bool:
        return self.phase is not Phase.KILLED and now >= self.deadline

    def is_aged(self, now: float, max_age_s: float) -> bool:
        return max_age_s > 0 and self.is_serving() and self.retiring is None and now >= self.ready_at + max_age_s


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
    at: float = -math.inf
    """When the workers are told: until then they serve on."""


class Pool(Struct):
    """The workers there are and the workers there should be."""

    slots: list[Slot]
    timing: Timing = Timing()
    strategy: Strategy = Strategy.ROLLING
    patient: bool = False
    """Development: never give up; after a failed start wait for the next change."""
    stubborn: bool = False
    """Never give up, and try again by the clock: others serve meanwhile."""
    workers: list[Worker] = field(default_factory=list)
    generation: int = 1
    booted: bool = False
    """Some worker has once been ready."""
    held: bool = False
    """This generation failed to start where an earlier one serves on; the next change tries again."""
    barren: bool = False
    """There is nothing to fork workers from for now."""
    halted: bool = False
    """There shall be no workers for now (SIGWINCH); the next change that is ordered brings them back."""
    recalled: bool = False
    """That change has been ordered, and may take its time to come."""
    stops: int = 0
    ending: Ending | None = None

    def find(self, pid: int) -> Worker | None:
        return next((worker for worker in self.workers if worker.pid == pid), None)

    def of_slot(self, number: int) -> Iterator[Worker]:
        return (worker for worker in self.workers if worker.slot == number)

    def is_obsolete(self, worker: Worker) -> bool:
        """Another shall take its place."""
        return worker.generation != self.generation or worker.retiring is not None

    def is_fit(self, worker: Worker) -> bool:
        """It starts or serves, and nothing is against its staying."""
        return not worker.is_leaving() and not self.is_obsolete(worker)

    def is_settled(self) -> bool:
        """Each slot has its serving worker, and nobody else is about."""
        return len(self.workers) == len(self.slots) and all(
            any(self.is_fit(worker) and worker.is_serving() for worker in self.of_slot(slot.number))
            for slot in self.slots
        )

    # Events.

    def on_forked(self, slot: int, generation: int, pid: int, now: float = -math.inf) -> Worker:
        worker = Worker(slot, pid, generation, started_at=now)
        self.workers.append(worker)
        return worker

    def on_fork_failed(self, slot: int, now: float) -> None:
        """The system would not give a process: tried again like a young death, which it is."""
        self._died_young(self._slot(slot), now)

    def on_ready(self, worker: Worker, now: float) -> Boot:
        """The worker serves. One that was told to stop while it started stays on its way out."""
        slot = self._find_slot(worker.slot)
        boot = (
            Boot.AGAIN if slot is None or slot.served or slot.failures else Boot.ANOTHER if self.booted else Boot.FIRST
        )
        if worker.phase is Phase.STARTING:
            worker.phase, worker.ready_at, worker.deadline = Phase.READY, now, math.inf
        self.booted = True
        if slot is not None:
            slot.served = True
        return boot

    def on_due(self, worker: Worker, cause: Cause) -> bool:
        """The worker is to be replaced; False when that is known already, or it is going anyway."""
        if worker.is_leaving() or worker.retiring is not None:
            return False
        worker.retiring = cause
        return True

    def on_sated(self, worker: Worker) -> None:
        """It has served its number of requests."""
        worker.sated = True

    def on_late(self, worker: Worker, now: float) -> None:
        """It did not start in time, and was asked for its stacks."""
        worker.failure = f"it did not start within {self.timing.boot_s:g} s"
        worker.deadline = now + DUMP_S

    def on_asked_to_stop(self, worker: Worker, now: float) -> None:
        worker.phase, worker.asked_at = Phase.STOPPING, now
        worker.deadline = now + self.stop_patience()

    def on_killed(self, worker: Worker) -> None:
        if worker.phase is Phase.STOPPING:
            worker.phase = Phase.KILLED
        worker.deadline = math.inf

    def on_promoted(self, worker: Worker) -> None:
        """It is no worker any more but what workers are forked from: a new generation of them takes over."""
        self.workers.remove(worker)
        self.generation += 1

    def on_died(self, worker: Worker, now: float) -> Death:
        self.workers.remove(worker)
        slot = self._find_slot(worker.slot)
        if worker.is_leaving() or self.ending is not None or slot is None:
            return Death(worker.slot, worker.phase, expected=True, retry_s=None)
        if worker.phase is Phase.READY and now - worker.ready_at >= self.timing.young_s:
            slot.failures, slot.retry_at = 0, now
        else:
            self._died_young(slot, now)
        if worker.phase is Phase.STARTING:
            self._judge_failed_start(worker, slot)
        wanted = self.ending is None and not self.halted and not (self.held and self._waits(slot))
        retry_s = slot.retry_at - now if wanted else None
        return Death(worker.slot, worker.phase, expected=False, retry_s=retry_s, attempts=slot.failures)

    def on_stop(self, now: float, *, quick: bool = False) -> None:
        """Somebody asks the whole to stop: first gracefully (or quickly), then in haste, then at once."""
        self.stops += 2 if quick and self.stops == 0 else 1
        if self.ending is None:
            self.ending = Ending(code=0, at=now + self.timing.drain_delay_s)
        if self.stops > 1:
            self.ending.at = -math.inf
        for worker in self.workers:
            if worker.phase is Phase.STOPPING:
                worker.deadline = min(worker.deadline, now + self.stop_patience())

    def on_recall(self) -> None:
        """A change is ordered: with it halted workers come back, unless they are halted again before it comes."""
        self.recalled = self.halted

    def on_change(self) -> None:
        """The application is another: a new generation takes over, slot by slot."""
        self.generation += 1
        self.held = False
        self.halted = self.halted and not self.recalled
        self.recalled = False
        for slot in self.slots:
            slot.failures, slot.retry_at = 0, -math.inf

    def on_resize(
        self,
        count: int,
        until: Mapping[int, float] | None = None,
        *,
        on_trial: bool = False,
        go_first: Sequence[int] = (),
    ) -> None:
        """There shall be so many workers; a smaller number sends the highest slots away, some at a time `until`.

        on_trial: a reload wants it, which may fail, so nobody goes before the generation it begins serves. go_first:
        slots that go before the highest, in this order.
        """
        numbers = sorted((slot.number for slot in self.slots), reverse=True)
        order = dict.fromkeys([*(number for number in go_first if number in numbers), *numbers])
        going = list(order)[: max(0, len(numbers) - count)]
        self.slots = [slot for slot in self.slots if slot.number not in going]
        free = (number for number in itertools.count(1) if number not in numbers)
        self.slots += [Slot(number) for number in itertools.islice(free, count - len(self.slots))]
        self.slots.sort(key=lambda slot: slot.number)
        stay = {slot.number for slot in self.slots}
        for worker in self.workers:
            # One whose slot went earlier keeps its time.
            worker.until = -math.inf if worker.slot in stay else (until or {}).get(worker.slot, worker.until)
            worker.until_generation = self.generation + 1 if on_trial and worker.slot not in stay else 0

    def on_halt(self) -> None:
        """All workers go, the master stays."""
        self.halted, self.recalled = True, False

    def stop_patience(self) -> float:
        """Seconds a worker has that is asked to stop now."""
        if self.stops < 2:
            return self.timing.graceful_s
        return min(self.timing.hurry_s, self.timing.graceful_s) if self.stops == 2 else 0.0

    def _find_slot(self, number: int) -> Slot | None:
        return next((slot for slot in self.slots if slot.number == number), None)

    def _slot(self, number: int) -> Slot:
        slot = self._find_slot(number)
        assert slot is not None, "decisions are about slots there are"
        return slot

    def _waits(self, slot: Slot) -> bool:
        """A slot that gets no worker while the generation is held: what it has can stay."""
        return self.patient or any(
            worker.is_serving() and worker.retiring is None for worker in self.of_slot(slot.number)
        )

    def _died_young(self, slot: Slot, now: float) -> None:
        slot.failures += 1
        slot.retry_at = now + backoff(slot.failures, self.timing)

    def _judge_failed_start(self, worker: Worker, slot: Slot) -> None:
        if self.patient or any(other.is_serving() and other.generation < self.generation for other in self.workers):
            self.held = worker.generation == self.generation
        elif self.booted or self.stubborn:
            pass
        elif worker.failure is not None:
            self.ending = Ending(code=2, error=worker.failure, operator=True)
        elif slot.failures >= self.timing.give_up_after:
            self.ending = Ending(code=1, error=f"giving up: {slot.failures} attempts and no worker ever started")


def backoff(failures: int, timing: Timing) -> float:
    """Seconds to wait after the n-th young death in a row: doubling from the first to the cap."""
    # The exponent is held down only to stay within what a float can say.
    return min(timing.backoff_cap_s, timing.backoff_first_s * 2.0 ** min(failures - 1, 60))
