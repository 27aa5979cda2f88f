"""What the master waits for: descriptors, and who is called when one of them can be read."""

import math
import select
from collections.abc import Callable
from typing import Final

LONGEST_MS: Final = 2**31 - 1
"""What poll(2) takes, 24.8 days. Who waits longer is woken once in that time, for nothing."""


class Poller:
    """poll(2) with a callback for each descriptor."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._callbacks: dict[int, Callable[[], None]] = {}

    def register(self, descriptor: int, callback: Callable[[], None]) -> None:
        """Has `callback` called each time the descriptor can be read, or has been hung up."""
        self._callbacks[descriptor] = callback
        self._poll.register(descriptor, select.POLLIN)

    def unregister(self, descriptor: int) -> None:
        """Forgets the descriptor; nothing when it is not known."""
        if self._callbacks.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)

    def wait(self, seconds: float | None, last: int) -> None:
        """Waits at most that long (None: for ever) and calls back; the descriptor `last` comes after all others."""
        timeout_ms = None if seconds is None else min(LONGEST_MS, math.ceil(max(0.0, seconds) * 1000))
        ready = [descriptor for descriptor, _ in self._poll.poll(timeout_ms)]
        for descriptor in sorted(ready, key=lambda descriptor: descriptor == last):
            # An earlier callback may have closed it.
            callback = self._callbacks.get(descriptor)
            if callback is not None:
                callback()
