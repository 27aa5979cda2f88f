"""A front's queues as tables: what waits, who has room, which requests are in flight. Pure.

Shown by `drawbar ctl status` as they are, and by `drawbar top` in as many lines as there are.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from drawbar.cli.control.table import Column, table
from drawbar.cli.control.text import count, plain, time
from drawbar.supervisor.control.status import FRONT as FRONT_TEAM
from drawbar.supervisor.control.status import Front, Queue, QueueLabel, QueueRequest, Worker

NONE = "-"
SOME_LINES = 4
"""Of a table that is not shown whole: heading, two rows, and how many more there are."""

Rate = Callable[[Queue], str]
"""Requests of a queue that were answered, a second."""


class Table(NamedTuple):
    """A table that may lose rows where there is no room for them."""

    columns: Sequence[Column]
    rows: list[list[str]]
    in_all: int
    """Rows there would be; those beyond `rows` were never told."""

    def lines(self, width: int, height: int) -> list[str]:
        """Heading and rows, in at most so many lines; what is left out is counted in the last one."""
        whole = table(self.columns, self.rows, width)
        if len(whole) <= height and len(self.rows) == self.in_all:
            return whole
        kept = whole[: max(1, min(len(whole), height - 1))]
        missing = self.in_all - (len(kept) - 1)
        return [*kept, f"… {missing} more"[:width]][:height]

    @property
    def height(self) -> int:
        """Lines it takes when nothing is left out."""
        return 1 + len(self.rows) + (len(self.rows) < self.in_all)


def name_of(worker: Worker) -> str:
    """A process as people call it: the front, a worker of an application behind it, or a worker."""
    if worker.team is None:
        return str(worker.slot)
    return FRONT_TEAM if worker.team == FRONT_TEAM else f"{worker.team} {worker.slot}"


def queue_table(front: Front, since: Callable[[Queue], Queue], rate: Rate | None = None) -> Table:
    """A row for each application. since: its queue with the times of what is shown."""
    columns = [
        Column("APP", right=False),
        Column("QUEUED"),
        Column("OLDEST"),
        Column("RUNNING"),
        Column("ROOM"),
        *([Column("REQ/S")] if rate is not None else [Column("ANSWERED")]),
        Column("WAIT P99"),
        Column("WORK P99"),
        Column("LOST"),
        Column("STATE", right=False),
    ]
    rows = [_queue(queue, since(queue), rate) for queue in front.queues]
    return Table(columns, rows, len(rows))


def _queue(queue: Queue, lately: Queue, rate: Rate | None) -> list[str]:
    return [
        plain(queue.app),
        f"{count(queue.queued)}/{count(queue.length)}",
        time(queue.oldest_s) if queue.queued else NONE,
        count(queue.leased),
        count(queue.idle),
        count(queue.counters.get("answered", 0)) if rate is None else rate(queue),
        time(lately.queue.quantile(0.99)),
        time(lately.called.quantile(0.99)),
        count(queue.counters.get("lost", 0)),
        _state(queue),
    ]


def _state(queue: Queue) -> str:
    if queue.gate == "paused":
        return "paused"
    if queue.gate == "closed":
        return "stopped"
    return "ready" if queue.ready else plain(queue.reason or "not ready")


def label_table(front: Front) -> Table | None:
    """A row for each version of an application; None where no worker has said which it is."""
    labels = [(queue, label) for queue in front.queues for label in queue.labels]
    if not any(label.label for _, label in labels):
        return None
    columns = [
        Column("APP", right=False),
        Column("LABEL", right=False),
        *map(Column, ("RUNNING", "ROOM", "GIVEN", "FAILED", "LOST")),
        Column("STATE", right=False),
    ]
    rows = [
        [
            plain(queue.app),
            plain(label.label) or NONE,
            *map(count, (label.leased, label.idle, label.given, label.failed, label.lost)),
            _state_of_label(queue, label),
        ]
        for queue, label in labels
    ]
    return Table(columns, rows, len(rows))


def _state_of_label(queue: Queue, label: QueueLabel) -> str:
    if label.retired:
        return "retired"
    if label.held:
        return "held back"
    shares = sum(other.weight for other in queue.labels)
    if shares:
        return f"{100 * label.weight / shares:.0f} %"
    return "" if label.idle or label.leased else "gone"


def worker_table(front: Front) -> Table:
    """A row for each worker that pulls, with its room."""
    columns = [
        Column("WORKER", right=False),
        Column("APP", right=False),
        Column("LABEL", right=False),
        Column("LANE", right=False),
        Column("RUNNING"),
        Column("ROOM"),
    ]
    rows = [
        [
            plain(worker.worker),
            plain(queue.app),
            plain(worker.label) or NONE,
            worker.lane,
            count(worker.leased),
            count(worker.idle),
        ]
        for queue in front.queues
        for worker in queue.workers
    ]
    return Table(columns, rows, sum(queue.workers_in_all for queue in front.queues))


def request_table(front: Front) -> Table:
    """Requests in flight, those first whose clients wait longest. A response that has begun is nobody's concern."""
    columns = [
        Column("AGE"),
        Column("APP", right=False),
        Column("TRY"),
        Column("AT", right=False),
        Column("REQUEST", right=False),
    ]
    found = sorted(
        ((queue, request) for queue in front.queues for request in queue.requests if not request.answering),
        key=lambda item: -item[1].age_s,
    )
    rows = [_request(queue, request) for queue, request in found]
    answering = sum(request.answering for queue in front.queues for request in queue.requests)
    in_all = sum(queue.queued + queue.leased for queue in front.queues) - answering
    return Table(columns, rows, max(len(rows), in_all))


def _request(queue: Queue, request: QueueRequest) -> list[str]:
    at = f"{request.worker}{f' {request.label}' if request.label else ''}" if request.worker else "the queue"
    return [time(request.age_s), plain(queue.app), str(request.attempts), plain(at), plain(request.request)]


def totals(front: Front) -> str:
    """`queued 12, oldest 1.2 s, running 8, room 0`."""
    oldest = max((queue.oldest_s for queue in front.queues if queue.queued), default=None)
    parts = [f"queued {count(sum(queue.queued for queue in front.queues))}"]
    parts += [f"oldest {time(oldest)}"] if oldest is not None else []
    parts.append(f"running {count(sum(queue.leased for queue in front.queues))}")
    parts.append(f"room {count(sum(queue.idle for queue in front.queues))}")
    return ", ".join(parts)


def share(tables: Sequence[Table], height: int, first: Sequence[int]) -> Iterator[tuple[Table, int]]:
    """Which tables are shown in so many lines, and in how many each, with an empty line before it.

    first: their numbers, the most important first. Each of them gets some rows as long as there is room, and what is
    left then goes to them in the same order.
    """
    given = dict.fromkeys(range(len(tables)), 0)
    for number in first:
        wanted = min(tables[number].height, SOME_LINES)
        some = min(wanted, height - 1)
        # A heading that stands over a number is worth nothing, unless there is nothing else.
        if some == wanted or number == first[0]:
            given[number] = max(0, some)
            height -= some + 1
    for number in first:
        if given[number]:
            more = min(tables[number].height - given[number], height)
            given[number] += more
            height -= more
    return ((table, given[number]) for number, table in enumerate(tables) if given[number])
