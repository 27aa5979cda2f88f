"""When a reactor inside another loop is looked at: the timer is the test's, and so is what happens."""

from collections.abc import Callable, Iterator

import pytest

from drawbar.supervisor.worker.ticks import BEATS, TICK_S, Ticks
from tests.net.test_reactor import Listening


class Loop:
    """Of a loop, its timer."""

    def __init__(self) -> None:
        self._seconds: float | None = None
        self._callback: Callable[[], None] | None = None

    def set_timer(self, seconds: float | None, callback: Callable[[], None]) -> None:
        self._seconds = seconds
        self._callback = callback

    def asked(self) -> float | None:
        """For how many seconds the timer is set."""
        return self._seconds

    def ring(self) -> None:
        """The time has come."""
        assert self._callback is not None
        self._callback()


@pytest.fixture
def site() -> Iterator[Listening]:
    with Listening() as listening:
        yield listening


def ticking(site: Listening, liveness_s: float = 0.0) -> Loop:
    loop = Loop()
    Ticks(site.reactor, site.reactor.drain_ready, loop.set_timer, liveness_s).start()
    return loop


def test_without_connections_there_is_no_tick(site: Listening) -> None:
    assert ticking(site).asked() is None


def test_a_connection_brings_them_and_the_last_one_takes_them_away(site: Listening) -> None:
    loop = ticking(site)
    client = site.connect()
    # The wheel keeps a deadline until its time, the connection's end or not.
    site.made[0].timeout_in(60_000)
    assert loop.asked() == TICK_S
    loop.ring()
    assert loop.asked() == TICK_S
    client.close()
    site.settle()
    loop.ring()
    assert loop.asked() is None
    site.connect()
    assert loop.asked() == TICK_S


def test_deadlines_are_seen_to(site: Listening) -> None:
    loop = ticking(site)
    site.connect()
    site.made[0].timeout_in(1000)
    site.reactor.advance(2000)
    loop.ring()
    assert "timeout" in site.made[0].seen


def test_who_is_watched_shows_that_it_moves(site: Listening) -> None:
    loop = ticking(site, liveness_s=60.0)
    assert loop.asked() == 60.0 / BEATS
    client = site.connect()
    assert loop.asked() == TICK_S
    client.close()
    site.settle()
    loop.ring()
    assert loop.asked() == 60.0 / BEATS
    loop.ring()
    assert loop.asked() == 60.0 / BEATS
