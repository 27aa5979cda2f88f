"""The metrics, read by the parser of the official client."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from drawbar.supervisor.control.exposition import number
from drawbar.supervisor.control.metrics import Exposition, render
from drawbar.supervisor.control.status import (
    FRONT,
    Backlog,
    Cell,
    Histogram,
    Listener,
    Memory,
    Record,
    Running,
    Totals,
    WorkerRecord,
)
from drawbar.supervisor.pool import Cause
from tests.support.statuses import front

RECORD = Record(
    version="1.2.3",
    pid=4711,
    started=1_700_000_000.25,
    uptime_s=60.0,
    phase="serving",
    interface="wsgi",
    generation=3,
    listeners=[
        Listener("http://127.0.0.1:8000", Backlog(5, 2048)),
        Listener('unix:/run/"odd"\\name\n.sock', Backlog(0, 64)),
        Listener("unix:/no/figures.sock", None),
    ],
    workers=[WorkerRecord(1, 10, 3, "ready"), WorkerRecord(2, 11, 3, "ready"), WorkerRecord(1, 9, 2, "stopping")],
    desired=2,
)
CELLS = [
    Cell(10, requests=5, busy=3, waiting=1, threads=8, connections=4, in_flight=[Running("GET /", 1.5)]),
    Cell(
        11,
        requests=2,
        busy=40,
        threads=1,
        connections=2,
        in_flight=[Running("GET /b", 0.5), Running("GET /ws", 90.0, answered=True)],
    ),
]
TOTALS = Totals(
    requests={"aborted": 1, "1xx": 0, "2xx": 70, "3xx": 6, "4xx": 5, "5xx": 4},
    latency=Histogram([0.001, 0.1, 1.0], [50, 30, 5, 1], 3.25),
    queued=Histogram([0.001, 0.1, 1.0], [86, 0, 0, 0], 0.01),
    received_bytes=1 << 40,
    sent_bytes=2,
    accepted=12,
    refused=3,
    timeouts=1,
    gc_collections=[100, 9, 1],
    gc_pause_s=0.125,
)
EXPOSITION = Exposition(RECORD, CELLS, TOTALS, {"crash": 2, "odd": 1}, [Memory(30, 20, 10), Memory(31, 21, 10)])

Labels = frozenset[tuple[str, str]]


def samples(text: str) -> dict[tuple[str, Labels], float]:
    """Every sample by its name and labels, after a look at the families."""
    found: dict[tuple[str, Labels], float] = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation.endswith(".")
        assert family.type in ("counter", "gauge", "histogram")
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, f"{key} comes twice"
            found[key] = sample.value
    return found


@pytest.fixture(scope="module")
def scraped() -> dict[tuple[str, Labels], float]:
    return samples(render(EXPOSITION))


@pytest.mark.parametrize(
    ("name", "labels", "value"),
    [
        ("drawbar_master_answers", {}, 1),
        ("drawbar_build_info", {"version": "1.2.3", "interface": "wsgi"}, 1),
        ("drawbar_start_time_seconds", {}, 1_700_000_000.25),
        ("drawbar_ready", {}, 1),
        ("drawbar_generation", {}, 3),
        ("drawbar_workers_desired", {}, 2),
        ("drawbar_workers", {"phase": "ready"}, 2),
        ("drawbar_workers", {"phase": "stopping"}, 1),
        ("drawbar_workers", {"phase": "killed"}, 0),
        ("drawbar_listen_backlog", {"address": "http://127.0.0.1:8000"}, 5),
        ("drawbar_listen_backlog_limit", {"address": 'unix:/run/"odd"\\name\n.sock'}, 64),
        ("drawbar_requests_total", {"status": "2xx"}, 70),
        ("drawbar_requests_total", {"status": "1xx"}, 0),
        ("drawbar_requests_total", {"status": "aborted"}, 1),
        ("drawbar_request_duration_seconds_bucket", {"le": "0.001"}, 50),
        ("drawbar_request_duration_seconds_bucket", {"le": "0.1"}, 80),
        ("drawbar_request_duration_seconds_bucket", {"le": "1"}, 85),
        ("drawbar_request_duration_seconds_bucket", {"le": "+Inf"}, 86),
        ("drawbar_request_duration_seconds_count", {}, 86),
        ("drawbar_request_duration_seconds_sum", {}, 3.25),
        ("drawbar_queue_seconds_count", {}, 86),
        ("drawbar_requests_refused_total", {}, 3),
        ("drawbar_request_timeouts_total", {}, 1),
        ("drawbar_connections_accepted_total", {}, 12),
        ("drawbar_received_bytes_total", {}, 1 << 40),
        ("drawbar_sent_bytes_total", {}, 2),
        ("drawbar_connections", {}, 6),
        ("drawbar_requests_running", {}, 43),
        ("drawbar_requests_waiting", {}, 1),
        ("drawbar_oldest_request_seconds", {}, 1.5),
        ("drawbar_threads", {}, 9),
        ("drawbar_threads_busy", {}, 4),
        ("drawbar_worker_restarts_total", {"cause": "crash"}, 2),
        ("drawbar_worker_restarts_total", {"cause": "odd"}, 1),
        ("drawbar_worker_restarts_total", {"cause": "max-memory"}, 0),
        ("drawbar_gc_collections_total", {"generation": "2"}, 1),
        ("drawbar_gc_pause_seconds_total", {}, 0.125),
        ("drawbar_workers_resident_memory_bytes", {}, 61),
        ("drawbar_workers_proportional_memory_bytes", {}, 41),
    ],
)
def test_a_sample(scraped: dict[tuple[str, Labels], float], name: str, labels: dict[str, str], value: float) -> None:
    assert scraped[name, frozenset(labels.items())] == value


def test_no_series_bears_a_process_id(scraped: dict[tuple[str, Labels], float]) -> None:
    names = {label for _, labels in scraped for label, _ in labels}
    assert names == {"version", "interface", "phase", "address", "status", "le", "cause", "generation"}
    assert not any(value in ("10", "11", "4711") for _, labels in scraped for _, value in labels)


def test_every_cause_is_there_before_it_happens() -> None:
    found = samples(render(Exposition(None, [], Totals(), {}, [])))
    causes = {value for name, labels in found if name == "drawbar_worker_restarts_total" for _, value in labels}
    assert causes == {cause.value for cause in Cause}


def test_without_an_answer_of_the_master_counters_are_told_all_the_same() -> None:
    found = samples(render(Exposition(None, CELLS, TOTALS, {}, [])))
    assert found["drawbar_master_answers", frozenset()] == 0
    assert found["drawbar_requests_total", frozenset({("status", "2xx")})] == 70
    assert not any(name in ("drawbar_workers", "drawbar_ready", "drawbar_build_info") for name, _ in found)


def test_the_series_stay_the_same_when_a_worker_goes() -> None:
    fewer = Exposition(RECORD, CELLS[:1], TOTALS, {"crash": 3, "odd": 1}, [Memory(30, 20, 10)])
    assert samples(render(fewer)).keys() == samples(render(EXPOSITION)).keys()


def test_the_text_ends_its_last_line() -> None:
    text = render(EXPOSITION)
    assert text.endswith("\n")
    assert "\n\n" not in text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (3.0, "3"), (0.1, "0.1"), (1 << 60, "1152921504606846976"), (2.5e-4, "0.00025")]
)
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


def test_what_a_front_counts_is_not_counted_again_behind_it() -> None:
    record = Record(
        version="1.2.3",
        pid=4711,
        started=1_700_000_000.0,
        uptime_s=60.0,
        phase="serving",
        workers=[WorkerRecord(1, 10, 1, "ready", team=FRONT), WorkerRecord(1, 11, 1, "ready", team="app")],
    )
    found = samples(render(Exposition(record, CELLS, TOTALS, {}, [], front())))
    nothing: Labels = frozenset()
    assert found["drawbar_connections", nothing] == CELLS[0].connections
    assert found["drawbar_requests_running", nothing] == CELLS[0].busy
    assert found["drawbar_threads", nothing] == 9
    assert found["drawbar_app_queued", frozenset([("app", "shop")])] == 3
