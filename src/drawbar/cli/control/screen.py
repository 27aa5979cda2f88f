"""The picture that `drawbar top` paints: two looks at a server made into lines of a given width. Pure.

Rates and percentiles are those of the time between the two looks, so the picture shows what goes on now, not since
the server started. The first picture has one look only and shows no rates.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import msgspec

from drawbar.cli.control.queues import (
    Table,
    label_table,
    name_of,
    queue_table,
    request_table,
    share,
    totals,
    worker_table,
)
from drawbar.cli.control.show import (
    busy,
    deploys,
    last_error,
    percentiles,
    phase_and_age,
    processes,
    served,
    workers_ready,
)
from drawbar.cli.control.table import Column, pairs
from drawbar.cli.control.text import count, plain, size, time
from drawbar.supervisor.control.status import Histogram, Queue, Status, Worker, awaited, is_behind

NARROW = 100
"""Columns of a terminal below which the age of a worker is left out."""


class Picture(NamedTuple):
    """Lines to show; `headings` are the numbers of those that stand above tables."""

    lines: list[str]
    headings: frozenset[int]


class Change(NamedTuple):
    """What happened between two looks; `before` is None at the first."""

    now: Status
    before: Status | None

    def rate(self, figure: Callable[[Status], float]) -> float | None:
        """How fast a figure grows, a second; None when there is nothing to compare with."""
        if self.before is None or self.now.taken <= self.before.taken:
            return None
        grown = figure(self.now) - figure(self.before)
        return grown / (self.now.taken - self.before.taken) if grown >= 0 else None

    def since(self, histogram: Callable[[Status], Histogram]) -> Histogram:
        """What a histogram took in since the last look; at the first look all it has."""
        now = histogram(self.now)
        return now.since(histogram(self.before)) if self.before else now

    def latency(self) -> Histogram:
        """Of the requests answered since the last look."""
        return self.since(lambda status: status.totals.latency)


def picture(change: Change, width: int, height: int) -> Picture:
    """A screenful. Of what does not fit is told how much it is."""
    status = change.now
    lines = [*pairs([*_title(status), *_rates(change), *_queues(status)], width)]
    headings: set[int] = set()
    tables = _tables(change, wide=width >= NARROW)
    # Shown from top to bottom as they stand there; where there is little room, by what is asked first.
    by_weight = sorted(range(len(tables)), key=lambda number: tables[number][0])
    for found, room in share([table for _, table in tables], max(2, height - len(lines)), by_weight):
        headings.add(len(lines) + 1)
        lines += ["", *found.lines(width, room)]
    return Picture(lines[:height], frozenset(number for number in headings if number < height))


def _tables(change: Change, *, wide: bool) -> list[tuple[int, Table]]:
    """From top to bottom, each with its place in the order of importance."""
    status = change.now
    rows = [_row(change, worker, wide=wide) for worker in status.workers]
    own = (3, Table(_columns(status, wide=wide), rows, len(rows)))
    front = status.front
    if front is None or front.silent is not None:
        return [own]
    queues = queue_table(front, partial(_lately, change), partial(_rate_of_queue, change))
    labels = label_table(front)
    return [
        (0, queues),
        *([(4, labels)] if labels is not None else []),
        # A front without workers of its own is told of above.
        *([own] if len(status.workers) > 1 else []),
        (2, worker_table(front)),
        (1, request_table(front)),
    ]


def _before(change: Change, app: str) -> Queue | None:
    front = change.before.front if change.before is not None else None
    return next((queue for queue in front.queues if queue.app == app), None) if front is not None else None


def _lately(change: Change, queue: Queue) -> Queue:
    """The queue with the times of what came between the two looks."""
    before = _before(change, queue.app)
    if before is None or before.queue.count > queue.queue.count:
        return queue
    return msgspec.structs.replace(
        queue, queue=queue.queue.since(before.queue), called=queue.called.since(before.called)
    )


def _rate_of_queue(change: Change, queue: Queue) -> str:
    def answered(status: Status) -> float:
        queues = status.front.queues if status.front is not None else []
        return next((found.counters.get("answered", 0) for found in queues if found.app == queue.app), 0)

    return _rate(change, answered)


def line(change: Change) -> str:
    """One look in one line, for output that is no terminal."""
    status = change.now
    parts = [
        f"workers {workers_ready(status)}",
        f"requests/s {_rate(change, _answered)}",
        totals(status.front) if status.front is not None else f"busy {_busy(status)}",
        f"connections {_connections(status)}",
        f"backlog {_backlog(status)}",
        percentiles(change.latency()),
    ]
    oldest = _oldest(status.workers)
    return ", ".join([*parts, f"oldest {oldest}"] if oldest else parts)


def _title(status: Status) -> Iterator[tuple[str, str]]:
    yield f"drawbar {status.version}", f"{served(status)}, {phase_and_age(status)}, pid {status.pid}"
    waiting = sum(worker.waiting for worker in status.workers)
    connections = _connections(status)
    memory = sum(worker.memory.pss for worker in status.workers if worker.memory)
    work = [f"busy {_busy(status)}", f"waiting {waiting}"] if status.front is None else []
    parts = [workers_ready(status), *work, f"connections {count(connections)}"]
    yield processes(status), ", ".join([*parts, size(memory)] if memory else parts)
    if status.front is not None:
        yield "requests", status.front.silent or totals(status.front)
    yield from deploys(status)


def _rates(change: Change) -> Iterator[tuple[str, str]]:
    parts = [f"{_rate(change, _answered)}/s"]
    for name, number in sorted(change.now.totals.requests.items()):
        if number:
            parts.append(f"{name} {_rate(change, partial(_of_class, name))}/s")
    yield "requests" if change.now.front is None else "answered", ", ".join(parts)
    queued = time(change.since(lambda status: status.totals.queued).quantile(0.99))
    yield (
        "answered in" if change.now.front is None else "in",
        f"{percentiles(change.latency())}, queued for p99 {queued}",
    )
    received = change.rate(lambda status: status.totals.received_bytes)
    sent = change.rate(lambda status: status.totals.sent_bytes)
    yield "traffic", f"{_size(received)}/s in, {_size(sent)}/s out"


def _queues(status: Status) -> Iterator[tuple[str, str]]:
    parts = [
        f"{plain(listener.address)} {listener.backlog.waiting}/{listener.backlog.limit}"
        for listener in status.listeners
        if listener.backlog
    ]
    if parts:
        yield "backlog", ", ".join(parts)
    yield from last_error(status)


def _columns(status: Status, *, wide: bool) -> list[Column]:
    age = [Column("AGE")] if wide else []
    return [
        Column("#") if status.front is None else Column("PROCESS", right=False),
        Column("PID"),
        Column("PHASE", right=False),
        *age,
        Column("REQ/S"),
        Column("BUSY"),
        Column("CONNS"),
        Column("RSS"),
        Column("SHARED"),
        # A front's are in a table of their own.
        *([Column("OLDEST REQUEST", right=False)] if status.front is None else []),
    ]


def _row(change: Change, worker: Worker, *, wide: bool) -> list[str]:
    memory = worker.memory
    return [
        name_of(worker),
        str(worker.pid),
        worker.phase + ("*" if worker.retiring else ""),
        *([time(worker.age_s)] if wide else []),
        _rate(change, partial(_of_worker, worker.pid)),
        busy(worker),
        count(worker.connections),
        size(memory.rss) if memory else "-",
        size(memory.shared) if memory else "-",
        *([_oldest([worker])] if change.now.front is None else []),
    ]


def _oldest(workers: Sequence[Worker]) -> str:
    found = max(awaited(workers), key=lambda running: running.seconds, default=None)
    return "" if found is None else f"{time(found.seconds)} {plain(found.request)}"


def _busy(status: Status) -> str:
    running = sum(worker.busy for worker in status.workers)
    threads = sum(worker.threads for worker in status.workers)
    return f"{running}/{threads}" if threads else str(running)


def _connections(status: Status) -> int:
    """Of clients."""
    return sum(worker.connections for worker in status.workers if not is_behind(worker))


def _backlog(status: Status) -> int:
    return sum(listener.backlog.waiting for listener in status.listeners if listener.backlog)


def _answered(status: Status) -> int:
    return sum(status.totals.requests.values())


def _of_class(name: str, status: Status) -> int:
    return status.totals.requests.get(name, 0)


def _of_worker(pid: int, status: Status) -> int:
    # One that was not there yet had served none.
    return next((worker.requests for worker in status.workers if worker.pid == pid), 0)


def _rate(change: Change, figure: Callable[[Status], float]) -> str:
    found = change.rate(figure)
    return "-" if found is None else count(found)


def _size(rate: float | None) -> str:
    return "-" if rate is None else size(rate)
