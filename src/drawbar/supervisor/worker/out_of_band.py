"""Work for a worker that has nothing else to do: when its moment has come, and that it is called then.

After a request has been answered a timer runs; when it is over the leading thread looks whether the worker is idle: no
call of the application runs or waits, and nothing can be read. If so it calls the hook, else it looks again a little
later. So a worker that is never idle never does the work, and one without requests never wakes up for it.

While the hook runs nobody leads: what arrives then waits for it, as it would wait for a collection of garbage.
"""

import os
import select
import time
from collections.abc import Callable

from drawbar.net.reactor import Reactor
from drawbar.supervisor.process import make_timer, set_timer

PAUSE_S = 0.01
"""From a request's end to the first look: the next request of the same client is often on its way."""

LOOK_AGAIN_S = 0.05
"""Between two looks of a worker that is busy."""

INTERVAL_S = 1.0
"""Between the end of one call and the next: with a collection of 50 ms, at most a twentieth of the worker's time."""


class OutOfBand:
    """Calls `work` when the worker is idle and has answered a request since the last time."""

    def __init__(self, work: Callable[[], object], clock: Callable[[], float] = time.monotonic) -> None:
        self._work = work
        self._clock = clock
        self._timer = -1
        self._due = False
        """The timer runs."""
        self._not_before = 0.0

    def attach(self, reactor: Reactor, is_busy: Callable[[], bool]) -> None:
        """Has `reactor` look, whose leading thread asks `is_busy` whether calls of the application run or wait."""
        self._reactor = reactor
        self._is_busy = is_busy
        self._ready = select.poll()
        self._ready.register(reactor.epoll_fd, select.POLLIN)
        self._timer = make_timer()
        reactor.watch(self._timer, self.look)

    def note(self, exchange: object) -> None:
        """A request has been answered. From any thread."""
        if not self._due:
            self._due = True
            self._set(max(PAUSE_S, self._not_before - self._clock()))

    def look(self) -> None:
        """The timer is over: calls `work` if the moment is right."""
        os.read(self._timer, 8)
        if self._reactor.is_draining():
            return
        if not self._is_idle():
            self._set(LOOK_AGAIN_S)
            return
        # Before the call: a request that is answered from another thread meanwhile counts for the next.
        self._due = False
        self._work()
        self._not_before = self._clock() + INTERVAL_S

    def close(self) -> None:
        """Lets go of the timer, after the reactor has been closed."""
        if self._timer >= 0:
            os.close(self._timer)
            self._timer = -1

    def _is_idle(self) -> bool:
        # No time to the next deadline: events of this turn are still to be handled, or connections to be resumed.
        return not self._is_busy() and self._reactor.next_timeout_ms() != 0 and not self._ready.poll(0)

    def _set(self, seconds: float) -> None:
        if self._timer >= 0:
            set_timer(self._timer, seconds)
