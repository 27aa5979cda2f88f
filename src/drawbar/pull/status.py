"""What the front tells of its queues: `GET /api/v2/status`, and whether it is ready.

Law: reading changes nothing. Ready means that the queue moves, which `why_stuck` decides from plain figures: a request
that came now would meet a worker. In words, an app is ready when it takes requests, and

- nobody waits, and a worker is there: it waits for a request, has one, or was seen in the last `ABSENT_MS`; or
- requests wait, and in the last `STUCK_MS` one was taken by a worker or answered.

A long queue that is being worked off is ready; a short one that nobody comes for is not. A pause is an order, with
requests held on purpose: the app stays as ready as it was.
"""

import math
from collections.abc import Callable, Collection
from typing import Any, Final, NamedTuple

from drawbar.net.figures import Histogram
from drawbar.net.scoreboard import Cell
from drawbar.pull.desk import Desk
from drawbar.pull.entry import Entry, Room
from drawbar.pull.front import Delivery
from drawbar.pull.queue import AppQueue, Gate

ABSENT_MS: Final = 10_000
"""A worker that asks over and over may be gone for so long, between two questions, and still count as there."""
STUCK_MS: Final = 5_000
"""While requests wait, the queue may rest for so long and still count as moving."""
MOST_LISTED: Final = 1_000
"""Workers, and requests, of an app in a report; of more, the first."""
MOST_SHOWN: Final = 200
"""Characters of a request's method and target in a report."""


class Figures(NamedTuple):
    """What is known of an app's queue at one moment. Times in milliseconds."""

    is_stopped: bool
    is_paused: bool
    queued: int
    idle: int
    leased: int
    unseen_ms: int | None
    """Since a worker of lanes v1 and v2 asked last; None: none ever did."""
    resting_ms: int
    """Since a request was taken by a worker or answered, as far as is known: at most since the last look."""


def why_stuck(figures: Figures) -> str | None:
    """Why an app is not ready; None: it is."""
    if figures.is_stopped:
        return "it is stopped"
    if figures.is_paused:
        return None
    if figures.queued:
        if figures.resting_ms < STUCK_MS:
            return None
        return f"{figures.queued} requests wait, and none was taken or answered for {figures.resting_ms // 1000} s"
    if figures.idle or figures.leased or (figures.unseen_ms is not None and figures.unseen_ms < ABSENT_MS):
        return None
    return "no worker is there"


class Movement:
    """When a queue moved last, seen from one look to the next: no clock runs for it while nobody looks."""

    def __init__(self, now_ms: int) -> None:
        self._moved = -1
        self._since_ms = now_ms

    def resting_ms(self, queue: AppQueue, now_ms: int) -> int:
        """Since when nothing has moved: at the first look, not at all."""
        moved = queue.matched + queue.answered
        if moved != self._moved or queue.queued == 0:
            self._moved = moved
            self._since_ms = now_ms
        return now_ms - self._since_ms


class Status:
    """Reports on all apps of a front. on_demand: apps whose workers are started when a request comes."""

    def __init__(self, desk: Desk, on_demand: Collection[str] = ()) -> None:
        self._desk = desk
        self._on_demand = on_demand
        self._movements: dict[str, Movement] = {}
        self.on_trial: Callable[[str], dict[str, Any] | None] = lambda app: None
        """Who tells of the trial of an app's new version."""

    def why_not_ready(self, apps: Collection[str]) -> dict[str, str]:
        """By app, what keeps it from being ready."""
        reasons: dict[str, str] = {}
        for name in apps:
            why = why_stuck(self._figures(name, self._desk.front.queues[name]))
            if why is not None and not (why == "no worker is there" and name in self._on_demand):
                reasons[name] = why
        return reasons

    def _figures(self, name: str, queue: AppQueue) -> Figures:
        now_ms = self._desk.front.now_ms
        movement = self._movements.setdefault(name, Movement(now_ms))
        seen_ms = max((seen.seen_ms for seen in self._desk.seen.values() if seen.app == name), default=None)
        return Figures(
            is_stopped=queue.gate is Gate.CLOSED,
            is_paused=queue.gate is Gate.PAUSED,
            queued=queue.queued,
            idle=queue.eligible,
            leased=queue.leased,
            unseen_ms=None if seen_ms is None else now_ms - seen_ms,
            resting_ms=movement.resting_ms(queue, now_ms),
        )

    def report(self, apps: Collection[str], most: int = MOST_LISTED) -> dict[str, Any]:
        """Everything about these apps. most: workers, and requests, of each that are listed."""
        reasons = self.why_not_ready(apps)
        return {
            "apps": {name: self._app(name, self._desk.front.queues[name], reasons.get(name), most) for name in apps},
            "polls": len(self._desk.polls),
            "draining": self._desk.is_draining,
        }

    def histograms(self, cell: Cell) -> dict[str, Any]:
        """Of all apps together: seconds up to which so many requests waited for a worker, and took in all."""
        counters = cell.counters()
        return {
            "queued": _histogram(counters.queued),
            "latency": _histogram(counters.latency),
        }

    def _app(self, name: str, queue: AppQueue, why: str | None, most: int) -> dict[str, Any]:
        now_ms = self._desk.front.now_ms
        workers = self._workers(name, queue, now_ms)
        trial = self.on_trial(name)
        return {
            "ready": why is None,
            **({} if why is None else {"why_not_ready": why}),
            "gate": queue.gate.name.lower(),
            "queued": queue.queued,
            "queued_bytes": queue.queued_bytes,
            "oldest_ms": queue.oldest_ms(now_ms),
            "leased": queue.leased,
            "idle": queue.idle,
            "limits": {
                "length": queue.length,
                "bytes": queue.bytes,
                "queue_ms": queue.queue_ms,
                "deadline_ms": queue.deadline_ms,
                "lease_ms": queue.lease_ms,
                "attempts": queue.attempts,
            },
            "counters": {name: getattr(queue, name) for name in COUNTERS},
            "labels": [
                {
                    "label": label.name,
                    "weight": label.weight,
                    "retired": label.retired,
                    "held": label.held,
                    "idle": label.idle,
                    "leased": label.leased,
                    "given": label.given,
                    "answered": label.answered,
                    "failed": label.failed,
                    "lost": label.lost,
                }
                for label in queue.all_labels()
            ],
            **({} if trial is None else {"trial": trial}),
            "workers": workers[:most],
            "workers_in_all": len(workers),
            "histograms": {name: _histogram(counted) for name, counted in queue.times.figures().items()},
            "requests": [_request(entry, now_ms) for entry in _oldest(queue.running(MOST_LISTED), most)],
            "waiting": [_waiting(entry, now_ms) for entry in (queue.waiting(most) if most else ())],
        }

    def _workers(self, name: str, queue: AppQueue, now_ms: int) -> list[dict[str, Any]]:
        """Those that ask, and those attached: by name and label, with their rooms; those with most requests first."""
        asking = {(seen.label, seen.worker): seen for seen in self._desk.workers(name, now_ms)}
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for key, seen in asking.items():
            found[key] = _worker(*key, seen.lane) | {"seen_ms_ago": now_ms - seen.seen_ms, "given": seen.given}
        for room in queue.rooms():
            self._count(found, room, "idle")
        for entry in queue.running(MOST_LISTED):
            if entry.room is not None:
                self._count(found, entry.room, "leased")
        return sorted(found.values(), key=lambda worker: (-worker["leased"], worker["label"], worker["worker"]))

    def _count(self, found: dict[tuple[str, str], dict[str, Any]], room: Room, what: str) -> None:
        key = (room.label, room.worker)
        # One that is attached is there as long as its connection is.
        worker = found.setdefault(key, _worker(*key, "poll" if room.timed else "attach") | {"seen_ms_ago": 0})
        worker[what] += 1


COUNTERS: Final = (
    "accepted",
    "answered",
    "matched",
    "lost",
    "released",
    "renewed",
    "abandoned",
    "broken",
    "queued_too_long",
    "past_deadline",
    "refused_length",
    "refused_bytes",
    "refused_stopped",
    "waited_ms",
)


def _histogram(histogram: Histogram) -> dict[str, Any]:
    pairs = [[bound, number] for bound, number in histogram.cumulative() if bound != math.inf]
    return {"sum_s": histogram.sum_s, "count": histogram.observations, "up_to_s": pairs}


def _worker(label: str, worker: str, lane: str) -> dict[str, Any]:
    return {"worker": worker, "label": label, "lane": lane, "idle": 0, "leased": 0}


def _oldest(running: list[Entry], most: int) -> list[Entry]:
    """Those whose clients wait longest; after them those that are being answered, as they may last."""
    return sorted(running, key=lambda entry: (entry.begun, entry.accepted_ms))[:most]


def _shown(entry: Entry) -> str:
    delivery: Delivery = entry.payload  # type: ignore[assignment]  # what the front puts there
    return f"{delivery.method} {delivery.target}"[:MOST_SHOWN]


def _waiting(entry: Entry, now_ms: int) -> dict[str, Any]:
    return {"request": _shown(entry), "attempts": entry.attempts, "age_ms": now_ms - entry.accepted_ms}


def _request(entry: Entry, now_ms: int) -> dict[str, Any]:
    room = entry.room
    return {
        "request": _shown(entry),
        "attempt": entry.attempts,
        "age_ms": now_ms - entry.accepted_ms,
        "leased_ms": now_ms - entry.leased_ms,
        "worker": room.worker if room is not None else "",
        "label": room.label if room is not None else "",
        "answering": entry.begun,
    }
