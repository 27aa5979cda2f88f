"""How long requests waited and took at a front, by their own clock; who had them, for the access log.

Nothing here judges how long something takes: what is known is that a request waited while the test looked on.
"""

import time
from typing import Any

from drawbar.net.figures import Histogram
from drawbar.pull.told import NOTHING, values_of
from tests.support.fronts import GET, OK, FrontSite, field
from tests.support.inprocess import Client

Told = list[dict[str, Any]]


def noting(site: FrontSite) -> Told:
    """What is told of each exchange, and its times."""
    told: Told = []

    def note(exchange: Any) -> None:
        times = {"client": exchange.client_ns, "queue": exchange.queue_ns, "app": exchange.app_ns}
        told.append(values_of(site.front, exchange) | times | {"all": exchange.duration_ns})

    site.on_complete = note
    return told


def counted(site: FrontSite) -> dict[str, int]:
    return {name: times.observations for name, times in site.queue.times.figures().items()}


def looking_on() -> int:
    """Nanoseconds that pass now, and are part of what is going on."""
    began = time.monotonic_ns()
    while time.monotonic_ns() - began < 1_000_000:
        pass
    return time.monotonic_ns() - began


def asks(site: FrontSite) -> Client:
    client = site.connect()
    client.send(GET)
    site.settle()
    return client


def test_waiting_is_the_queues_and_answering_the_workers() -> None:
    with FrontSite() as site:
        told = noting(site)
        client = asks(site)
        waited = looking_on()
        worker = site.worker("v7")
        head = worker.request()
        took = looking_on()
        worker.send(OK)
        assert client.response().status == 200
        (values,) = told
        assert values["queue"] >= waited
        assert values["app"] >= took
        assert values["client"] + values["queue"] + values["app"] == values["all"]
        assert (values["app"], values["attempt"]) != (None, 0)
        assert values | {"queue": 0, "app": 0, "all": 0} == {
            "app": 0,
            "attempt": 1,
            "worker": values["worker"],
            "label": "v7",
            "request_id": field(head, "drawbar-request-id"),
            "client": 0,
            "queue": 0,
            "all": 0,
        }
        times = site.queue.times.figures()
        assert counted(site) == {"client": 1, "queue": 1, "app": 1}
        assert _seconds(times["queue"]) >= waited
        assert _seconds(times["app"]) >= took


def _seconds(histogram: Histogram) -> float:
    """In nanoseconds, and up to what a float loses."""
    return histogram.sum_s * 1e9 + 1


def test_a_lost_attempt_is_part_of_the_wait() -> None:
    with FrontSite() as site:
        told = noting(site)
        client = asks(site)
        lost = site.worker("old")
        lost.request()
        waited = looking_on()
        lost.close()
        site.settle()
        assert site.reactor.cell.busy == 0
        site.worker("new").serve()
        assert client.response().status == 200
        (values,) = told
        assert values["queue"] >= waited
        assert (values["attempt"], values["label"]) == (2, "new")
        # A request waits once, as it is answered once.
        assert counted(site) == {"client": 1, "queue": 1, "app": 1}
        assert site.reactor.cell.counters().queued.observations == 1
        assert (site.reactor.cell.busy, site.reactor.cell.waiting) == (0, 0)


def test_who_has_it_is_seen_while_it_runs_and_not_while_it_waits_again() -> None:
    with FrontSite() as site:
        client = asks(site)
        worker = site.worker()
        worker.request()
        assert (site.reactor.cell.busy, site.reactor.cell.waiting) == (1, 0)
        assert site.reactor.cell.in_flight()[0].called_ns > 0
        worker.close()
        site.settle()
        assert (site.reactor.cell.busy, site.reactor.cell.waiting) == (0, 1)
        assert site.reactor.cell.in_flight()[0].called_ns == 0
        site.worker().serve()
        assert client.response().status == 200


def test_one_that_no_worker_had_has_waited_alone() -> None:
    with FrontSite(queue={"queue_ms": 1_000}) as site:
        told = noting(site)
        client = asks(site)
        waited = looking_on()
        site.advance(2)
        assert client.response().status == 503
        (values,) = told
        assert (values["app"], values["attempt"], values["worker"], values["request_id"]) == (None, 0, None, None)
        assert values["queue"] >= waited
        assert counted(site) == {"client": 1, "queue": 1, "app": 0}


def test_one_that_was_lost_and_came_back_too_late_was_nobodys() -> None:
    with FrontSite(queue={"queue_ms": 1_000}) as site:
        told = noting(site)
        client = asks(site)
        worker = site.worker()
        worker.request()
        worker.close()
        site.advance(2)
        assert client.response().status == 503
        (values,) = told
        assert (values["app"], values["attempt"], values["worker"]) == (None, 1, None)


def test_one_that_is_refused_waits_for_nobody() -> None:
    with FrontSite(queue={"length": 1}) as site:
        told = noting(site)
        asks(site)
        assert asks(site).response().status == 503
        assert told[0]["attempt"] == 0
        assert counted(site) == {"client": 0, "queue": 0, "app": 0}


def test_a_request_for_no_app_is_nobodys() -> None:
    with FrontSite(routes=[]) as site:
        told = noting(site)
        assert asks(site).response().status == 404
        assert {name: told[0][name] for name in NOTHING if name != "app"} == {
            name: None for name in NOTHING if name != "app"
        }


def test_a_conversation_has_a_wait_and_no_length() -> None:
    with FrontSite() as site:
        client = site.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n")
        worker = site.worker()
        worker.request()
        worker.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n")
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
        worker.close()
        site.settle()
        assert counted(site) == {"client": 1, "queue": 1, "app": 0}


def test_a_response_says_how_long_its_request_waited_and_took() -> None:
    with FrontSite(policy={"server_timing": True}, queue={"length": 1}) as site:
        client = asks(site)
        full = asks(site).response().header("server-timing")
        assert full is not None
        assert full.startswith("queue;dur=")
        assert "app" not in full
        waited = looking_on()
        site.worker().serve()
        told = client.response().header("server-timing")
        assert told is not None
        queue, app = (float(part.split("=")[1]) for part in told.split(", "))
        assert queue * 1e6 >= waited - 1_000
        assert app > 0
