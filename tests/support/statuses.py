"""A server's status as tests of the command line want it: every part there, the figures round."""

from drawbar.supervisor.control.status import (
    FRONT,
    Backlog,
    Front,
    Histogram,
    Listener,
    Memory,
    Queue,
    QueueLabel,
    QueueRequest,
    QueueWorker,
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


def front(factor: int = 1) -> Front:
    """What a front tells: of shop, in the middle of a deploy and busy, and of blog, which is paused and has nobody."""
    done = 1000 * factor
    bounds = [0.001, 0.01, 0.1]
    shop = Queue(
        app="shop",
        ready=True,
        reason=None,
        gate="open",
        queued=3,
        length=1000,
        queued_bytes=3 * 500,
        oldest_s=1.5,
        leased=4,
        idle=1,
        counters={"answered": done, "lost": 1},
        labels=[
            QueueLabel("v7", leased=2, given=900, answered=898),
            QueueLabel("v8", idle=1, leased=2, given=100, answered=95, failed=2, lost=1),
        ],
        workers=[
            QueueWorker("web1:4712", "v7", "attach", 0, 2),
            QueueWorker("web2:981", "v8", "attach", 1, 2),
        ],
        workers_in_all=2,
        requests=[
            QueueRequest("GET /cart?id=\x1b7", 2.5, 2, "web1:4712", "v7"),
            QueueRequest("GET /waits", 1.5, 0),
            QueueRequest("GET /events", 3600.0, 1, "web2:981", "v8", answering=True),
        ],
        client=Histogram(bounds, [done, 0, 0, 0], 0.0),
        queue=Histogram(bounds, [0, done, 0, 0], 2.0 * factor),
        called=Histogram(bounds, [0, 0, done, 0], 20.0 * factor),
    )
    blog = Queue(
        app="blog",
        ready=False,
        reason="no worker is there",
        gate="paused",
        queued=0,
        length=10,
        queued_bytes=0,
        oldest_s=0.0,
        leased=0,
        idle=0,
        counters={"answered": 0, "lost": 0},
        labels=[],
        workers=[],
        workers_in_all=0,
        requests=[],
        client=Histogram(bounds, [0, 0, 0, 0]),
        queue=Histogram(bounds, [0, 0, 0, 0]),
        called=Histogram(bounds, [0, 0, 0, 0]),
    )
    return Front([shop, blog])


def status_of_front(factor: int = 1, taken: float = 0.0) -> Status:
    """A front by itself."""
    found = status(factor, taken)
    found.workers = found.workers[:1]
    found.workers[0].team, found.workers[0].threads, found.workers[0].busy = FRONT, 0, 4
    found.target, found.interface, found.desired = None, "front", 1
    found.front = front(factor)
    return found


def status_of_split(factor: int = 1, taken: float = 0.0) -> Status:
    """A front with a worker of its own, both of one master."""
    found = status(factor, taken)
    found.workers[0].team, found.workers[0].threads, found.workers[0].busy = FRONT, 0, 4
    found.workers[1].team, found.workers[1].slot = "app", 1
    found.front = front(factor)
    return found
