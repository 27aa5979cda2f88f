"""What is known of a running server, as plain data: what the master says, what the scoreboard counts, both together.

Types and pure functions only. `Status` is what GET /status answers and what `drawbar ctl` and `drawbar top` read back,
so a field is added here and nowhere else. Times are seconds, sizes bytes, counters run since the server first started.
"""

import math
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct, field

from drawbar.config import names

TAKES_REQUESTS = ("serving", "reloading", "upgrading")
"""Phases of a server that may be sent traffic."""
FRONT = names.FRONT
"""The team of a process that has clients, and workers behind it."""
SERVING = "ready"
"""Phase of a worker that takes requests."""


class Backlog(Struct):
    """Connections that wait to be accepted, and how many may."""

    waiting: int
    limit: int


class Listener(Struct):
    """An address requests come in at. `backlog` is None where the system does not tell."""

    address: str
    backlog: Backlog | None = None


class WorkerRecord(Struct):
    """A worker as the master knows it. `cell` is its place on the scoreboard, `retiring` why it is to be replaced.

    `team` is its application where that is behind a front, FRONT of the front itself, and else None.
    """

    slot: int
    pid: int
    generation: int
    phase: str
    cell: int | None = None
    started_s_ago: float | None = None
    retiring: str | None = None
    team: str | None = None


class DeployRecord(Struct):
    """A deploy of an application: one that is under way, or the last that ended.

    `stage` is `waits` (for the new version's workers), `moves` (the queue), `trial`, and then `kept` or `failed`.
    `old`: what had everything before; None: nobody had. A label is "" when workers name none.
    """

    app: str
    label: str
    old: str | None
    stage: str
    seconds: float
    """Since the order; of one that has ended, since its end."""
    verdict: str | None = None
    """How it ended, in words with what was counted; None while it is under way."""


class Record(Struct):
    """A server as its master knows it: the master's answer to `status`."""

    version: str
    pid: int
    started: float
    uptime_s: float
    phase: str
    target: str | None = None
    interface: str | None = None
    generation: int = 1
    listeners: list[Listener] = field(default_factory=list)
    workers: list[WorkerRecord] = field(default_factory=list)
    desired: int = 0
    restarts: dict[str, int] = field(default_factory=dict)
    last_error: str | None = None
    last_error_s_ago: float | None = None
    config_file: str | None = None
    deploys: list[DeployRecord] = field(default_factory=list)
    front: str | None = None
    """The socket where the front tells of its queues; None where there is no front."""


class Memory(Struct):
    """A process's memory: resident; its share of it, where pages of several count once; and the shared part."""

    rss: int
    pss: int
    shared: int


class Running(Struct):
    """A request in flight. `called` is false while it waits for its application.

    `answered`: its response has begun, or another protocol took the connection over. A stream and a WebSocket last as
    long as they like, and nobody waits for them.
    """

    request: str
    seconds: float
    called: bool = True
    peer: str | None = None
    answered: bool = False


class Cell(Struct):
    """What one worker counts on the scoreboard. `in_flight` has the oldest first, and those answered last."""

    pid: int
    requests: int = 0
    busy: int = 0
    waiting: int = 0
    threads: int = 0
    connections: int = 0
    in_flight: list[Running] = field(default_factory=list)


def awaited(cells: "Iterable[Cell | Worker]") -> "Iterator[Running]":
    """The requests whose clients wait for an answer."""
    return (running for cell in cells for running in cell.in_flight if not running.answered)


class Histogram(Struct):
    """How often something took how long: counts[i] of at most bounds_s[i], the last of more than any of them."""

    bounds_s: list[float] = field(default_factory=list)
    counts: list[int] = field(default_factory=lambda: [0])
    sum_s: float = 0.0

    @property
    def count(self) -> int:
        return sum(self.counts)

    def since(self, before: "Histogram") -> "Histogram":
        """What was added since `before`."""
        if before.bounds_s != self.bounds_s:
            return self
        counts = [max(0, now - then) for now, then in zip(self.counts, before.counts, strict=True)]
        return Histogram(self.bounds_s, counts, max(0.0, self.sum_s - before.sum_s))

    def quantile(self, share: float) -> float | None:
        """The time within which this share of all were done, as exact as the buckets are; None when there are none.

        Within a bucket it is interpolated, as histogram_quantile() of Prometheus does; beyond the last bound it is inf.
        """
        wanted, below = share * self.count, 0
        if not self.count:
            return None
        low = 0.0
        for bound, count in zip(self.bounds_s, self.counts, strict=False):
            if count and below + count >= wanted:
                return low + (bound - low) * (wanted - below) / count
            below += count
            low = bound
        return math.inf


class Totals(Struct):
    """What all workers counted, those of the past included: nothing here ever goes back."""

    requests: dict[str, int] = field(default_factory=dict)
    """By status class, "2xx"; "aborted" is those broken off before they had one."""
    latency: Histogram = field(default_factory=Histogram)
    queued: Histogram = field(default_factory=Histogram)
    received_bytes: int = 0
    sent_bytes: int = 0
    accepted: int = 0
    refused: int = 0
    timeouts: int = 0
    gc_collections: list[int] = field(default_factory=list)
    gc_pause_s: float = 0.0


class QueueRequest(Struct):
    """A request at a front: `worker` is empty while it waits. `answering`: its response has begun."""

    request: str
    age_s: float
    attempts: int
    worker: str = ""
    label: str = ""
    answering: bool = False


class QueueWorker(Struct):
    """A worker that pulls: the requests it has, and its places that wait for one."""

    worker: str
    label: str
    lane: str
    idle: int
    leased: int


class QueueLabel(Struct):
    """All workers of one version. Of what only grows, since the front's start."""

    label: str
    weight: float = 0.0
    retired: bool = False
    held: bool = False
    idle: int = 0
    leased: int = 0
    given: int = 0
    answered: int = 0
    failed: int = 0
    lost: int = 0


class Trial(Struct):
    """A version's answers that it is judged by so far, lost workers among them; how many failed, and are wanted."""

    label: str
    answers: int
    failed: int
    wanted: int


class Queue(Struct):
    """One application's queue at a front."""

    app: str
    ready: bool
    reason: str | None
    """Why it is not ready."""
    gate: str
    """open, paused or closed."""
    queued: int
    length: int
    """Of those that may wait."""
    queued_bytes: int
    oldest_s: float
    leased: int
    idle: int
    counters: dict[str, int]
    labels: list[QueueLabel]
    workers: list[QueueWorker]
    """Those with most requests first, and not more than a screenful or two."""
    workers_in_all: int
    requests: list[QueueRequest]
    """In flight, oldest first, and not more than a screenful or two; those answered last."""
    client: Histogram
    queue: Histogram
    called: Histogram
    """How long requests were on their way, waited, and were with a worker."""
    trial: Trial | None = None


class Front(Struct):
    """What a front tells of its queues; `silent` says why it does not, and then there are none."""

    queues: list[Queue] = field(default_factory=list)
    silent: str | None = None


class Worker(Struct):
    """A worker: what the master knows, what it counts, what it weighs."""

    slot: int
    pid: int
    generation: int
    phase: str
    age_s: float | None = None
    retiring: str | None = None
    team: str | None = None
    """Its application, or FRONT; None where workers serve clients themselves."""
    requests: int = 0
    busy: int = 0
    waiting: int = 0
    threads: int = 0
    connections: int = 0
    memory: Memory | None = None
    in_flight: list[Running] = field(default_factory=list)
    """The oldest first, and those answered last; at most SHOWN of them."""


class Status(Struct):
    """A running server."""

    version: str
    pid: int
    started: float
    uptime_s: float
    phase: str
    ready: bool
    reason: str | None
    """Why it is not ready."""
    target: str | None
    interface: str | None
    generation: int
    desired: int
    listeners: list[Listener]
    workers: list[Worker]
    restarts: dict[str, int]
    totals: Totals
    last_error: str | None
    last_error_s_ago: float | None
    config_file: str | None
    memory: Memory | None
    """The master's own."""
    taken: float
    """When, in seconds of a monotonic clock: two of them give the time between."""
    front: Front | None = None
    """What the front tells; None where there is none."""
    deploys: list[DeployRecord] = field(default_factory=list)
    """Those under way, and of each application the last one that ended."""


SHOWN = 20
"""Requests in flight of a worker that a status lists."""


def merge(
    record: Record,
    cells: dict[int, Cell],
    totals: Totals,
    memory: dict[int, Memory],
    taken: float,
    front: Front | None = None,
) -> Status:
    """All that is known. `cells` and `memory` go by process id; a worker may be in neither yet."""
    reason = why_not_ready(record)
    return Status(
        version=record.version,
        pid=record.pid,
        started=record.started,
        uptime_s=record.uptime_s,
        phase=record.phase,
        ready=reason is None,
        reason=reason,
        target=record.target,
        interface=record.interface,
        generation=record.generation,
        desired=record.desired,
        listeners=record.listeners,
        workers=[merge_worker(worker, cells, memory) for worker in sorted(record.workers, key=_order)],
        restarts=record.restarts,
        totals=totals,
        last_error=record.last_error,
        last_error_s_ago=record.last_error_s_ago,
        config_file=record.config_file,
        memory=memory.get(record.pid),
        front=front,
        deploys=record.deploys,
        taken=taken,
    )


def merge_worker(worker: WorkerRecord, cells: dict[int, Cell], memory: dict[int, Memory]) -> Worker:
    """One worker; without a cell its figures are zero."""
    cell = cells.get(worker.pid, Cell(worker.pid))
    return Worker(
        slot=worker.slot,
        pid=worker.pid,
        generation=worker.generation,
        phase=worker.phase,
        age_s=worker.started_s_ago,
        retiring=worker.retiring,
        team=worker.team,
        requests=cell.requests,
        busy=cell.busy,
        waiting=cell.waiting,
        threads=cell.threads,
        connections=cell.connections,
        memory=memory.get(worker.pid),
        in_flight=cell.in_flight[:SHOWN],
    )


def is_behind(worker: WorkerRecord | Worker) -> bool:
    """Whether clients are connected to a front instead."""
    return worker.team not in (None, FRONT)


def why_not_ready(record: Record) -> str | None:
    """Why this server should be sent no traffic; None when it should."""
    if record.phase not in TAKES_REQUESTS:
        return f"the server is {record.phase}"
    if not any(worker.phase == SERVING and not is_behind(worker) for worker in record.workers):
        return "no worker takes requests"
    return None


def _order(worker: WorkerRecord) -> tuple[Any, ...]:
    # The front stands above the workers behind it.
    return is_behind(worker), worker.team or "", worker.slot, worker.generation, worker.pid
