"""What is under way for an app, told to whoever decides how many processes it has.

Law: silence costs nothing. While nothing is under way no timer runs; the next request sets one. While requests find
room at once, their most at one time is told now and then. While some wait longer than they should, it is told again and
again, and at once when nobody is there at all. A pause makes requests wait by order: that is no reason for more
processes.
"""

from collections.abc import Callable
from typing import Final

from drawbar.net.reactor import Reactor
from drawbar.pull.call import Alarm
from drawbar.pull.front import Front
from drawbar.pull.queue import Gate, Watch
from drawbar.pull.reading import Reading

LEAST_MS: Final = 50
"""Between two looks: the reactor's clock knows no less."""
LOOKS: Final = 8
"""In the time that one process less must have been enough: it is known to an eighth of that."""


class Gauge:
    """Of one app. wait_ms: a request may wait so long. idle_ms: see LOOKS. tell: takes a reading."""

    def __init__(
        self,
        front: Front,
        app: str,
        reactor: Reactor,
        *,
        wait_ms: int,
        idle_ms: int,
        tell: Callable[[Reading], object],
    ) -> None:
        self._front = front
        self._queue = front.queues[app]
        self._wait_ms = wait_ms
        self._tell = tell
        self._soon_ms = max(LEAST_MS, wait_ms // 2)
        self._later_ms = max(LEAST_MS, idle_ms // LOOKS)
        self._alarm = Alarm(reactor, self._look)

    def begin(self) -> None:
        """Tells the first reading; whoever heard of another front's forgets that."""
        self._tell(self.read())
        self._rest()

    def read(self) -> Reading:
        """The reading now; the next one begins."""
        queue, held = self._queue, self._queue.gate is Gate.PAUSED
        return Reading(
            queued=0 if held else queue.queued,
            oldest_ms=0 if held else queue.oldest_ms(self._front.now_ms),
            busy=queue.leased,
            room=queue.eligible,
            peak=queue.take_peak(),
        )

    def on_watched(self) -> None:
        """A request has come, or one waits."""
        queue = self._queue
        if queue.queued and queue.gate is not Gate.PAUSED:
            if not queue.leased and not queue.eligible:
                self._tell(self.read())
            queue.watch = Watch.UNWATCHED
            self._alarm.set(self._soon_ms)
        elif queue.watch is Watch.WATCHED_FOR_ALL:
            self._go_on()

    def _look(self) -> None:
        queue = self._queue
        if queue.queued and queue.gate is not Gate.PAUSED:
            if queue.oldest_ms(self._front.now_ms) > self._wait_ms:
                self._tell(self.read())
            queue.watch = Watch.UNWATCHED
            self._alarm.set(self._soon_ms)
        elif queue.watch is Watch.UNWATCHED:
            # They have all been given out: what there was of them is told with the rest.
            self._go_on()
        else:
            reading = self.read()
            self._tell(reading)
            self._go_on() if reading.peak or queue.peak else self._rest()

    def _go_on(self) -> None:
        """Something is under way."""
        self._queue.watch = Watch.WATCHED_FOR_WAIT
        self._alarm.set(self._later_ms)

    def _rest(self) -> None:
        """Nothing is."""
        self._queue.watch = Watch.WATCHED_FOR_ALL
