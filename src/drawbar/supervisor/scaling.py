"""How many processes an application has, between a least and a most: more when requests wait, fewer when they need not.

Pure: facts and time come in, a number goes out, and who is to go first. The measure is how long requests wait for a
worker, and how much was under way at once; not the processor, which a worker that waits for a database leaves idle, and
not a rate of requests, which says nothing of how long each takes (docs/decisions).

Up: the one that waits longest has waited too long, and no start is under way: one more, and the next only when that one
has had its chance. From none: as soon as anybody waits. Down: for a while, everything under way would have fitted into
one process less: one fewer. To none only where that is the least, and then only when nothing at all was under way.

Invariant: the number is never outside of the range, and changes by one at a time within it.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

from msgspec import Struct


class Scale(NamedTuple):
    """The range, and what it takes to move in it."""

    least: int
    most: int
    wait_s: float
    """A request may wait so long before there is one process more."""
    idle_s: float
    """One process less must have been enough for so long."""


class Facts(NamedTuple):
    """What the front knows of an application's requests."""

    queued: int = 0
    oldest_s: float = 0.0
    """How long the one has waited that waits longest."""
    busy: int = 0
    """Requests that workers have."""
    room: int = 0
    """Further requests they could take."""
    peak: int = 0
    """Most that were under way at once, waiting or with a worker, since the facts before these."""

    @property
    def are_quiet(self) -> bool:
        """Nothing was or is under way."""
        return not (self.peak or self.queued or self.busy)


class Staff(NamedTuple):
    """The processes there are."""

    wanted: int
    """Their number, as it was last decided."""
    serving: int
    """How many of them serve by now."""
    ready_at: float = -math.inf
    """When the newest came to serve."""


class Scaling(Struct):
    """The memory of one application's decisions."""

    scale: Scale
    facts: Facts = Facts()
    fits_since: float = math.inf
    """Since when one process less would have been enough; inf: it would not be."""

    def on_facts(self, facts: Facts, staff: Staff, now: float) -> None:
        """Takes in what the front tells; it is about the time since it told last."""
        self.facts = facts
        fits = fits_into(facts, staff, staff.wanted - 1)
        self.fits_since = min(self.fits_since, now) if fits else math.inf

    def decide(self, staff: Staff, now: float) -> int:
        """How many there shall be."""
        least, most, wait_s, idle_s = self.scale
        wanted = min(max(staff.wanted, least), most)
        if wanted != staff.wanted:
            return self._change(wanted)
        if self.facts.queued and wanted == 0:
            return self._change(1)
        if self._is_short(staff, now, wait_s) and wanted < most:
            return self._change(wanted + 1)
        if wanted > least and now >= self.fits_since + idle_s:
            # What is left has to prove itself for as long.
            return self._change(wanted - 1, now if fits_into(self.facts, staff, wanted - 2) else math.inf)
        return wanted

    def due_at(self, staff: Staff) -> float:
        """When the clock alone decides something; inf: facts come before that. Busy fronts tell of themselves."""
        if staff.wanted > self.scale.least and self.facts.are_quiet:
            return self.fits_since + self.scale.idle_s
        return math.inf

    def _is_short(self, staff: Staff, now: float, wait_s: float) -> bool:
        had_its_chance = staff.serving >= staff.wanted and now >= staff.ready_at + wait_s
        return had_its_chance and self.facts.queued > 0 and self.facts.oldest_s > wait_s

    def _change(self, wanted: int, fits_since: float = math.inf) -> int:
        self.fits_since = fits_since
        # They are about those that were there: the next tell what came of it.
        self.facts = self.facts._replace(oldest_s=0.0)
        return wanted


def order_of_leaving(loads: Mapping[int, int]) -> list[int]:
    """Slots in the order in which they are given up: the least busy first, the highest of those that are alike.

    loads: requests under way, by slot; -1 where no worker serves.
    """
    return sorted(loads, key=lambda slot: (loads[slot], -slot))


def fits_into(facts: Facts, staff: Staff, processes: int) -> bool:
    """Whether what was under way at once would have had room in so many of the processes there are."""
    if facts.are_quiet:
        return True
    if processes < 1 or not staff.serving:
        return False
    each = (facts.busy + facts.room) / staff.serving
    return facts.peak <= each * processes
