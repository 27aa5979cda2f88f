"""Whether a new version of an app answers worse than the one before it. Pure.

Law: an outcome is an answer, or a worker that was lost with a request; it is bad when the answer was 5xx or broke off,
or the worker was lost. The new version is worse when of its first outcomes

- more than `TOLERATED` are bad, and
- more than `TIMES` the share that was bad among the old version's last ones, and
- at least `FEWEST` of them, so that no verdict hangs on one request.

It has failed as soon as that is certain, however well the rest went. It is kept when so many outcomes as were asked for
are there, or the time is over, and it is not worse. It has failed, too, when none of its workers is left.
"""

import enum
from typing import Final, NamedTuple

TOLERATED: Final = 0.1
"""Share of bad outcomes that no version is sent back for."""
TIMES: Final = 3.0
"""A version is worse from so many times the old one's share on: an app that is ill anyway shall not stop a deploy."""
FEWEST: Final = 3
"""Bad outcomes below which nothing is decided against a version."""
REMEMBERED: Final = 64
"""Last outcomes that are known of a version (`Label.recent`)."""


class Verdict(enum.Enum):
    """What is known so far."""

    OPEN = "open"
    KEPT = "kept"
    FAILED = "failed"


class Score(NamedTuple):
    """Outcomes of a version, and how many of them were bad."""

    outcomes: int = 0
    bad: int = 0

    @property
    def share(self) -> float:
        """Of the bad ones; 0 without outcomes."""
        return self.bad / self.outcomes if self.outcomes else 0.0


def last_outcomes(recent: int, outcomes: int) -> Score:
    """What a version's last outcomes were. recent: a bit for each, the lowest the last; outcomes: all there were."""
    known = min(outcomes, REMEMBERED)
    return Score(known, (recent & ((1 << known) - 1)).bit_count())


def is_worse(new: Score, old: Score) -> bool:
    """The rule."""
    return new.bad >= FEWEST and new.share > TOLERATED and new.share > TIMES * old.share


def judge(new: Score, old: Score, answers: int, *, is_over: bool = False, is_absent: bool = False) -> Verdict:
    """The verdict on `new`, of which so many outcomes are wanted.

    is_over: the time for it is. is_absent: its workers have left.
    """
    if is_absent:
        return Verdict.FAILED
    if is_over or new.outcomes >= answers:
        return Verdict.FAILED if is_worse(new, old) else Verdict.KEPT
    # Though all that are to come were good.
    return Verdict.FAILED if is_worse(Score(answers, new.bad), old) else Verdict.OPEN
