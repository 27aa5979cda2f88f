"""What `drawbar ctl` prints: status, settings and stacks as text of a given width. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from drawbar.cli.control.queues import Table, label_table, name_of, queue_table, request_table, totals, worker_table
from drawbar.cli.control.table import Column, pairs, table
from drawbar.cli.control.text import count, plain, size, time
from drawbar.config.settings import SETTINGS
from drawbar.config.written import quoted, toml
from drawbar.supervisor.control.status import (
    FRONT,
    SERVING,
    TAKES_REQUESTS,
    DeployRecord,
    Front,
    Histogram,
    Listener,
    Status,
    Worker,
    awaited,
)
from drawbar.supervisor.words import plural

DEFAULT = "default"
"""Where a setting that nobody set comes from."""

TRIAL = "trial"
STAGES = {"waits": "waits for its workers", "moves": "the queue moves", TRIAL: "is judged"}
"""Of a deploy under way."""
MOST_ROWS = 40
"""Lines of a table of a front, which may have a thousand workers."""
WORKER_COLUMNS = (
    Column("PID"),
    Column("PHASE", right=False),
    Column("AGE"),
    Column("REQUESTS"),
    Column("BUSY"),
    Column("CONNS"),
    Column("RSS"),
    Column("SHARED"),
)


def status_lines(status: Status, width: int) -> list[str]:
    """The whole of `drawbar ctl status`."""
    lines = pairs([*_server(status), *_listeners(status.listeners)], width, wrap=True)
    lines += ["", *table(_columns(status), [_worker(worker) for worker in status.workers], width), ""]
    for found in _front_tables(status):
        lines += [*found.lines(width, MOST_ROWS), ""]
    lines += pairs([*_traffic(status), *_trouble(status)], width, wrap=True)
    oldest = _oldest(status.workers, width) if status.front is None else _oldest_at(status.front, width)
    return [*lines, "", *oldest] if oldest else lines


def _columns(status: Status) -> list[Column]:
    first = Column("WORKER") if status.front is None else Column("PROCESS", right=False)
    return [first, *WORKER_COLUMNS]


def _front_tables(status: Status) -> Iterator[Table]:
    front = status.front
    if front is None or front.silent is not None:
        return
    yield queue_table(front, lambda queue: queue)
    labels = label_table(front)
    if labels is not None:
        yield labels
    workers = worker_table(front)
    if workers.rows:
        yield workers


def served(status: Status) -> str:
    """What the server is there for: `shop:app (wsgi)`, or `a front for blog, shop`."""
    if status.front is not None and status.target is None:
        apps = ", ".join(plain(queue.app) for queue in status.front.queues)
        return f"a front for {apps}" if apps else "a front"
    text = f"{status.target or 'nothing'}{f' ({status.interface})' if status.interface else ''}"
    return text if status.front is None else f"{text} behind a front"


def processes(status: Status) -> str:
    """What the processes of a server are called."""
    if status.front is None:
        return "workers"
    return "front" if all(worker.team == FRONT for worker in status.workers) else "processes"


def phase_and_age(status: Status) -> str:
    """`serving, up 3 h`, or what it does instead."""
    # A phase that takes no requests says so by its name.
    reason = f" ({status.reason})" if status.reason and status.phase in TAKES_REQUESTS else ""
    return f"{status.phase}, up {time(status.uptime_s)}{reason}"


def workers_ready(status: Status) -> str:
    """`4 of 4 ready`."""
    ready = sum(worker.phase == SERVING for worker in status.workers)
    return f"{ready} of {status.desired} ready"


def busy(worker: Worker) -> str:
    """Requests inside the application, of so many threads or places; of any number, the requests alone."""
    return f"{worker.busy}/{worker.threads}" if worker.threads else str(worker.busy)


def last_error(status: Status) -> Iterator[tuple[str, str]]:
    """What went wrong last, and how long ago; nothing when nothing did, or it is mended."""
    if status.last_error:
        age = "" if status.last_error_s_ago is None else f"{time(status.last_error_s_ago)} ago: "
        yield "last error", f"{age}{plain(status.last_error)}"


def deploys(status: Status) -> Iterator[tuple[str, str]]:
    """What each deploy under way is about, and how the last one of each application ended."""
    for deploy in status.deploys:
        if deploy.verdict is not None:
            yield "last deploy", f"{time(deploy.seconds)} ago: {plain(deploy.verdict)}"
            continue
        what = f"{plain(deploy.app)} to {plain(deploy.label)}"
        so_far = _so_far(status, deploy) if deploy.stage == TRIAL else ""
        yield "deploy", f"{what}, for {time(deploy.seconds)}: {STAGES.get(deploy.stage, deploy.stage)}{so_far}"


def _so_far(status: Status, deploy: DeployRecord) -> str:
    """`, 12 of 50 answers, 1 failed`, when the front tells."""
    queues = status.front.queues if status.front is not None else []
    trial = next((queue.trial for queue in queues if queue.app == deploy.app), None)
    if trial is None or trial.label != deploy.label:
        return ""
    return f", {count(trial.answers)} of {count(trial.wanted)} answers, {count(trial.failed)} failed"


def percentiles(counted: Histogram) -> str:
    """`p50 0.8 ms  p95 4.1 ms  p99 21 ms`."""
    return "  ".join(f"p{share * 100:.0f} {time(counted.quantile(share))}" for share in (0.5, 0.95, 0.99))


def settings_lines(answer: Mapping[str, Any], every: bool) -> list[str]:
    """The settings in force as a drawbar.toml, each with where it comes from; without `every` those somebody set."""
    settings = [
        item for item in answer.get("settings", []) if every or item.get("source") != DEFAULT or "waits" in item
    ]
    lines = [f"# file: {answer.get('file') or 'none'}"]
    section = ""
    for item in settings:
        name, _, field = str(item["key"]).partition(".")
        if name != section:
            lines += ["", f"[{name}]"]
            section = name
        lines.append(f"{field} = {_toml(item, 'value')}  # {_remark(item)}")
    if not settings:
        lines += ["", "# every setting has its default"]
    return [plain(line) for line in lines]


def _remark(item: Mapping[str, Any]) -> str:
    source = item.get("source")
    place = source if source == DEFAULT else f"from {source}"
    return f"{place}; waits for an upgrade: {_toml(item, 'waits')}" if "waits" in item else str(place)


def _toml(item: Mapping[str, Any], member: str) -> str:
    """The text of a value as TOML; a setting that only the server knows, being of another version, is text."""
    text = str(item[member])
    setting = next((setting for setting in SETTINGS if setting.key == item["key"]), None)
    try:
        return quoted(text) if setting is None else toml(setting, setting.parse(text))
    except ValueError:
        return quoted(text)


def stacks_lines(answer: Mapping[str, Any]) -> list[str]:
    """Each worker's stacks under its name; who writes them where, when the server does not send them."""
    if "workers" not in answer:
        log = plain(str(answer.get("log") or "the error log"))
        return [f"{_titled(worker)} writes its stacks to {log}" for worker in answer.get("asked", [])] or [
            "there are no workers"
        ]
    lines: list[str] = []
    for worker in answer.get("workers", []):
        title = _titled(worker)
        lines += [title, "-" * len(title), *(plain(line) for line in str(worker.get("text") or "").splitlines()), ""]
    return lines


def _titled(worker: Mapping[str, Any]) -> str:
    """`worker 1 (pid 4712)`, `front (pid 4711)`, `blog worker 1 (pid 4713)`."""
    team = worker.get("team")
    name = FRONT if team == FRONT else f"{plain(f'{team} ' if team else '')}worker {worker.get('slot', '?')}"
    return f"{name} (pid {worker.get('pid', '?')})"


# Parts of the status.


def _server(status: Status) -> Iterator[tuple[str, str]]:
    yield f"drawbar {status.version}", f"{served(status)}, {phase_and_age(status)}"
    memory = f", {size(status.memory.pss)}" if status.memory else ""
    yield f"master {status.pid}", f"generation {status.generation}, {status.config_file or 'no file'}{memory}"
    yield processes(status), f"{workers_ready(status)}{_total_memory(status.workers)}"
    if status.front is not None:
        yield "requests now", status.front.silent or totals(status.front)
    yield from deploys(status)


def _listeners(listeners: Sequence[Listener]) -> Iterator[tuple[str, str]]:
    for listener in listeners:
        backlog = listener.backlog
        queue = f", {backlog.waiting} of {backlog.limit} waiting" if backlog else ""
        yield "listens on", f"{plain(listener.address)}{queue}"


def _total_memory(workers: Sequence[Worker]) -> str:
    total = sum(worker.memory.pss for worker in workers if worker.memory)
    return f", {size(total)} together" if total else ""


def _worker(worker: Worker) -> list[str]:
    memory = worker.memory
    return [
        name_of(worker),
        str(worker.pid),
        worker.phase + ("*" if worker.retiring and worker.phase == SERVING else ""),
        time(worker.age_s),
        count(worker.requests),
        busy(worker),
        count(worker.connections),
        size(memory.rss) if memory else "-",
        size(memory.shared) if memory else "-",
    ]


def _traffic(status: Status) -> Iterator[tuple[str, str]]:
    totals = status.totals
    classes = [(name, number) for name, number in sorted(totals.requests.items()) if number]
    parts = ", ".join(f"{name} {count(number)}" for name, number in classes)
    yield "requests", f"{count(sum(totals.requests.values()))}{f': {parts}' if parts else ''}"
    if totals.latency.count:
        yield "answered in", percentiles(totals.latency)
        yield "queued for", percentiles(totals.queued)
    yield "bytes", f"{size(totals.received_bytes)} in, {size(totals.sent_bytes)} out"


def _trouble(status: Status) -> Iterator[tuple[str, str]]:
    restarts = {cause: number for cause, number in status.restarts.items() if number}
    if restarts:
        yield "replaced", ", ".join(f"{count(number)} by {cause}" for cause, number in restarts.items())
    if status.totals.timeouts:
        yield "timed out", plural(status.totals.timeouts, "request")
    retiring = [f"{_called(worker)} ({worker.retiring})" for worker in status.workers if worker.retiring]
    if retiring:
        yield "* leaving", ", ".join(retiring)
    yield from last_error(status)


def _called(worker: Worker) -> str:
    return f"worker {worker.slot}" if worker.team is None else name_of(worker)


OLDEST_SHOWN = 5
LONG_S = 1.0
"""Requests in flight for less are nobody's concern."""


def _oldest(workers: Sequence[Worker], width: int) -> list[str]:
    found = [(running.seconds, worker, running) for worker in workers for running in awaited([worker])]
    slow = sorted((item for item in found if item[0] >= LONG_S), key=lambda item: -item[0])[:OLDEST_SHOWN]
    columns = (Column("IN FLIGHT"), Column("WORKER"), Column("REQUEST", right=False))
    rows = [
        [time(seconds), str(worker.slot), plain(running.request) + ("" if running.called else " (waits)")]
        for seconds, worker, running in slow
    ]
    return table(columns, rows, width) if rows else []


def _oldest_at(front: Front, width: int) -> list[str]:
    slow = [
        msgspec.structs.replace(queue, requests=[found for found in queue.requests if found.age_s >= LONG_S])
        for queue in front.queues
    ]
    found = request_table(Front(slow))
    shown = Table(found.columns, found.rows[:OLDEST_SHOWN], len(found.rows[:OLDEST_SHOWN]))
    return shown.lines(width, shown.height) if found.rows else []
