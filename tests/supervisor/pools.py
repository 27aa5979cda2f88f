"""Pools and workers as tests describe them."""

import math

from drawbar.supervisor.pool import Phase, Pool, Slot, Timing, Worker

TIMING = Timing(graceful_s=30.0, hurry_s=2.0, young_s=5.0, backoff_first_s=0.1, backoff_cap_s=1.0, give_up_after=3)
STARTING, READY, STOPPING, KILLED = Phase.STARTING, Phase.READY, Phase.STOPPING, Phase.KILLED


def worker(slot: int, phase: Phase, generation: int = 1, deadline: float = math.inf) -> Worker:
    """One worker; its pid is ten times its slot plus its generation."""
    ready_at = 0.0 if phase is READY else math.inf
    return Worker(slot, slot * 10 + generation, generation, phase, ready_at=ready_at, deadline=deadline)


def pool(*workers: Worker, slots: int = 2, **fields: object) -> Pool:
    numbers = [Slot(number) for number in range(1, slots + 1)]
    return Pool(slots=numbers, timing=TIMING, workers=list(workers), **fields)  # type: ignore[arg-type]


def retrying(subject: Pool, slot: int, at: float) -> Pool:
    subject.slots[slot - 1].retry_at = at
    return subject
