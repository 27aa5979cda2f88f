"""How a front that stops lets its workers go to whoever comes after it.

Law: a connection of a worker is of use here only while a client may still ask for something. Whoever has more than one
idle keeps one for the last requests of kept-alive clients, and none once every client's connection has its request or
its answer. A worker that is let go dials again, and is the next front's.
"""

from collections import Counter
from collections.abc import Callable
from typing import Final

from drawbar.net.reactor import Reactor
from drawbar.pull.api import Api
from drawbar.pull.call import Alarm
from drawbar.pull.front import Front

LOOK_MS: Final = 100
"""Between two looks for connections that are idle by now: the longest that a worker stays for nothing."""
KEPT: Final = 1
"""Idle connections of an app that stay for requests to come."""


def surplus(idle: int, queued: int, clients: int, running: int) -> int:
    """How many of an app's idle connections are of no use any more. Pure.

    clients: open connections, those whose requests are running included.
    """
    if queued:
        return 0
    return idle if clients <= running else max(idle - KEPT, 0)


class Leaving:
    """The end of a front: `begin()` when it is told to stop. on_begin: called first."""

    def __init__(self, front: Front, api: Api, reactor: Reactor, on_begin: Callable[[], object] = lambda: None) -> None:
        self._on_begin = on_begin
        self._front = front
        self._api = api
        self._reactor = reactor
        self._alarm = Alarm(reactor, self._look)

    def begin(self) -> None:
        """Sends away who asks for requests, and all but the last of those who are attached and have none."""
        self._on_begin()
        self._api.drain()
        self._look()

    def _look(self) -> None:
        queues = self._front.queues.values()
        running = sum(queue.leased for queue in queues)
        clients = self._reactor.connections
        left = {id(queue): surplus(queue.eligible, queue.queued, clients, running) for queue in queues}
        taken: Counter[int] = Counter()
        for connection in list(self._front.attached):
            key = id(connection.queue)
            if not connection.is_idle:
                continue
            if not connection.is_eligible:
                # It would get nothing here: its place is with the next front.
                connection.send_away()
            elif taken[key] < left[key]:
                taken[key] += 1
                connection.send_away()
        self._alarm.set(LOOK_MS)
