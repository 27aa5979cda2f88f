"""The picture that `drawbar top` paints: two looks at a server made into lines of a given width. Pure.

Rates and percentiles are those of the time between the two looks, so the picture shows what goes on now, not since
the server started. The first picture has one look only and shows no rates.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from drawbar.cli.control.show import busy, last_error, percentiles, phase_and_age, workers_ready
from drawbar.cli.control.table import Column, pairs, table
from drawbar.cli.control.text import count, cut, plain, size, time
from drawbar.supervisor.control.status import Histogram, Status, Worker, awaited

NARROW = 100
"""Columns of a terminal below which the age of a worker is left out."""


class Picture(NamedTuple):
    """Lines to show; `head` of them is what stands above the table of workers, whose heading follows."""

    lines: list[str]
    head: int


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
    """A screenful. What does not fit is left out from below: workers are sorted by slot, and said to be more."""
    status = change.now
    head = [*pairs([*_title(status), *_rates(change), *_queues(status)], width), ""]
    rows = [_row(change, worker, wide=width >= NARROW) for worker in status.workers]
    body = table(_columns(wide=width >= NARROW), rows, width)
    room = max(1, height - len(head))
    if len(body) > room:
        missing = len(body) - room + 1
        body = [*body[: room - 1], cut(f"… {missing} more", width)]
    return Picture([*head, *body][:height], len(head))


def line(change: Change) -> str:
    """One look in one line, for output that is no terminal."""
    status = change.now
    parts = [
        f"workers {workers_ready(status)}",
        f"requests/s {_rate(change, _answered)}",
        f"busy {_busy(status)}",
        f"connections {sum(worker.connections for worker in status.workers)}",
        f"backlog {_backlog(status)}",
        percentiles(change.latency()),
    ]
    oldest = _oldest(status.workers)
    return ", ".join([*parts, f"oldest {oldest}"] if oldest else parts)


def _title(status: Status) -> Iterator[tuple[str, str]]:
    served = f"{status.target or 'nothing'}{f' ({status.interface})' if status.interface else ''}"
    yield f"drawbar {status.version}", f"{served}, {phase_and_age(status)}, pid {status.pid}"
    waiting = sum(worker.waiting for worker in status.workers)
    connections = sum(worker.connections for worker in status.workers)
    memory = sum(worker.memory.pss for worker in status.workers if worker.memory)
    parts = [workers_ready(status), f"busy {_busy(status)}", f"waiting {waiting}", f"connections {count(connections)}"]
    yield "workers", ", ".join([*parts, size(memory)] if memory else parts)


def _rates(change: Change) -> Iterator[tuple[str, str]]:
    parts = [f"{_rate(change, _answered)}/s"]
    for name, number in sorted(change.now.totals.requests.items()):
        if number:
            parts.append(f"{name} {_rate(change, partial(_of_class, name))}/s")
    yield "requests", ", ".join(parts)
    queued = time(change.since(lambda status: status.totals.queued).quantile(0.99))
    yield "answered in", f"{percentiles(change.latency())}, queued for p99 {queued}"
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


def _columns(*, wide: bool) -> list[Column]:
    age = [Column("AGE")] if wide else []
    return [
        Column("#"),
        Column("PID"),
        Column("PHASE", right=False),
        *age,
        Column("REQ/S"),
        Column("BUSY"),
        Column("CONNS"),
        Column("RSS"),
        Column("SHARED"),
        Column("OLDEST REQUEST", right=False),
    ]


def _row(change: Change, worker: Worker, *, wide: bool) -> list[str]:
    memory = worker.memory
    return [
        str(worker.slot),
        str(worker.pid),
        worker.phase + ("*" if worker.retiring else ""),
        *([time(worker.age_s)] if wide else []),
        _rate(change, partial(_of_worker, worker.pid)),
        busy(worker),
        count(worker.connections),
        size(memory.rss) if memory else "-",
        size(memory.shared) if memory else "-",
        _oldest([worker]),
    ]


def _oldest(workers: Sequence[Worker]) -> str:
    found = max(awaited(workers), key=lambda running: running.seconds, default=None)
    return "" if found is None else f"{time(found.seconds)} {plain(found.request)}"


def _busy(status: Status) -> str:
    running = sum(worker.busy for worker in status.workers)
    threads = sum(worker.threads for worker in status.workers)
    return f"{running}/{threads}" if threads else str(running)


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
