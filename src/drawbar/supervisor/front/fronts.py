"""What the fronts of a master are told, and what they tell: one that serves, and those before it that still drain.

Law: what is wanted of each app is kept here, so it outlives every front. An order that the front that serves does not
take is none, unless it has ended; one that drains is told as well, and what it makes of that is its affair. A trial
ends with the first verdict, whichever of two fronts comes to it. Who is there for which label is what all of them see
together.
"""

import contextlib
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from drawbar.config import OperatorError
from drawbar.pull.traffic import Traffic
from drawbar.supervisor.child import Spawned
from drawbar.supervisor.front.channel import Channel, FrontEnded, Holds, Judged, News, Order, Seen, read_news

Fork = Callable[[socket.socket, Iterable[int]], Spawned]
"""Forks a front that takes orders by a socket, and must not hold these descriptors."""

FIRST: Final = 0
"""The serial of what a front is told before it begins, and of what it tells unasked."""
ADDED: Final = ("queued", "leased")
"""Figures that are told of all fronts together."""


class Unfollowed(NamedTuple):
    """An order that not every front has followed yet: who has to, and what the others had to tell."""

    app: str
    fronts: set[int]
    figures: Counter[str]


class Fronts:
    """traffic: what holds from the beginning, by app."""

    def __init__(self, traffic: Mapping[str, Traffic] | None = None) -> None:
        self._traffic = dict(traffic or {})
        self._channels: dict[int, Channel] = {}
        """By process id, the one that was started last stands last."""
        self._present: dict[int, set[tuple[str, str, int]]] = {}
        self._serial = FIRST
        self._missed: dict[int, set[str]] = {}
        """By process id: the apps of orders it did not take."""
        self._unfollowed: dict[int, Unfollowed] = {}
        """Orders by serial."""
        self._listeners: list[Callable[[News], object]] = []

    # -- what is wanted

    def traffic(self, app: str) -> Traffic:
        """What holds."""
        return self._traffic.get(app, Traffic())

    def all_traffic(self) -> dict[str, Traffic]:
        """Of the apps of which anything was ordered."""
        return {app: traffic for app, traffic in self._traffic.items() if not traffic.is_usual()}

    def want(self, app: str, traffic: Traffic, *, follows: bool = False) -> int:
        """Tells it. Returns the serial with which a Holds tells that every front follows it.

        FIRST when there is no front, or only one whose end is not known yet: the next one will, from its beginning.

        Raises OperatorError when the front that serves does not take it, and then nothing has changed. What follows
        from something that has happened cannot be refused: it holds, and that front hears of it with its next order.
        """
        told: set[int] = set()
        for pid, channel in reversed(self._channels.items()):
            missed = {name: self.traffic(name) for name in self._missed.get(pid, ())}
            try:
                channel.send(Order({**missed, app: traffic}, self._serial + 1))
                told.add(pid)
                self._missed.pop(pid, None)
            except FrontEnded:
                continue
            except OperatorError:
                if not told and pid == self._newest and not follows:
                    raise
                self._missed.setdefault(pid, set()).add(app)
        self._traffic[app] = traffic
        if not told:
            return FIRST
        self._serial += 1
        self._unfollowed[self._serial] = Unfollowed(app, told, Counter())
        return self._serial

    @property
    def _newest(self) -> int | None:
        """The one that serves, or is about to."""
        return next(reversed(self._channels), None)

    def labels(self, app: str) -> dict[str, set[int]]:
        """Those whose workers are there, with their processes."""
        found: dict[str, set[int]] = {}
        for seen in self._present.values():
            for name, label, pid in seen:
                if name == app:
                    found.setdefault(label, set()).add(pid)
        return found

    # -- processes

    def spawn(self, fork: Fork) -> Spawned:
        """A front that knows what holds."""
        channel = Channel()
        try:
            for app, traffic in self.all_traffic().items():
                channel.send(Order({app: traffic}, FIRST))
            child = fork(channel.theirs, [channel.fileno()])
        except BaseException:
            channel.close()
            raise
        finally:
            channel.theirs.close()
        self._channels[child.pid] = channel
        self._present[child.pid] = set()
        return child

    def on_died(self, pid: int) -> None:
        """A process has ended; nothing when it was no front."""
        channel = self._channels.pop(pid, None)
        if channel is None:
            return
        channel.close()
        self._missed.pop(pid, None)
        for serial in list(self._unfollowed):
            self._on_followed(pid, serial, {})
        for app, label, worker in self._present.pop(pid):
            self._tell(Seen(app, label, worker, is_there=False))

    def descriptors(self) -> list[int]:
        """No child shall hold these."""
        return [channel.fileno() for channel in self._channels.values()]

    # -- news

    def hear(self, listener: Callable[[News], object]) -> None:
        """Has `listener` called with all news, when what they are about is taken in."""
        self._listeners.append(listener)

    def _tell(self, news: News) -> None:
        for listener in self._listeners:
            listener(news)

    def on_report(self, pid: int, line: str) -> None:
        """A line of a front."""
        news = read_news(line)
        if news is None or pid not in self._channels:
            return
        if isinstance(news, Seen):
            key = (news.app, news.label, news.pid)
            (self._present[pid].add if news.is_there else self._present[pid].discard)(key)
        elif isinstance(news, Holds):
            self._on_holds(pid, news)
            return
        elif isinstance(news, Judged):
            if not self._on_judged(pid, news):
                return
        elif pid != self._newest:
            # One that drains has nothing to say about how much there is to do.
            return
        self._tell(news)

    def _on_judged(self, pid: int, news: Judged) -> bool:
        """The front has moved the queue already; False when another has come to a verdict before."""
        traffic = self.traffic(news.app)
        if traffic.judge is None or traffic.judge.new != news.label:
            return False
        self._traffic[news.app] = traffic = traffic.judged(kept=bool(news.figures.get("kept")))
        for other, channel in self._channels.items():
            # That one has ended, or is stuck, is no reason to forget the verdict.
            with contextlib.suppress(OperatorError):
                if other != pid:
                    channel.send(Order({news.app: traffic}, FIRST))
        return True

    def _on_holds(self, pid: int, news: Holds) -> None:
        serial = int(news.figures.get("serial", FIRST))
        if pid == self._newest:
            self._learn(news, unasked=serial == FIRST)
        self._on_followed(pid, serial, news.figures)

    def _learn(self, news: Holds, *, unasked: bool) -> None:
        traffic, known = self.traffic(news.app), news.figures.get("known")
        if unasked and traffic.gate == "paused" and news.figures.get("gate") == "open":
            self._traffic[news.app] = traffic = traffic.resumed()
        if traffic.judge is not None and known is not None:
            judge = msgspec.structs.replace(traffic.judge, known=tuple(known))
            self._traffic[news.app] = msgspec.structs.replace(traffic, judge=judge)

    def _on_followed(self, pid: int, serial: int, figures: Mapping[str, Any]) -> None:
        """One front less to wait for: it follows, or has ended."""
        order = self._unfollowed.get(serial)
        if order is None or pid not in order.fronts:
            return
        order.fronts.discard(pid)
        order.figures.update({name: int(figures.get(name, 0)) for name in ADDED})
        if not order.fronts:
            del self._unfollowed[serial]
            self._tell(Holds(order.app, {"serial": serial, **order.figures}))
