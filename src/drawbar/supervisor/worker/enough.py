"""When a worker has served its number of requests: it says so once, and serves on until it is replaced."""

from collections.abc import Callable

from drawbar.config import LifecycleConfig
from drawbar.supervisor.child import RECYCLE

CAUSE = "max-requests"
"""As pool.Cause names it."""


def draw(least: int, most: int) -> int:
    """A whole number from `least` to `most`, both included."""
    import random  # four native modules come with it, and most servers draw nothing

    return random.randint(least, most)


class Enough:
    """Counts the requests of one worker up to its limit, to which chance adds, so that workers do not end together."""

    def __init__(
        self,
        lifecycle: LifecycleConfig,
        report: Callable[[str], None],
        chance: Callable[[int, int], int] = draw,
    ) -> None:
        """report: told "recycle max-requests". chance: a whole number from the first to the second, both included."""
        jitter = lifecycle.max_requests_jitter
        self.limit = lifecycle.max_requests + (chance(0, jitter) if jitter else 0) if lifecycle.max_requests else 0
        self._left = self.limit
        self._report = report

    def note(self, exchange: object) -> None:
        """A request has been answered."""
        self._left -= 1
        if self._left == 0:
            self._report(RECYCLE + CAUSE)
