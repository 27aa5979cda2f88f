"""What fronts are told, by a master that outlives them; the test is the fronts."""

import contextlib
import os
import socket
from collections.abc import Iterable, Iterator

import msgspec
import pytest

from drawbar.config import OperatorError
from drawbar.pull.traffic import Judge, Traffic
from drawbar.supervisor.child import Spawned
from drawbar.supervisor.front.channel import MESSAGE_BYTES, Holds, Judged, News, Order, Seen
from drawbar.supervisor.front.fronts import FIRST, Fronts


class Forked:
    """Fronts that exist by their end of the channel alone."""

    def __init__(self, traffic: dict[str, Traffic] | None = None) -> None:
        self.fronts = Fronts(traffic)
        self.news: list[News] = []
        self.fronts.hear(self.news.append)
        self.ends: dict[int, socket.socket] = {}

    def start(self, pid: int) -> None:
        def fork(theirs: socket.socket, private: Iterable[int]) -> Spawned:
            self.ends[pid] = theirs.dup()
            self.ends[pid].setblocking(False)
            return Spawned(pid, -1)

        self.fronts.spawn(fork)

    def heard(self, pid: int) -> list[Order]:
        """What it was told since the last call."""
        orders = []
        with contextlib.suppress(BlockingIOError):
            while message := self.ends[pid].recv(MESSAGE_BYTES):
                orders.append(msgspec.json.decode(message, type=Order))
        return orders

    def close(self) -> None:
        for pid, end in self.ends.items():
            self.fronts.on_died(pid)
            end.close()


@pytest.fixture
def forked() -> Iterator[Forked]:
    made = Forked()
    yield made
    made.close()


def test_a_front_knows_what_holds_before_it_is_there(forked: Forked) -> None:
    assert forked.fronts.want("app", Traffic().paused()) == FIRST
    forked.fronts.want("other", Traffic())
    forked.start(11)
    assert forked.heard(11) == [Order({"app": Traffic().paused()})]
    assert forked.fronts.all_traffic() == {"app": Traffic().paused()}


def test_every_front_is_told(forked: Forked) -> None:
    forked.start(11)
    forked.start(12)
    serial = forked.fronts.want("app", Traffic().paused())
    for pid in (11, 12):
        assert forked.heard(pid) == [Order({"app": Traffic().paused()}, serial)]


def test_an_order_holds_when_every_front_follows_it(forked: Forked) -> None:
    forked.start(11)
    forked.start(12)
    forked.start(13)
    serial = forked.fronts.want("app", Traffic().paused())
    forked.fronts.on_report(12, f'traffic app {{"serial": {serial}, "gate": "paused", "queued": 2, "leased": 1}}')
    forked.fronts.on_report(12, f'traffic app {{"serial": {serial}, "gate": "paused", "queued": 2, "leased": 1}}')
    forked.fronts.on_report(11, f'traffic app {{"serial": {serial}, "gate": "paused", "queued": 1, "leased": 0}}')
    assert forked.news == []
    # It cannot give out anything any more.
    forked.fronts.on_died(13)
    assert forked.news == [Holds("app", {"serial": serial, "queued": 3, "leased": 1})]


def fill(forked: Forked) -> None:
    """Tells the newest front until it takes no more."""
    while True:
        try:
            forked.fronts.want("other", Traffic())
        except OperatorError:
            return


def test_an_order_that_the_front_does_not_take_is_none(forked: Forked) -> None:
    forked.start(11)
    fill(forked)
    with pytest.raises(OperatorError, match="stuck"):
        forked.fronts.want("app", Traffic().paused())
    assert forked.fronts.traffic("app") == Traffic()
    # It is the one before that does not: the one that serves does.
    forked.start(12)
    forked.fronts.want("app", Traffic().paused())
    assert forked.fronts.traffic("app") == Traffic().paused()


def test_what_follows_from_an_event_holds_though_the_front_is_stuck(forked: Forked) -> None:
    forked.start(11)
    fill(forked)
    forked.fronts.want("app", Traffic().paused(), follows=True)
    assert forked.fronts.traffic("app") == Traffic().paused()
    forked.heard(11)
    # It moves again, and hears what it has missed.
    forked.fronts.want("other", Traffic())
    assert [order.traffic for order in forked.heard(11)] == [{"app": Traffic().paused(), "other": Traffic()}]


def test_a_front_that_has_just_died_refuses_nothing(forked: Forked) -> None:
    # What it said last may have an order follow before its death is known.
    forked.start(11)
    forked.ends[11].close()
    assert forked.fronts.want("app", Traffic().paused()) == FIRST
    forked.fronts.on_died(11)
    forked.start(12)
    assert forked.heard(12) == [Order({"app": Traffic().paused()})]


def test_who_drains_follows_when_the_newest_has_just_died(forked: Forked) -> None:
    forked.start(11)
    forked.start(12)
    forked.ends[12].close()
    serial = forked.fronts.want("app", Traffic().paused())
    assert forked.heard(11) == [Order({"app": Traffic().paused()}, serial)]


def test_who_is_there_is_what_all_fronts_see(forked: Forked) -> None:
    forked.start(11)
    forked.start(12)
    forked.fronts.on_report(11, "attached app v7 0")
    forked.fronts.on_report(12, "attached app v7 50")
    forked.fronts.on_report(12, "attached app - 51")
    forked.fronts.on_report(12, "attached other v7 52")
    assert forked.fronts.labels("app") == {"v7": {0, 50}, "": {51}}
    forked.fronts.on_report(12, "left app - 51")
    forked.fronts.on_died(11)
    assert forked.fronts.labels("app") == {"v7": {50}}
    assert forked.news[-1] == Seen("app", "v7", 0, is_there=False)


def test_what_came_of_a_trial_is_what_holds(forked: Forked) -> None:
    forked.start(11)
    forked.fronts.want("app", Traffic().on_trial(Judge("v8", "v7", back={"v7": 1.0})))
    forked.fronts.on_report(11, 'judged app v8 {"kept": false}')
    assert forked.fronts.traffic("app") == Traffic(weights={"v7": 1.0}, held=("v8",))
    forked.fronts.on_report(11, 'judged app v8 {"kept": true}')
    assert forked.fronts.traffic("app") == Traffic(weights={"v7": 1.0}, held=("v8",))


def test_the_first_verdict_is_the_verdict_of_every_front(forked: Forked) -> None:
    # A reload: the former front serves until the next one does, which may never be.
    forked.start(11)
    forked.start(12)
    forked.fronts.want("app", Traffic().on_trial(Judge("v8", "v7", back={"v7": 1.0})))
    forked.heard(12)
    forked.fronts.on_report(11, 'judged app v8 {"kept": false}')
    back = Traffic(weights={"v7": 1.0}, held=("v8",))
    assert forked.fronts.traffic("app") == back
    assert forked.news == [Judged("app", "v8", {"kept": False})]
    assert [order.traffic["app"] for order in forked.heard(12)] == [back]
    # The other one came to its own in the same moment.
    forked.fronts.on_report(12, 'judged app v8 {"kept": true}')
    assert (forked.fronts.traffic("app"), len(forked.news)) == (back, 1)


def test_a_pause_that_ended_by_itself_has_ended(forked: Forked) -> None:
    forked.start(11)
    forked.fronts.want("app", Traffic().paused(5.0))
    forked.fronts.on_report(11, 'traffic app {"serial": 1, "gate": "paused"}')
    assert forked.fronts.traffic("app").gate == "paused"
    forked.fronts.on_report(11, 'traffic app {"serial": 0, "gate": "open"}')
    assert forked.fronts.traffic("app") == Traffic()


def test_what_a_front_knows_of_the_old_version_is_told_to_the_next(forked: Forked) -> None:
    forked.start(11)
    forked.fronts.want("app", Traffic().on_trial(Judge("v8", "v7")))
    forked.fronts.on_report(11, 'traffic app {"serial": 1, "gate": "open", "known": [50, 2]}')
    forked.start(12)
    [order] = forked.heard(12)
    assert order.traffic["app"].judge == Judge("v8", "v7", known=(50, 2))


def test_what_is_no_news_and_who_is_no_front_change_nothing(forked: Forked) -> None:
    forked.start(11)
    forked.fronts.on_report(11, "out of memory")
    forked.fronts.on_report(99, "attached app v7 1")
    forked.fronts.on_died(99)
    assert (forked.news, forked.fronts.labels("app"), len(forked.fronts.descriptors())) == ([], {}, 1)


def test_a_fork_that_fails_leaves_nothing_open(forked: Forked) -> None:
    before = len(os.listdir("/proc/self/fd"))

    def fork(theirs: socket.socket, private: Iterable[int]) -> Spawned:
        raise OSError("no process")

    with pytest.raises(OSError, match="no process"):
        forked.fronts.spawn(fork)
    assert (len(os.listdir("/proc/self/fd")), forked.fronts.descriptors()) == (before, [])
