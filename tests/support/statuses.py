"""A server's status as tests of the command line want it: every part there, the figures round."""

from drawbar.supervisor.control.status import (
    Backlog,
    Histogram,
    Listener,
    Memory,
    Running,
    Status,
    Totals,
    Worker,
)

MB = 1 << 20
LASTING = Running("GET /events", 3600.0, answered=True)
"""A stream: older than all the others, and no concern of anybody."""


def totals(factor: int) -> Totals:
    """`factor` times as much of everything."""
    return Totals(
        requests={"1xx": 0, "2xx": 1000 * factor, "4xx": 10 * factor, "5xx": 0, "aborted": 0},
        latency=Histogram([0.001, 0.01, 0.1], [800 * factor, 200 * factor, 10 * factor, 0], 2.0 * factor),
        queued=Histogram([0.001, 0.01, 0.1], [1010 * factor, 0, 0, 0], 0.1 * factor),
        received_bytes=MB * factor,
        sent_bytes=20 * MB * factor,
        accepted=5 * factor,
    )


def worker(slot: int, factor: int) -> Worker:
    """A worker at work."""
    return Worker(
        slot=slot,
        pid=4711 + slot,
        generation=3,
        phase="ready",
        age_s=60.0 * slot,
        requests=500 * factor,
        busy=slot,
        threads=8,
        connections=10,
        memory=Memory(48 * MB, 22 * MB, 31 * MB),
        in_flight=[Running("GET /slow", 2.5, True, "10.0.0.1:4000"), Running("GET /", 0.01), LASTING]
        if slot == 2
        else [],
    )


def status(factor: int = 1, taken: float = 0.0) -> Status:
    """A server with two workers that has done `factor` times as much."""
    return Status(
        version="1.2.3",
        pid=4711,
        started=1_700_000_000.0,
        uptime_s=7200.0,
        phase="serving",
        ready=True,
        reason=None,
        target="shop:app",
        interface="wsgi",
        generation=3,
        desired=2,
        listeners=[Listener("http://127.0.0.1:8000", Backlog(1, 2048)), Listener("unix:/run/shop.sock")],
        workers=[worker(1, factor), worker(2, factor)],
        restarts={"crash": 1, "reload": 0},
        totals=totals(factor),
        last_error=None,
        last_error_s_ago=None,
        config_file="drawbar.toml",
        memory=Memory(18 * MB, 6 * MB, 12 * MB),
        taken=taken,
    )
