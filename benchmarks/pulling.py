"""What is done to fronts and to those that pull from them: trials like those of trials.py.

Numbered requests are accounted for on both sides, by the clients (steady.py) and by the application (apps.numbered),
and reckoning.py holds one against the other. A front says of itself, in its status, what it has waiting and idle.
"""

import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import apps, measure, pull_queue
from benchmarks.clients import REQUEST, wait_until, waiting_connections
from benchmarks.measure import MeasurementFailed, finish_wrk, start_wrk
from benchmarks.process import Running
from benchmarks.reckoning import Fate, Run, delays_s, fates, reckon, runs
from benchmarks.servers import worker
from benchmarks.steady import Account
from benchmarks.trials import SETTLE_S, Sample, Settings, warm_up
from benchmarks.upheaval import MS, SLICE_S, WARM_S, Crowd

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
FAR_CLIENTS = 500
NOTICED_S = 11.0
"""docs/how-pulling-works.md: after so much silence of its machine, a worker is lost."""


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
    """A tenth of a thousand slots is cut off, at work and idle, and later comes back."""
    slots = (KEPT_WORKERS + LOST_WORKERS) * SLOTS_OF_EACH
    with ExitStack() as stack:
        sessions = {}
        for name, count in (("kept", KEPT_WORKERS), ("lost", LOST_WORKERS)):
            with up.sides[name].inside():
                command = far_workers(up.sides[name].front, count)
                sessions[name] = stack.enter_context(up.also(command, f"log-{name}"))
        await_status(up, f"{slots} slots", lambda app: app["idle"] == slots)
        lost = {stat.pid for stat in measure.session_processes(sessions["lost"])}
        crowd = stack.enter_context(Crowd(up.port, FAR_CLIENTS, ledger=(str(ledger_of(up)), "GET", "/")))
        crowd.begin("warm")
        time.sleep(2 * apps.HELD_FOR_S)
        up.sides["lost"].cut()
        cut_ns = time.monotonic_ns()
        crowd.begin("cut")
        time.sleep(2 * NOTICED_S)
        left = status(up)
        up.sides["lost"].mend()
        crowd.begin("mended")
        await_status(up, "they are back", lambda app: app["idle"] + app["leased"] == slots)
        back_s = (time.monotonic_ns() - cut_ns) / 1e9 - 2 * NOTICED_S
        time.sleep(2 * apps.HELD_FOR_S)
        crowd.accounts()
    known, ran = accounts_of(up)
    return far_sample(known, ran, lost, cut_ns) | {"slots_left": left["idle"] + left["leased"], "back_s": back_s}


def far_sample(known: Sequence[Fate], ran: Sequence[Run], lost: set[int], cut_ns: int) -> Sample:
    """What the cut did to requests."""
    found = reckon(known, ran)
    began = {run.number for run in ran if run.process in lost and run.began_ns < cut_ns}
    unanswered = {fate.number for fate in known if fate.ended_ns > cut_ns}
    again_s = delays_s(known, ran, cut_ns)
    return {
        "answered": found.answered,
        "failed": found.unanswered + found.bad_gateway + found.astray,
        "taken_along": len(began & unanswered),
        # Given to one that was gone: nobody there ever wrote it down.
        "blind": sum(delay > NOTICED_S / 2 for delay in again_s) - len(began & unanswered),
        "again_s": max(again_s),
    }


def far_workers(front: str, count: int) -> tuple[str, ...]:
    """The command of so many on another machine."""
    return (
        *("{python}", "-m", "drawbar", "work", "apps:{app}", "--from", f"http://{front}:{{api_port}}"),
        *("--token-file", "{scratch}/token", "--loop", "asyncio"),
        *("--workers", str(count), "--slots", str(SLOTS_OF_EACH)),
    )


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
