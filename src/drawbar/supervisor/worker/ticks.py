"""When a reactor that runs inside another loop is to look at its deadlines by itself.

A reactor of its own sleeps until its next deadline; inside asyncio or gevent the loop sleeps, and knows descriptors
only. With connections there are looks at short intervals, which cost less than a timer moved with each request. Without
any there is nothing to look at and no look, until the reactor says that there is again.

Except that the master may want to see the reactor move (`timeouts.liveness`): a loop that is blocked by a task of its
application shows in nothing else.
"""

from collections.abc import Callable
from typing import Final

from drawbar.net.reactor import Reactor

TICK_S: Final = 0.1
"""Between two looks at the connections' deadlines while there are connections: finer than the reactor's own ticks."""
BEATS: Final = 2
"""Looks of an idle reactor in the time it may stand still."""


class Ticks:
    """Has `turn` called when it is time for a look.

    set_timer: calls back once after so many seconds, or never for None; what it was set to before is forgotten.
    liveness_s: how long the reactor may stand still; 0: for ever.
    """

    def __init__(
        self,
        reactor: Reactor,
        turn: Callable[[], None],
        set_timer: Callable[[float | None, Callable[[], None]], None],
        liveness_s: float,
    ) -> None:
        self._reactor = reactor
        self._turn = turn
        self._set_timer = set_timer
        self._idle_s = liveness_s / BEATS if liveness_s else None

    def start(self) -> None:
        """Takes the first look, and sees to those that follow."""
        self._reactor.set_on_stir(self._stir)
        self._tick()

    def _tick(self) -> None:
        self._turn()
        self._set_timer(self._idle_s if self._reactor.rest() else TICK_S, self._tick)

    def _stir(self) -> None:
        self._set_timer(TICK_S, self._tick)
