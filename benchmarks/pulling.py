"""What is done to fronts and to those that pull from them: trials like those of trials.py.

Numbered requests are accounted for on both sides, by the clients (steady.py) and by the application (apps.numbered),
and reckoning.py holds one against the other. A front says of itself, in its status, what it has waiting and idle.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from benchmarks import apps, measure, pull_queue
from benchmarks.clients import REQUEST, wait_until, waiting_connections
from benchmarks.measure import MeasurementFailed, finish_wrk, start_wrk
from benchmarks.process import Running
from benchmarks.reckoning import NS_PER_S, Fate, Run, delays_s, fates, reckon, runs
from benchmarks.servers import worker
from benchmarks.steady import Account
from benchmarks.trials import SETTLE_S, Sample, Settings, warm_up
from benchmarks.upheaval import SLICE_S, WARM_S, Crowd

SETTLE_TIMEOUT_S = 30.0
LOOK_S = 0.05

HELD_SLOTS = 6
FREE_SLOTS = 2
FAST_CLIENTS = 20

KILL_CLIENTS = 16
KILLS = 60
KILL_EVERY_S = 1.0
KILLED_WORKERS = 2

WAITING = 10_000
DEPTHS = (10, 1_000, 10_000)

KEPT_WORKERS = 9
LOST_WORKERS = 1
SLOTS_OF_EACH = 100
KEPT_SLOTS = KEPT_WORKERS * SLOTS_OF_EACH
ALL_SLOTS = KEPT_SLOTS + LOST_WORKERS * SLOTS_OF_EACH
FAR_CLIENTS = 500
NOTICED_S = 11.0
"""docs/how-pulling-works.md: after so much silence of its machine, a worker is lost."""
SERVED_AGAIN_S = NOTICED_S + 0.5
"""The kernel's timers are late by nature, never early."""
LATE_S = 5.0
"""Later than by anything else."""


def fairness(up: Running, settings: Settings) -> Sample:
    """Six of eight slots are held for 200 ms at a time: what twenty others wait for the two that are free, and how
    long anybody waits when there are no more requests than slots.
    """
    seconds = max(settings.seconds, 2)
    warm_up(up)
    held_s = int(2 * (seconds + WARM_S + SETTLE_S))
    held = start_wrk(up.url("/slot"), connections=HELD_SLOTS, seconds=held_s)
    try:
        parked, crowded = beside_held(up, FAST_CLIENTS, seconds)
        before = counters(up)["waited_ms"]
        _, roomy = beside_held(up, FREE_SLOTS, seconds)
        waited_ms = counters(up)["waited_ms"] - before
    finally:
        held_load = finish_wrk(held, held_s)
    return {
        "fast_p50_ms": crowded.p50_ms,
        "fast_p99_ms": crowded.p99_ms,
        "fast_rps": crowded.answered / crowded.seconds,
        "held_percent": 100 * held_load.per_second * apps.SLOT_S / HELD_SLOTS,
        "parked": parked,
        "waited_ms": waited_ms,
        "roomy_p99_ms": roomy.p99_ms,
        "roomy_longest_ms": roomy.longest_ms,
        "failed": crowded.failed + roomy.failed,
    }


def beside_held(up: Running, clients: int, seconds: float) -> tuple[int, Account]:
    """How often the front had a request waiting and a slot idle at once, and what so many fast clients saw."""
    parked = 0
    with Crowd(up.port, clients) as crowd:
        crowd.begin("warm")
        time.sleep(WARM_S)
        crowd.begin("measured")
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            time.sleep(LOOK_S)
            app = status(up)
            parked += app["queued"] > 0 and app["idle"] > 0
        return parked, crowd.accounts()["measured"]


def killed(method: str) -> Callable[[Running, Settings], Sample]:
    """`kill -9` of a worker, every second: what becomes of the requests, by their clients and by the application."""

    def trial(up: Running, settings: Settings) -> Sample:
        warm_up(up)
        lost_before = counters(up)["lost"]
        with Crowd(up.port, KILL_CLIENTS, ledger=(str(ledger_of(up)), method, "/")) as crowd:
            crowd.begin("warm")
            time.sleep(WARM_S)
            crowd.begin("killed")
            for due in range(1, settings.clients(KILLS) + 1):
                kill_the_eldest(up, due, time.monotonic() + KILL_EVERY_S)
            time.sleep(SLICE_S)
            account = crowd.accounts()["killed"]
        known, ran = accounts_of(up)
        found = reckon(known, ran)
        return {
            "answered": found.answered,
            "bad_gateway": found.bad_gateway,
            "unanswered": found.unanswered + account.refused,
            "again": found.again,
            "astray": found.astray,
            # Requests that workers took along, of which no client was told.
            "untold": counters(up)["lost"] - lost_before - found.bad_gateway,
            "gap_ms": account.gap_ms,
            "longest_ms": account.longest_ms,
        }

    return trial


def kill_the_eldest(up: Running, number: int, at: float) -> None:
    """Of its workers, when all are there; at a time. Raises MeasurementFailed when a former one was not replaced."""
    if not wait_until(lambda: len(workers_of(up)) == KILLED_WORKERS, SETTLE_TIMEOUT_S):
        raise MeasurementFailed(f"after {number - 1} deaths there are {len(workers_of(up))} workers")
    time.sleep(max(0.0, at - time.monotonic()))
    os.kill(min(workers_of(up), key=born), signal.SIGKILL)


def workers_of(up: Running) -> list[int]:
    """The processes that run the application, whoever's children they are."""
    sessions = [up.session] if up.beside is None else [up.session, up.beside]
    return [stat.pid for session in sessions for stat in measure.session_processes(session, "drawbar-worker")]


def born(pid: int) -> int:
    """When, in ticks since boot: field 22 of `/proc/PID/stat` (proc_pid_stat(5))."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (FileNotFoundError, ProcessLookupError) as error:
        raise MeasurementFailed("a worker ended by itself") from error


def depth(up: Running, settings: Settings) -> Sample:
    """What a waiting request takes, and what the next one costs while many wait: of the front, and of its rules."""
    sample: Sample = {"waiting_bytes": waiting_bytes(up, settings.clients(WAITING))}
    with up.also(worker("--threads", "1", "--slots", "1"), "log-worker"):
        await_status(up, "a worker", lambda app: app["idle"] + app["leased"] == 1)
        warm_up(up)
        for waiting in DEPTHS:
            sample[f"us_{waiting}"] = cpu_us_behind(up, waiting, settings.seconds)
    for waiting in DEPTHS:
        sample[f"rules_ns_{waiting}"] = pull_queue.ns_for_each(waiting)
    least, most = DEPTHS[0], DEPTHS[-1]
    sample["ratio"] = sample[f"us_{most}"] / sample[f"us_{least}"]
    sample["rules_ratio"] = sample[f"rules_ns_{most}"] / sample[f"rules_ns_{least}"]
    return sample


def waiting_bytes(up: Running, count: int) -> float:
    """Of the front, for each request that waits, with its connection and less what was sent."""
    before = up.memory("drawbar-front")
    with waiting_connections(up.port, count):
        await_status(up, f"{count} requests", lambda app: app["queued"] == count)
        grown = up.memory("drawbar-front").pss_bytes - before.pss_bytes
    await_status(up, "nobody", lambda app: app["queued"] == 0)
    return grown / count - len(REQUEST)


def cpu_us_behind(up: Running, waiting: int, seconds: float) -> float:
    """Processor time of a request while so many wait, one is with the only worker, and each comes back at once."""
    with Crowd(up.port, waiting + 1) as crowd:
        crowd.begin("warm")
        await_status(up, f"{waiting} requests", lambda app: app["queued"] >= waiting - 1)
        time.sleep(WARM_S)
        crowd.begin("measured")
        before_us = up.cpu_us()
        time.sleep(seconds)
        used_us = up.cpu_us() - before_us
        crowd.begin("after")
        account = crowd.accounts()["measured"]
    await_status(up, "nobody", lambda app: app["queued"] == 0)
    if account.failed or not account.answered:
        raise MeasurementFailed(f"behind {waiting}, {account.failed} failed and {account.answered} were answered")
    return used_us / account.answered


def vanish(up: Running, settings: Settings) -> Sample:
    """A tenth of a thousand slots is cut off while it works, comes back, and is cut off again while nobody asks."""
    with ExitStack() as stack:
        stack.enter_context(far_workers(up, "kept", KEPT_WORKERS))
        await_slots(up, KEPT_SLOTS)
        # Last, and so the first to be given something: idle slots are a stack.
        session = stack.enter_context(far_workers(up, "lost", LOST_WORKERS))
        await_slots(up, ALL_SLOTS)
        lost = {stat.pid for stat in measure.session_processes(session)}
        at_work = cut_off(up, lost, is_idle=False)
        up.sides["lost"].mend()
        begun = time.monotonic()
        await_slots(up, ALL_SLOTS)
        back_s = time.monotonic() - begun
        idle = cut_off(up, lost, is_idle=True)
    return {
        "again_s": at_work["again_s"],
        "taken_along": at_work["taken_along"],
        "gone_s": at_work["gone_s"],
        "back_s": back_s,
        "idle_again_s": idle["again_s"],
        "blind": idle["late"],
        "failed": at_work["failed"] + idle["failed"],
        "answered": at_work["answered"] + idle["answered"],
    }


def cut_off(up: Running, lost: set[int], *, is_idle: bool) -> Sample:
    """Cuts the link to those workers, beside clients or just before these come, and waits until the front knows."""
    (up.scratch / apps.RAN).write_text("")
    with ExitStack() as stack:
        if is_idle:
            await_status(up, "nobody", lambda app: app["leased"] == 0)
            cut_ns = cut(up)
        crowd = stack.enter_context(Crowd(up.port, FAR_CLIENTS, ledger=(str(ledger_of(up)), "GET", "/")))
        crowd.begin("warm")
        if not is_idle:
            time.sleep(2 * apps.HELD_FOR_S)
            cut_ns = cut(up)
        await_slots(up, KEPT_SLOTS)
        gone_s = (time.monotonic_ns() - cut_ns) / NS_PER_S
        time.sleep(2 * apps.HELD_FOR_S)
        crowd.accounts()
    return cut_sample(*accounts_of(up), lost, cut_ns) | {"gone_s": gone_s}


def cut(up: Running) -> int:
    """When it is done, in monotonic ns."""
    up.sides["lost"].cut()
    return time.monotonic_ns()


def cut_sample(known: Sequence[Fate], ran: Sequence[Run], lost: set[int], cut_ns: int) -> Sample:
    """What the cut did to requests."""
    found = reckon(known, ran)
    began = {run.number for run in ran if run.process in lost and run.began_ns < cut_ns}
    delays = delays_s(known, ran, cut_ns)
    return {
        "answered": found.answered,
        "failed": found.unanswered + found.bad_gateway + found.astray,
        "taken_along": len(began & {fate.number for fate in known if fate.ended_ns > cut_ns}),
        "late": sum(delay > LATE_S for delay in delays),
        "again_s": max(delays),
    }


@contextmanager
def far_workers(up: Running, name: str, count: int) -> Iterator[int]:
    """So many on the other side of a link; their session."""
    side = up.sides[name]
    command = (
        *("{python}", "-m", "drawbar", "work", "apps:{app}", "--from", f"http://{side.front}:{{api_port}}"),
        *("--token-file", "{scratch}/token", "--loop", "asyncio"),
        *("--workers", str(count), "--slots", str(SLOTS_OF_EACH)),
    )
    with ExitStack() as stack:
        with side.inside():
            session = stack.enter_context(up.also(command, f"log-{name}"))
        yield session


def await_slots(up: Running, count: int) -> None:
    """Until the front has so many, idle or not."""
    await_status(up, f"{count} slots", lambda app: app["idle"] + app["leased"] == count)


def ledger_of(up: Running) -> Path:
    """Where clients write down what became of their requests."""
    return up.scratch / "ledger"


def accounts_of(up: Running) -> tuple[list[Fate], list[Run]]:
    """What both sides wrote down."""
    known = list(fates(ledger_of(up).read_text().splitlines()))
    return known, list(runs((up.scratch / apps.RAN).read_text().splitlines()))


def status(up: Running) -> dict[str, Any]:
    """What the front says of its one app."""
    app: dict[str, Any] = up.ask_api("/api/v2/status")["apps"]["app"]
    return app


def counters(up: Running) -> dict[str, int]:
    """What it has counted."""
    found: dict[str, int] = status(up)["counters"]
    return found


def await_status(up: Running, what: str, wanted: Callable[[dict[str, Any]], bool]) -> None:
    """Waits for the front to say so. Raises MeasurementFailed when it never does."""
    if not wait_until(lambda: wanted(status(up)), SETTLE_TIMEOUT_S):
        app = status(up)
        found = {name: app[name] for name in ("queued", "leased", "idle")}
        raise MeasurementFailed(f"{what}: not there in {SETTLE_TIMEOUT_S:g} s, but {found}")
