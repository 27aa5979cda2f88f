"""The front's end of the channel to its master: follows orders, tells news.

Law: orders are followed in the turn in which they come, and each is answered by a line that says what holds then. A
front never waits for its master: what a full pipe does not take is kept, and told later.
"""

import os
import select
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from drawbar.net.reactor import Reactor
from drawbar.pull.call import Alarm
from drawbar.pull.front import Front
from drawbar.pull.presence import ABSENT_MS, Presence
from drawbar.pull.reading import Reading
from drawbar.pull.steering import Steering
from drawbar.pull.traffic import Traffic
from drawbar.supervisor.front.channel import ATTACHED, GAUGED, JUDGED, LEFT, MESSAGE_BYTES, NO_LABEL, TRAFFIC, Order

RETRY_MS: Final = 100
"""Between two attempts to tell a master that does not read."""
MOST_UNTOLD: Final = 10_000
"""Lines kept for such a master; past it the oldest are lost."""


class Notes:
    """Lines for the master. descriptor: of the pipe, -1: none. tell: writes a line to it."""

    def __init__(self, reactor: Reactor, tell: Callable[[str], object], descriptor: int) -> None:
        self._tell = tell
        self._descriptor = descriptor
        self._untold: deque[str] = deque(maxlen=MOST_UNTOLD)
        self._alarm = Alarm(reactor, self._go_on)

    def __call__(self, line: str) -> None:
        self._untold.append(line)
        self._go_on()

    def _go_on(self) -> None:
        while self._untold:
            if not self._has_room():
                self._alarm.set(RETRY_MS)
                return
            self._tell(self._untold.popleft())

    def _has_room(self) -> bool:
        """For a whole line: poll(2) says so of a pipe with PIPE_BUF bytes left, and none is longer."""
        if self._descriptor < 0:
            return True
        poll = select.poll()
        poll.register(self._descriptor, select.POLLOUT)
        return bool(poll.poll(0))


class Line:
    """Has `front` do as it is told. note: takes a line for the master."""

    def __init__(self, front: Front, reactor: Reactor, note: Callable[[str], object]) -> None:
        self.steering = Steering(
            front, reactor, clock=time.monotonic, on_judged=self._tell_judged, on_changed=self._tell_changed
        )
        self._note = note
        self._front = front
        self._reactor = reactor
        self._sweeper = Alarm(reactor, self._sweep)
        self._presence = front.presence = Presence(
            lambda *key: self._tell_seen(ATTACHED, *key),
            lambda *key: self._tell_seen(LEFT, *key),
            lambda: self._sweeper.set(ABSENT_MS),
        )

    def gauge(self, app: str, reading: Reading) -> None:
        """Tells what is under way."""
        self._note(f"{GAUGED}{app} {msgspec.json.encode(reading).decode()}")

    def obey(self, orders: socket.socket) -> None:
        """Follows the orders that are there, and from now on those that come."""
        self._orders = orders
        self._reactor.watch(orders.fileno(), self._read)
        self._read()

    def _read(self) -> None:
        while True:
            try:
                message = self._orders.recv(MESSAGE_BYTES)
            except BlockingIOError:
                return
            if not message:
                self._deafen()
                return
            self._follow(msgspec.json.decode(message, type=Order))

    def _follow(self, order: Order) -> None:
        for app, traffic in order.traffic.items():
            # One that came or went with another configuration is no affair of this front.
            if app in self._front.queues:
                self.steering.want(app, traffic)
                self._tell_traffic(app, order.serial)

    def _deafen(self) -> None:
        """The master is gone, and the kernel has this process end. Until then that is not to be read over and over."""
        # Its number stays what the reactor watches, and of nothing that has anything to say.
        nothing, other = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        os.dup2(other, self._orders.fileno(), inheritable=False)
        os.close(other)
        os.close(nothing)

    # -- news

    def _sweep(self) -> None:
        if self._presence.sweep(self._front.now_ms):
            self._sweeper.set(ABSENT_MS)

    def _tell_seen(self, what: str, app: str, label: str, pid: int) -> None:
        # A label of a worker in another language may hold what would not be one word here.
        self._note(f"{what}{app} {'_'.join(label.split()) or NO_LABEL} {pid}")

    def _tell_judged(self, app: str, label: str, figures: Mapping[str, Any]) -> None:
        self._note(f"{JUDGED}{app} {label or NO_LABEL} {msgspec.json.encode(figures).decode()}")

    def _tell_changed(self, app: str, traffic: Traffic) -> None:
        self._tell_traffic(app, 0)

    def _tell_traffic(self, app: str, serial: int) -> None:
        queue, traffic = self._front.queues[app], self.steering.traffic(app)
        figures: dict[str, Any] = {
            "serial": serial,
            "gate": traffic.gate,
            "queued": queue.queued,
            "leased": queue.leased,
        }
        if traffic.judge is not None and traffic.judge.known is not None:
            figures["known"] = list(traffic.judge.known)
        self._note(f"{TRAFFIC}{app} {msgspec.json.encode(figures).decode()}")
