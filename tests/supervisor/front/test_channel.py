"""What master and front say to each other: orders by a socket, news by lines."""

import os
import socket
from collections.abc import Iterator

import pytest

from drawbar.config import OperatorError
from drawbar.pull.reading import Reading
from drawbar.pull.traffic import Judge, Traffic
from drawbar.supervisor.child import Reporter
from drawbar.supervisor.front.channel import MESSAGE_BYTES, Channel, Gauged, Holds, Judged, Order, Seen, read_news
from drawbar.supervisor.front.line import MOST_UNTOLD, RETRY_MS, Line, Notes
from tests.support.fronts import GET, FrontSite


class Ordered:
    """A front with its end of a channel, and the master's end in the test."""

    def __init__(self, site: FrontSite) -> None:
        self.site = site
        self.channel = Channel()
        self.news: list[str] = []
        self.line = Line(site.front, site.reactor, self.news.append)

    def order(self, traffic: Traffic, serial: int = 1, app: str = "app") -> None:
        self.channel.send(Order({app: traffic}, serial))
        self.site.settle()

    def close(self) -> None:
        self.channel.close()
        self.site.settle()
        self.channel.theirs.close()


@pytest.fixture
def ordered() -> Iterator[Ordered]:
    with FrontSite() as site:
        made = Ordered(site)
        yield made
        made.close()


def test_what_was_ordered_before_holds_from_the_first_request_on(ordered: Ordered) -> None:
    ordered.channel.send(Order({"app": Traffic().stopped("not yet")}))
    ordered.line.obey(ordered.channel.theirs)
    client = ordered.site.connect()
    client.send(GET)
    assert client.response().status == 503


def test_orders_are_followed_and_answered_in_turn(ordered: Ordered) -> None:
    ordered.line.obey(ordered.channel.theirs)
    client = ordered.site.connect()
    ordered.order(Traffic().paused(), 1)
    client.send(GET)
    ordered.order(Traffic().paused().holding("v8"), 2)
    ordered.order(Traffic(), 3, app="unknown")
    heard = [read_news(line) for line in ordered.news]
    assert heard == [
        Holds("app", {"serial": 1, "gate": "paused", "queued": 0, "leased": 0}),
        Holds("app", {"serial": 2, "gate": "paused", "queued": 1, "leased": 0}),
    ]


def test_a_front_whose_master_is_gone_rests(ordered: Ordered) -> None:
    ordered.line.obey(ordered.channel.theirs)
    ordered.channel.close()
    ordered.site.settle()
    # What ended is not heard again: the loop has nothing to do.
    descriptor = ordered.channel.theirs.fileno()
    assert os.readlink(f"/proc/self/fd/{descriptor}").startswith("pipe:")
    client = ordered.site.connect()
    ordered.site.worker()
    client.send(GET)
    assert ordered.site.queue.leased == 1


def test_workers_that_come_and_go_are_told_once(ordered: Ordered) -> None:
    first, second = ordered.site.worker("v7"), ordered.site.worker("v7")
    first.close()
    assert [read_news(line) for line in ordered.news] == [Seen("app", "v7", 0, is_there=True)]
    second.close()
    assert read_news(ordered.news[1]) == Seen("app", "v7", 0, is_there=False)
    ordered.site.worker("")
    assert read_news(ordered.news[2]) == Seen("app", "", 0, is_there=True)


def test_a_trial_is_told(ordered: Ordered) -> None:
    ordered.line.obey(ordered.channel.theirs)
    ordered.site.worker("v8")
    ordered.order(Traffic().on_trial(Judge("v8", "v7", seconds=0.5)))
    ordered.news.clear()
    ordered.site.advance(1)
    news = read_news(ordered.news[0])
    assert isinstance(news, Judged)
    assert (news.app, news.label, news.figures["kept"]) == ("app", "v8", True)


def test_a_reading_is_told(ordered: Ordered) -> None:
    reading = Reading(queued=3, oldest_ms=250, busy=2, room=1, peak=5)
    ordered.line.gauge("app", reading)
    assert read_news(ordered.news[-1]) == Gauged("app", reading)


@pytest.mark.parametrize(
    "line",
    [
        "gauged app",
        "gauged app {}",
        "ready front",
        "attached app v7",
        "attached app v7 x",
        "judged app v7 {",
        "traffic",
        "",
    ],
)
def test_what_is_no_news_is_none(line: str) -> None:
    assert read_news(line) is None


def test_an_order_that_is_too_long_is_refused(ordered: Ordered) -> None:
    apps = {f"app{number}": Traffic().stopped("x" * 500) for number in range(MESSAGE_BYTES // 500)}
    with pytest.raises(OperatorError, match="too long"):
        ordered.channel.send(Order(apps))


def test_a_front_that_does_not_read_keeps_nobody_waiting(ordered: Ordered) -> None:
    def order_on() -> None:
        for serial in range(10_000):
            ordered.channel.send(Order({"app": Traffic()}, serial))

    with pytest.raises(OperatorError, match="stuck"):
        order_on()


def test_a_front_that_has_ended_takes_no_orders() -> None:
    channel = Channel()
    channel.theirs.close()
    with pytest.raises(OperatorError, match="takes no orders"):
        channel.send(Order({}))
    channel.close()


def test_what_a_full_pipe_does_not_take_is_told_later() -> None:
    with FrontSite() as site:
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        try:
            notes = Notes(site.reactor, Reporter(writer), writer)
            for number in range(MOST_UNTOLD):
                notes(f"attached app v7 {number}")
            heard = b""
            while heard.count(b"\n") < MOST_UNTOLD:
                heard += os.read(reader, 65536)
                site.advance(2 * RETRY_MS / 1000)
            assert heard.splitlines()[-1] == b"attached app v7 %d" % (MOST_UNTOLD - 1)
        finally:
            os.close(reader)
            os.close(writer)


def test_both_ends_are_packets_that_never_block() -> None:
    channel = Channel()
    assert channel.theirs.type == socket.SOCK_SEQPACKET
    with pytest.raises(BlockingIOError):
        channel.theirs.recv(1)
    channel.close()
    channel.theirs.close()
