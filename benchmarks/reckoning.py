"""What clients saw of numbered requests, held against what applications wrote down of them. Pure: lines in, sums out.

Clients' lines are those of steady.py's ledger: number, outcome, when it was asked and when that was known.
Applications' are those of apps.write_down(): number, process, and when it began. Times are monotonic, in ns, of one
machine.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

ANSWERED = "200"
BAD_GATEWAY = "502"
NS_PER_S = 1e9


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a request, as its client knows."""

    number: str
    outcome: str
    asked_ns: int
    ended_ns: int


@dataclass(frozen=True, slots=True)
class Run:
    """A call of an application."""

    number: str
    process: int
    began_ns: int


@dataclass(frozen=True, slots=True)
class Reckoning:
    """All of them together."""

    answered: int
    bad_gateway: int
    unanswered: int
    """Everything else: lost, reset, cut off, another status, another one's answer."""
    again: int
    """Run more than once, however they ended."""
    astray: int
    """Answered, and never run."""


def fates(lines: Iterable[str]) -> Iterator[Fate]:
    """Of a ledger."""
    for line in lines:
        number, outcome, asked, ended = line.split()
        yield Fate(number, outcome, int(asked), int(ended))


def runs(lines: Iterable[str]) -> Iterator[Run]:
    """Of what an application wrote down."""
    for line in lines:
        number, process, began, _ = line.split()
        yield Run(number, int(process), int(began))


def reckon(known: Iterable[Fate], ran: Iterable[Run]) -> Reckoning:
    """Holds one against the other."""
    known = list(known)
    times = Counter(run.number for run in ran)
    outcomes = Counter(fate.outcome for fate in known)
    return Reckoning(
        answered=outcomes[ANSWERED],
        bad_gateway=outcomes[BAD_GATEWAY],
        unanswered=len(known) - outcomes[ANSWERED] - outcomes[BAD_GATEWAY],
        again=sum(count > 1 for count in times.values()),
        astray=sum(fate.outcome == ANSWERED and not times[fate.number] for fate in known),
    )


def delays_s(known: Iterable[Fate], ran: Iterable[Run], since_ns: int) -> list[float]:
    """For each request that was answered after a moment: from then, or from its asking, to the run that was answered.

    That is its last one: whoever had it before is gone.
    """
    last = {run.number: run.began_ns for run in sorted(ran, key=lambda run: run.began_ns)}
    return [
        max(0, last[fate.number] - max(fate.asked_ns, since_ns)) / NS_PER_S
        for fate in known
        if fate.outcome == ANSWERED and fate.ended_ns > since_ns and fate.number in last
    ]
