"""What the control process can find out: from the master by asking, from the scoreboard and /proc by looking.

The one place where figures are read; `status` and `metrics` say what is made of them.
"""

import time
from collections.abc import Iterable

import msgspec

from drawbar.net.figures import ANSWERING, BOUNDS_S, Counters, InFlight
from drawbar.net.figures import Histogram as Counted
from drawbar.net.scoreboard import Cell as Place
from drawbar.net.scoreboard import Scoreboard
from drawbar.supervisor.control.asking import ask_front
from drawbar.supervisor.control.line import Line, Silent
from drawbar.supervisor.control.metrics import Exposition
from drawbar.supervisor.control.status import (
    Cell,
    Histogram,
    Memory,
    Record,
    Running,
    Status,
    Totals,
    merge,
    why_not_ready,
)
from drawbar.supervisor.host.memory import read_memory

CLASSES = ("aborted", "1xx", "2xx", "3xx", "4xx", "5xx")
"""Names of the scoreboard's status classes, in its order."""


class State:
    """The server, looked at on request. `line` also carries commands."""

    def __init__(self, line: Line, scoreboard: Scoreboard) -> None:
        self.line = line
        self._scoreboard = scoreboard

    def record(self) -> Record:
        """What the master knows. Raises Silent and Refused, and msgspec.ValidationError for nonsense."""
        return msgspec.convert(self.line.ask("status"), Record)

    def why_not_ready(self) -> str | None:
        """Why this server should be sent no requests; None when it should."""
        return why_not_ready(self.record())

    def status(self) -> Status:
        """All that is known."""
        record = self.record()
        # First the cells, then their sum: a total is never less than its parts.
        cells = {cell.pid: cell for cell in self._cells()}
        totals = totals_of(self._scoreboard.totals())
        record.restarts = self._scoreboard.restarts() or record.restarts
        front = None if record.front is None else ask_front(record.front)
        pids = [record.pid, *(worker.pid for worker in record.workers)]
        return merge(record, cells, totals, _memories(pids), time.monotonic(), front)

    def exposition(self) -> Exposition:
        """What one scrape tells, whether or not the master answers."""
        try:
            record = self.record()
        except Silent:
            record = None
        cells = self._cells()
        totals = totals_of(self._scoreboard.totals())
        memory = list(_memories(cell.pid for cell in cells).values())
        front = None if record is None or record.front is None else ask_front(record.front)
        return Exposition(record, cells, totals, self._scoreboard.restarts(), memory, front)

    def _cells(self) -> list[Cell]:
        now_ns = time.monotonic_ns()
        return [cell_of(place, now_ns) for place in self._scoreboard.cells() if place.pid]


def cell_of(place: Place, now_ns: int) -> Cell:
    """A place on the scoreboard as plain data."""
    in_flight = [running_of(entry, now_ns) for entry in place.in_flight()]
    return Cell(
        pid=place.pid,
        requests=place.requests,
        busy=place.busy,
        waiting=place.waiting,
        threads=place.threads,
        connections=place.connections,
        in_flight=sorted(in_flight, key=lambda running: (running.answered, -running.seconds)),
    )


def running_of(entry: InFlight, now_ns: int) -> Running:
    """A request in flight as a person reads it."""
    peer = None if entry.peer is None else f"{entry.peer[0]}:{entry.peer[1]}"
    seconds = max(0, now_ns - entry.started_ns) / 1e9
    answered = entry.raw or entry.state == ANSWERING
    return Running(entry.text, round(seconds, 6), called=entry.called_ns > 0, peer=peer, answered=answered)


def totals_of(counters: Counters) -> Totals:
    """The scoreboard's sums as plain data."""
    return Totals(
        requests=dict(zip(CLASSES, counters.requests, strict=True)),
        latency=_histogram(counters.latency),
        queued=_histogram(counters.queued),
        received_bytes=counters.bytes_in,
        sent_bytes=counters.bytes_out,
        accepted=counters.connections,
        refused=counters.refused,
        timeouts=counters.timed_out,
        gc_collections=list(counters.collections),
        gc_pause_s=counters.collecting_s,
    )


def _histogram(counted: Counted) -> Histogram:
    return Histogram(list(BOUNDS_S), list(counted.buckets), counted.sum_s)


def _memories(pids: Iterable[int]) -> dict[int, Memory]:
    found = {pid: read_memory(pid) for pid in pids}
    return {pid: Memory(memory.rss, memory.pss, memory.shared) for pid, memory in found.items() if memory is not None}
