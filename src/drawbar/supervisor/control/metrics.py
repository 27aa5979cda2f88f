"""What a server counts, in Prometheus' text format. Pure: plain data in, text out.

Names follow https://prometheus.io/docs/practices/naming/: base units in the name, `_total` for counters. No series
bears a process id: a series that ends with each worker costs the collector more than it tells. Every counter is a total
over the workers there are and those there were, so none goes back when workers come and go.
"""

from collections.abc import Iterator

from msgspec import Struct

from drawbar.supervisor.control.exposition import by, counter, family, gauge, histogram
from drawbar.supervisor.control.queue_metrics import queue_lines
from drawbar.supervisor.control.status import Cell, Front, Memory, Record, Totals, awaited, is_behind, why_not_ready
from drawbar.supervisor.pool import Cause, Phase

STATUS_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx", "aborted")
CAUSES = tuple(cause.value for cause in Cause)
"""Causes of restarts that a scrape shows from the start: a rate of a series that just appeared is not known."""
WORKER_PHASES = tuple(phase.value for phase in Phase)


class Exposition(Struct):
    """What one scrape tells. `record` is None when the master did not answer: what workers count is told anyway."""

    record: Record | None
    cells: list[Cell]
    totals: Totals
    restarts: dict[str, int]
    memory: list[Memory]
    """Of the workers."""
    front: Front | None = None
    """None: there is none, or the master did not say where."""


def render(told: Exposition) -> str:
    """The page."""
    return "".join(f"{line}\n" for line in _lines(told))


def _lines(told: Exposition) -> Iterator[str]:
    yield from _master(told.record)
    yield from _traffic(told.totals)
    yield from _now(told.cells, _to_clients(told))
    yield from _runtime(told)
    if told.front is not None:
        yield from queue_lines(told.front)


def _master(record: Record | None) -> Iterator[str]:
    yield from gauge("drawbar_master_answers", "1 if the master answered this scrape.", float(record is not None))
    if record is None:
        return
    info = {"version": record.version, "interface": record.interface or ""}
    yield from family(
        "drawbar_build_info", "gauge", "Version of the server, and the application's interface.", [(info, 1)]
    )
    yield from gauge("drawbar_start_time_seconds", "When the master started, in seconds since 1970.", record.started)
    ready = float(why_not_ready(record) is None)
    yield from gauge("drawbar_ready", "1 while the server is to be sent requests, as /readyz says.", ready)
    yield from gauge("drawbar_generation", "Number of the newest generation of workers.", record.generation)
    yield from gauge("drawbar_workers_desired", "Workers there should be.", record.desired)
    phases = dict.fromkeys(WORKER_PHASES, 0)
    for worker in record.workers:
        phases[worker.phase] = phases.get(worker.phase, 0) + 1
    yield from family("drawbar_workers", "gauge", "Workers by phase.", by("phase", phases))
    queues = [({"address": listener.address}, listener.backlog) for listener in record.listeners if listener.backlog]
    waiting = [(labels, float(backlog.waiting)) for labels, backlog in queues]
    limits = [(labels, float(backlog.limit)) for labels, backlog in queues]
    yield from family("drawbar_listen_backlog", "gauge", "Connections that wait to be accepted.", waiting)
    yield from family("drawbar_listen_backlog_limit", "gauge", "Connections that may wait to be accepted.", limits)


def _traffic(totals: Totals) -> Iterator[str]:
    requests = {status: totals.requests.get(status, 0) for status in STATUS_CLASSES}
    yield from family(
        "drawbar_requests_total", "counter", "Requests answered, by class of status.", by("status", requests)
    )
    about = "From the whole request to the last byte of its answer."
    yield from histogram("drawbar_request_duration_seconds", about, totals.latency)
    yield from histogram(
        "drawbar_queue_seconds", "From the whole request to the call of its application.", totals.queued
    )
    yield from counter("drawbar_requests_refused_total", "Requests answered without the application.", totals.refused)
    yield from counter("drawbar_request_timeouts_total", "Requests past the request timeout.", totals.timeouts)
    yield from counter("drawbar_connections_accepted_total", "Connections accepted.", totals.accepted)
    yield from counter("drawbar_received_bytes_total", "Bytes received from clients.", totals.received_bytes)
    yield from counter("drawbar_sent_bytes_total", "Bytes sent to clients.", totals.sent_bytes)


def _to_clients(told: Exposition) -> list[Cell]:
    """The processes that clients are connected to: what workers behind a front do, the front counts already."""
    workers = [] if told.record is None else told.record.workers
    behind = {worker.pid for worker in workers if is_behind(worker)}
    return [cell for cell in told.cells if cell.pid not in behind]


def _now(cells: list[Cell], to_clients: list[Cell]) -> Iterator[str]:
    connections = sum(cell.connections for cell in to_clients)
    yield from gauge("drawbar_connections", "Connections open.", connections)
    busy = sum(cell.busy for cell in to_clients)
    yield from gauge("drawbar_requests_running", "Requests inside the application.", busy)
    waiting = sum(cell.waiting for cell in to_clients)
    yield from gauge("drawbar_requests_waiting", "Requests that wait for the application.", waiting)
    oldest = max((running.seconds for running in awaited(to_clients)), default=0.0)
    yield from gauge(
        "drawbar_oldest_request_seconds", "Age of the oldest request whose response has not begun.", oldest
    )
    yield from gauge("drawbar_threads", "Calls of the application there may be.", sum(cell.threads for cell in cells))
    # Of a worker without a limit nothing is full.
    at_work = sum(min(cell.busy, cell.threads) for cell in cells)
    yield from gauge("drawbar_threads_busy", "Of those, calls that run.", at_work)


def _runtime(told: Exposition) -> Iterator[str]:
    causes = {cause: told.restarts.get(cause, 0) for cause in dict.fromkeys((*CAUSES, *told.restarts))}
    yield from family("drawbar_worker_restarts_total", "counter", "Workers replaced, by cause.", by("cause", causes))
    collections = {str(number): count for number, count in enumerate(told.totals.gc_collections)}
    about = "Runs of Python's garbage collector in workers."
    yield from family("drawbar_gc_collections_total", "counter", about, by("generation", collections))
    about = "Time workers stood still for Python's garbage collector."
    yield from counter("drawbar_gc_pause_seconds_total", about, told.totals.gc_pause_s)
    if told.memory:
        resident = sum(memory.rss for memory in told.memory)
        about = "Resident memory of the workers; shared pages count in each."
        yield from gauge("drawbar_workers_resident_memory_bytes", about, resident)
        proportional = sum(memory.pss for memory in told.memory)
        about = "Memory of the workers; a page that n processes share counts 1/n in each."
        yield from gauge("drawbar_workers_proportional_memory_bytes", about, proportional)
