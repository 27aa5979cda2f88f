"""Whether workers are well: what is read off the scoreboard and /proc now and then, and what follows from it.

Alive is a worker whose reactor moves, waits for events, or is inside the application; nobody asks an application
whether it is well, since a busy one has better things to do. The reading is cheap and rare, the judging pure.
"""

from typing import Final, NamedTuple

from drawbar.supervisor.pool import Cause

MEMORY_INTERVAL_S: Final = 1.0
"""Between two looks at the workers' memory, where there is a limit."""
REFORK_INTERVAL_S: Final = 1.0
"""Between two looks at the number of requests, where workers are forked anew after some."""
LIVENESS_LOOKS: Final = 4
"""Looks in the time a reactor may stand still: it is overrun by a quarter at most."""


class Vitals(NamedTuple):
    """What is known of one worker."""

    still_s: float
    """Seconds its reactor has not moved, though it neither waits nor calls the application; 0: it is well."""
    memory_bytes: int
    """Resident; 0: not looked at."""


def judge(vitals: Vitals, *, liveness_s: float, max_memory: int) -> Cause | None:
    """Why a worker is to be replaced; None when it is well. A limit of 0 is none."""
    if liveness_s and vitals.still_s >= liveness_s:
        return Cause.LIVENESS
    if max_memory and vitals.memory_bytes >= max_memory:
        return Cause.MAX_MEMORY
    return None


def interval(*, liveness_s: float, max_memory: int, refork: int = 0) -> float | None:
    """Seconds between two looks; None when there is nothing to look for."""
    intervals = [MEMORY_INTERVAL_S] if max_memory else []
    if refork:
        intervals.append(REFORK_INTERVAL_S)
    if liveness_s:
        intervals.append(liveness_s / LIVENESS_LOOKS)
    return min(intervals, default=None)


def stillness(leader: str, beat_ns: int, now_ns: int) -> float:
    """Seconds a reactor has not moved that ought to; `leader` and `beat_ns` as the worker's cell has them.

    Asleep until there are events, or inside the application, it need not move.
    """
    return max(0.0, (now_ns - beat_ns) / 1e9) if leader == "moves" and beat_ns else 0.0
