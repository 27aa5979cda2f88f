"""What is told of what is under way, and when: in a front that the test steps."""

from collections.abc import Iterator

import pytest

from drawbar.pull.gauge import LOOKS, Gauge
from drawbar.pull.queue import Watch
from drawbar.pull.reading import Reading
from tests.support.fronts import GET, FrontSite
from tests.support.inprocess import Client

WAIT_MS = 200
IDLE_MS = 4_000
LATER_S = IDLE_MS / LOOKS / 1000


class Gauged:
    """A front, and what its gauge has told."""

    def __init__(self, site: FrontSite) -> None:
        self.site = site
        self.told: list[Reading] = []
        self.gauge = Gauge(
            site.front, "app", site.reactor, wait_ms=WAIT_MS, idle_ms=IDLE_MS, tell=lambda reading: self.note(reading)
        )
        site.front.on_watched = lambda app: self.gauge.on_watched()
        self.gauge.begin()
        assert self.take() == [Reading(0, 0, 0, 0, 0)]

    def note(self, reading: Reading) -> None:
        self.told.append(reading)

    def take(self) -> list[Reading]:
        """What was told since the last call."""
        told, self.told = self.told, []
        return told

    def ask(self) -> Client:
        client = self.site.connect()
        client.send(GET)
        return client

    def pass_time(self, seconds: float) -> list[Reading]:
        """In ticks; what was told meanwhile."""
        for _ in range(round(seconds / 0.05)):
            self.site.advance(0.05)
        return self.take()

    @property
    def sleeps(self) -> bool:
        """It waits for the next request, and no timer runs."""
        return self.site.queue.watch is Watch.WATCHED_FOR_ALL and self.pass_time(100.0) == []


@pytest.fixture
def gauged() -> Iterator[Gauged]:
    with FrontSite(queue={"length": 1_000, "queue_ms": 0, "deadline_ms": 0}) as site:
        yield Gauged(site)


def test_nothing_under_way_tells_nothing(gauged: Gauged) -> None:
    assert gauged.sleeps


def test_a_request_that_finds_nobody_is_told_at_once_and_then_again_and_again(gauged: Gauged) -> None:
    gauged.ask()
    assert gauged.take() == [Reading(queued=1, oldest_ms=0, busy=0, room=0, peak=1)]
    told = gauged.pass_time(1.0)
    assert len(told) > 3
    assert all(reading.queued == 1 and reading.oldest_ms > WAIT_MS for reading in told)
    assert told[-1].oldest_ms > told[0].oldest_ms
    # When it is served, what there was is told once more, then that there is nothing, and then there is silence.
    gauged.site.worker().serve()
    told = gauged.pass_time(3 * LATER_S)
    assert told[-1] == Reading(queued=0, oldest_ms=0, busy=0, room=1, peak=0)
    assert gauged.sleeps


def test_what_finds_room_at_once_is_told_now_and_then(gauged: Gauged) -> None:
    workers = [gauged.site.worker(), gauged.site.worker()]
    clients = [gauged.ask(), gauged.ask()]
    assert gauged.take() == []
    assert gauged.pass_time(LATER_S + 0.1) == [Reading(queued=0, oldest_ms=0, busy=2, room=0, peak=2)]
    for worker in workers:
        worker.serve()
    for client in clients:
        client.response()
    # Two were under way since the last reading, none is now.
    assert gauged.pass_time(LATER_S + 0.1) == [Reading(queued=0, oldest_ms=0, busy=0, room=2, peak=2)]
    assert gauged.pass_time(LATER_S + 0.1) == [Reading(queued=0, oldest_ms=0, busy=0, room=2, peak=0)]
    assert gauged.sleeps


def test_who_waits_a_little_is_no_news_and_who_waits_long_is(gauged: Gauged) -> None:
    worker = gauged.site.worker()
    first, second = gauged.ask(), gauged.ask()
    assert gauged.pass_time(WAIT_MS / 1000) == []
    worker.serve()
    first.response()
    assert all(reading.queued == 0 for reading in gauged.pass_time(LATER_S + 0.1))
    gauged.ask()
    assert gauged.pass_time(2 * WAIT_MS / 1000)[0].queued == 1
    worker.serve()
    second.response()


def test_a_pause_is_no_reason(gauged: Gauged) -> None:
    gauged.site.queue.pause(gauged.site.front.now_ms)
    gauged.ask()
    told = gauged.pass_time(3 * LATER_S)
    assert told
    assert all(reading.queued == reading.oldest_ms == 0 for reading in told)
    gauged.site.queue.resume(gauged.site.front.now_ms)
    gauged.site.front.dispatch(gauged.site.queue)
    assert gauged.take()[-1].queued == 1
