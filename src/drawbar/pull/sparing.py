"""A log that others can make lines in: what there is to say is said, but not as often as they like.

Law: of what comes within a span, the first few lines are passed on, and the rest is counted; its end tells how many
they were. Time is an argument, and nothing here waits: who says something asks for `due`, and comes back by then.
"""

from collections.abc import Callable
from typing import Final

SPAN_S: Final = 10.0
MOST_LINES: Final = 10
"""Of one span: enough to see who it is and why, and four a minute of a flood that goes on for days."""


class Sparing:
    """Passes lines on to `tell`, at most `most` of them within `span_s`, and one that counts the others."""

    def __init__(self, tell: Callable[[str], object], *, span_s: float = SPAN_S, most: int = MOST_LINES) -> None:
        self._tell = tell
        self._span_s = span_s
        self._most = most
        self._until: float | None = None
        self._said = 0
        self._unsaid = 0

    @property
    def due(self) -> float | None:
        """When settle() has something to say; None: not before something more is said."""
        return self._until if self._unsaid else None

    def say(self, line: str, now: float) -> None:
        """Passes a line on, or counts it."""
        self.settle(now)
        if self._until is None:
            self._until = now + self._span_s
        if self._said < self._most:
            self._said += 1
            self._tell(line)
        else:
            self._unsaid += 1

    def settle(self, now: float) -> None:
        """Ends a span that is over."""
        if self._until is not None and now >= self._until:
            self.finish()

    def finish(self) -> None:
        """Ends a span before its time: nothing more may come."""
        if self._unsaid:
            self._tell(f"{self._unsaid} more lines of this kind within {self._span_s:g} s were not written")
        self._until, self._said, self._unsaid = None, 0, 0
