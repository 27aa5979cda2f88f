"""How many connections to a front are dialled, and when: plain data, and what events do to it.

Pure: no clock, no socket, no thread; times come in as seconds of a monotonic clock, and what to log goes out as lines.

Invariants:
- There are never more connections, attached and being dialled, than slots.
- While a front does not answer, one attempt at a time asks whether it does again; the others follow when it does.
- What is wrong is told once, until it is something else or has passed. With a front that was there it is told when it
  lasts: fronts follow each other at a reload, an upgrade and a crash, and a worker that comes between two is well.
  That a front leaves in order is no warning, and whoever comes after it has that patience again.
"""

import enum
import math
import random
from collections.abc import Callable
from typing import Final, NamedTuple

from msgspec import Struct, field

FIRST_S: Final = 0.1
"""Shortest wait after a failure."""
CAP_S: Final = 10.0
"""Longest wait after a failure."""
GROWTH: Final = 3.0
"""The next wait is at most so many times the last one (decorrelated jitter)."""
REFUSED_S: Final = 30.0
"""About the wait after a refusal, which waiting does not mend: by half of it more or less, by lot."""
AT_ONCE: Final = 8
"""Attempts at the same time: a worker with many slots shall be there soon, and not be a burst of handshakes."""
PATIENCE_S: Final = 1.0
"""What is wrong for a shorter time, with a front that was there, is not told."""
YOUNG_MS: Final = 1000
"""A connection that ends within this time without having had a request was of no use: a failure."""


class Kind(enum.Enum):
    """What came of an attempt that failed."""

    FAILED = "the front is not there, or not well: it may be soon"
    LEAVING = "the front was told to stop: another one may take its place"
    REFUSED = "the front does not want this worker: somebody must change something"


class Failure(NamedTuple):
    """An attempt that failed, and why, in words."""

    kind: Kind
    why: str


class Line(NamedTuple):
    """What to write to the log."""

    level: str
    text: str


Chance = Callable[[float, float], float]


def next_delay(previous_s: float, chance: Chance) -> float:
    """Seconds to wait after one more failure: by lot between the shortest and a multiple of the last wait, capped."""
    return min(CAP_S, chance(FIRST_S, max(FIRST_S, previous_s * GROWTH)))


def refused_delay(chance: Chance) -> float:
    """Seconds to wait after a refusal."""
    return chance(REFUSED_S / 2, REFUSED_S * 1.5)


class Keeper(Struct):
    """The connections there are to one front and those there should be.

    front: its name in the log. as_whom: as what the worker attaches there.
    """

    front: str
    slots: int
    as_whom: str = ""
    chance: Chance = field(default=random.uniform)
    attached: int = 0
    dialling: int = 0
    failures: int = 0
    """In a row."""
    delay_s: float = FIRST_S
    """The last wait."""
    not_before: float = -math.inf
    """No attempt before."""
    paused: bool = False
    told: str = ""
    """What the log says is wrong; "" when nothing is."""
    known: bool = False
    """The log says that there is a connection."""
    wrong_since: float | None = None
    """When the first failure was since a connection was of use, or since a front that left."""
    leaving: bool = False
    """The last failure was that of a front that leaves."""

    def due(self, now: float) -> int:
        """Attempts to begin now."""
        if self.paused or now < self.not_before:
            return 0
        most = 1 if self.failures else AT_ONCE
        return max(0, min(self.slots - self.attached - self.dialling, most - self.dialling))

    def wake_at(self) -> float:
        """When to ask again, though nothing happened; infinite for never."""
        waits = not self.paused and self.attached + self.dialling < self.slots and not self.dialling
        return self.not_before if waits else math.inf

    def on_begun(self, count: int = 1) -> None:
        """Attempts have begun."""
        self.dialling += count

    def on_attached(self) -> Line | None:
        """An attempt has come to its end: there is a connection."""
        self.dialling -= 1
        self.attached += 1
        self.failures, self.delay_s, self.not_before = 0, FIRST_S, -math.inf
        if self.known and not self.told:
            return None
        self.told, self.known = "", True
        return Line("info", f"attached to {self.front}{self.as_whom}")

    def on_failed(self, failure: Failure, now: float) -> Line | None:
        """An attempt has come to nothing."""
        self.dialling -= 1
        return self._back_off(failure, now)

    def on_abandoned(self) -> None:
        """An attempt is given up, as it is not wanted any more."""
        self.dialling -= 1

    def on_closed(self, requests: int, lived_ms: int, now: float) -> Line | None:
        """A connection has ended that had so many requests. Another one is dialled at once, unless it was of no use."""
        self.attached -= 1
        if requests or lived_ms >= YOUNG_MS:
            self.wrong_since = None
            return None
        if self.paused:
            return None
        return self._back_off(Failure(Kind.FAILED, "it closes connections as soon as they are attached"), now)

    def _back_off(self, failure: Failure, now: float) -> Line | None:
        self.failures += 1
        # Of attempts that fail together the first decides: the others say the same once more.
        if self.not_before <= now:
            if failure.kind is Kind.REFUSED:
                wait_s = refused_delay(self.chance)
            else:
                wait_s = self.delay_s = next_delay(self.delay_s, self.chance)
            self.not_before = now + wait_s
        was_leaving, self.leaving = self.leaving, failure.kind is Kind.LEAVING
        if self.wrong_since is None or (was_leaving and not self.leaving):
            self.wrong_since = now
        is_passing = self.known and failure.kind is not Kind.REFUSED and now - self.wrong_since < PATIENCE_S
        if failure.why == self.told or is_passing:
            return None
        self.told = failure.why
        if failure.kind is Kind.REFUSED:
            return self._wrong("error", f"about every {REFUSED_S:g} s")
        return self._wrong("info" if self.leaving else "warning", f"at least every {CAP_S:g} s")

    def _wrong(self, level: str, how_often: str) -> Line:
        return Line(level, f"no connection to {self.front}: {self.told}; trying again, {how_often}")
