"""What master, scoreboard and /proc say, put together."""

import math
from typing import Any

import pytest

from drawbar.net.figures import BOUNDS_S, Counters, InFlight
from drawbar.net.figures import Histogram as Counted
from drawbar.supervisor.control.state import running_of, totals_of
from drawbar.supervisor.control.status import (
    SHOWN,
    Cell,
    Histogram,
    Memory,
    Record,
    Running,
    Totals,
    WorkerRecord,
    merge,
    why_not_ready,
)


def record(**changes: Any) -> Record:
    workers = [WorkerRecord(2, 20, 1, "ready", started_s_ago=5.0), WorkerRecord(1, 10, 1, "starting")]
    known: dict[str, Any] = {"version": "1", "pid": 1, "started": 0.0, "uptime_s": 9.0, "phase": "serving"}
    return Record(**{**known, "workers": workers, "desired": 2, **changes})


def test_workers_are_sorted_and_have_their_cells_and_memory() -> None:
    cells = {20: Cell(20, requests=7, busy=1, threads=8, in_flight=[Running("GET /", 0.5)])}
    memory = {20: Memory(3, 2, 1), 1: Memory(30, 20, 10)}
    status = merge(record(), cells, Totals(accepted=4), memory, 12.5)
    assert [worker.slot for worker in status.workers] == [1, 2]
    first, second = status.workers
    assert (first.requests, first.memory, first.age_s) == (0, None, None)
    assert (second.requests, second.busy, second.threads, second.age_s) == (7, 1, 8, 5.0)
    assert second.memory == Memory(3, 2, 1)
    assert second.in_flight == [Running("GET /", 0.5)]
    assert status.memory == Memory(30, 20, 10)
    assert (status.taken, status.totals.accepted, status.ready) == (12.5, 4, True)


def test_a_worker_shows_the_oldest_of_its_requests_alone() -> None:
    cells = {20: Cell(20, in_flight=[Running(f"GET /{number}", 1000.0 - number) for number in range(100)])}
    worker = merge(record(), cells, Totals(), {}, 0.0).workers[1]
    assert len(worker.in_flight) == SHOWN
    assert worker.in_flight[0].request == "GET /0"


@pytest.mark.parametrize("phase", ["serving", "reloading", "upgrading"])
def test_ready(phase: str) -> None:
    assert why_not_ready(record(phase=phase)) is None


@pytest.mark.parametrize("phase", ["starting", "draining", "paused"])
def test_not_ready_in_a_phase(phase: str) -> None:
    assert why_not_ready(record(phase=phase)) == f"the server is {phase}"


def test_not_ready_without_a_worker_that_takes_requests() -> None:
    assert why_not_ready(record(workers=[WorkerRecord(1, 10, 1, "stopping")])) == "no worker takes requests"


def test_quantiles_are_interpolated_within_their_bucket() -> None:
    counted = Histogram([0.1, 1.0, 10.0], [50, 40, 9, 1], 60.0)
    assert counted.count == 100
    assert counted.quantile(0.5) == pytest.approx(0.1)
    assert counted.quantile(0.25) == pytest.approx(0.05)
    assert counted.quantile(0.7) == pytest.approx(0.55)
    assert counted.quantile(0.99) == pytest.approx(10.0)
    assert counted.quantile(0.999) == math.inf
    assert Histogram([0.1], [0, 0]).quantile(0.5) is None
    # Empty buckets are passed over.
    assert Histogram([0.1, 1.0, 10.0], [0, 0, 4, 0]).quantile(0.5) == pytest.approx(5.5)


def test_a_histogram_since_another() -> None:
    before, now = Histogram([0.1], [5, 1], 2.0), Histogram([0.1], [8, 1], 2.5)
    assert now.since(before) == Histogram([0.1], [3, 0], 0.5)
    # Of another version of the server, with other buckets: nothing to compare with.
    assert now.since(Histogram([0.2], [5, 1], 2.0)) == now


def test_the_scoreboards_totals_by_name() -> None:
    counted = Counted((1,) * (len(BOUNDS_S) + 1), 3.5)
    counters = Counters((9, 0, 200, 30, 4, 5), counted, counted, 10, 20, 3, 2, 1, (7, 8, 9), 0.25)
    totals = totals_of(counters)
    assert totals.requests == {"aborted": 9, "1xx": 0, "2xx": 200, "3xx": 30, "4xx": 4, "5xx": 5}
    assert totals.latency == Histogram(list(BOUNDS_S), [1] * 19, 3.5)
    assert (totals.received_bytes, totals.sent_bytes, totals.accepted) == (10, 20, 3)
    assert (totals.refused, totals.timeouts, totals.gc_collections, totals.gc_pause_s) == (2, 1, [7, 8, 9], 0.25)


def test_a_request_in_flight() -> None:
    entry = InFlight("GET /a", 1_000_000_000, 0, 0, 1, "running", False, ("10.0.0.1", 4000))
    assert running_of(entry, 3_500_000_000) == Running("GET /a", 2.5, called=False, peer="10.0.0.1:4000")
    # Of these nobody waits for an answer.
    for begun in (entry._replace(state="answering"), entry._replace(raw=True)):
        assert running_of(begun, 3_500_000_000).answered
    # A clock read a moment before the request came is no negative age.
    assert running_of(entry._replace(called_ns=5, peer=None), 0) == Running("GET /a", 0.0, called=True, peer=None)
