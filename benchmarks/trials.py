"""What is done to a running server, one function for each kind of case. Each returns one sample: figures by metric.

A trial is bounded in time, leaves no client behind, and raises MeasurementFailed when the server does not do what was
to be measured. Which trial a case uses, and which figures it shows, stands in cases.py.
"""

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from benchmarks import apps
from benchmarks.clients import (
    Client,
    SlowReader,
    SlowSender,
    Trickle,
    Waiter,
    idle_connections,
    is_open,
    wait_until,
)
from benchmarks.measure import MeasurementFailed, finish_wrk, run_wrk, start_wrk
from benchmarks.process import Running
from benchmarks.servers import REQUEST_TIMEOUT_S

CONNECTIONS = 64
WARM_UP_REQUESTS = 200
IDLE_CONNECTIONS = 10_000
SLOW_CLIENTS_OF_A_KIND = 1_000
READERS = 50
BLOCKING_CLIENTS = 16
BLOCKING_THREADS = 8
SLOTS = 4
"""Calls at once that the servers of the case `room` are started for, over all of their workers."""
PAUSE_S = 0.007
SETTLE_S = 1.0
SLOW_START_TIMEOUT_S = 15.0
READERS_START_TIMEOUT_S = 30.0
ANSWER_TIMEOUT_S = 5.0
PROBES = 10
NEIGHBOURS = 4
HANG_PATIENCE_S = 6.0
MB = 1e6
KB = 1e3

Sample = dict[str, float]


@dataclass(frozen=True, slots=True)
class Settings:
    """How long and with how many clients."""

    seconds: int
    quick: bool

    def clients(self, count: int) -> int:
        """How many of `count` clients a run of this size has: a fifth when quick."""
        return count // 5 if self.quick else count


Trial = Callable[[Running, Settings], Sample]


def throughput(script: str, connections: int = CONNECTIONS) -> Trial:
    """Load with so many connections, in the words of one Lua script: cost, rate and waiting."""

    def trial(up: Running, settings: Settings) -> Sample:
        warm_up(up)
        before_us = up.cpu_us()
        load = run_wrk(up.url(), connections=connections, seconds=settings.seconds, script=script)
        used_us = up.cpu_us() - before_us
        return {
            "cpu_us": used_us / load.requests,
            "rps": load.per_second,
            "p50_ms": load.p50_ms,
            "p99_ms": load.p99_ms,
            "pss_mb": up.memory().pss_bytes / MB,
        }

    return trial


def blocking(up: Running, settings: Settings) -> Sample:
    """As many clients on a view that blocks as on one that does not, at the same time."""
    seconds = max(settings.seconds, 2)
    warm_up(up)
    fast = start_wrk(up.url("/fast"), connections=BLOCKING_CLIENTS, seconds=seconds)
    try:
        slow = start_wrk(up.url("/blocking"), connections=BLOCKING_CLIENTS, seconds=seconds)
        slow_load = finish_wrk(slow, seconds)
    finally:
        fast_load = finish_wrk(fast, seconds)
    ideal_per_second = BLOCKING_THREADS / apps.BLOCKING_S
    return {
        "ideal_percent": 100 * slow_load.per_second / ideal_per_second,
        "fast_rps": fast_load.per_second,
        "fast_p50_ms": fast_load.p50_ms if fast_load.requests else math.inf,
        "fast_p99_ms": fast_load.p99_ms if fast_load.requests else math.inf,
    }


def room(up: Running, settings: Settings) -> Sample:
    """How long a new connection waits for its answer while blocking calls take every slot of the server but one.

    Each request has a connection of its own, so whoever accepts decides where the call runs.
    """
    warm_up(up)
    over = threading.Event()
    with ThreadPoolExecutor(SLOTS - 1) as pool:
        blocked = [pool.submit(ask_on_and_on, up, "/blocking", over) for _ in range(SLOTS - 1)]
        try:
            end = time.monotonic() + max(settings.seconds, 2)
            waits: list[float] = []
            while time.monotonic() < end:
                # No multiple of the other calls' time, so every moment of theirs is met.
                time.sleep(PAUSE_S)
                waits.append(answer_time_ms(up))
        finally:
            over.set()
        answered = sum(client.result() for client in blocked)
    waits.sort()
    return {
        "p50_ms": waits[len(waits) // 2],
        "p90_ms": waits[len(waits) * 9 // 10],
        "p99_ms": waits[len(waits) * 99 // 100],
        "blocking_rps": answered / max(settings.seconds, 2),
    }


def ask_on_and_on(up: Running, path: str, over: threading.Event) -> int:
    """One request after the other, each on a connection of its own; how many were answered."""
    answered = 0
    while not over.is_set():
        up.get(path)
        answered += 1
    return answered


def idle(up: Running, settings: Settings) -> Sample:
    """What a connection costs that has had its answer and waits."""
    count = settings.clients(IDLE_CONNECTIONS)
    warm_up(up)
    before = up.memory()
    with idle_connections(up.port, count) as connections:
        time.sleep(SETTLE_S)
        after = up.memory()
        kept = sum(map(is_open, connections))
    if kept < count:
        raise MeasurementFailed(f"only {kept} of {count} connections were kept open")
    return {
        "connection_bytes": (after.pss_bytes - before.pss_bytes) / count,
        "pss_mb": after.pss_bytes / MB,
    }


def memory(up: Running, settings: Settings) -> Sample:
    """What a server takes that has answered a few requests and waits."""
    for _ in range(PROBES):
        up.get()
    time.sleep(SETTLE_S)
    found = up.memory()
    return {"pss_mb": found.pss_bytes / MB, "uss_mb": found.uss_bytes / MB}


def front_memory(up: Running, settings: Settings) -> Sample:
    """The same of a front: the process that has the queue, and all with its master."""
    sample = memory(up, settings)
    return sample | {"front_mb": up.memory("drawbar-front").pss_bytes / MB}


def slow(up: Running, settings: Settings) -> Sample:
    """What others notice of clients that never come to the end of their requests."""
    count = settings.clients(SLOW_CLIENTS_OF_A_KIND)
    warm_up(up)
    alone = run_wrk(up.url(), connections=CONNECTIONS, seconds=settings.seconds)
    senders = [make(up.port) for _ in range(count) for make in (SlowSender.of_head, SlowSender.of_body)]
    with Trickle(senders) as trickle:
        trickle.wait_until_started(SLOW_START_TIMEOUT_S)
        beside = run_wrk(up.url(), connections=CONNECTIONS, seconds=settings.seconds)
    return {
        "p50_ms": alone.p50_ms,
        "p50_beside_ms": beside.p50_ms,
        "p99_ms": alone.p99_ms,
        "p99_beside_ms": beside.p99_ms,
        "p99_ratio": beside.p99_ms / alone.p99_ms,
        "rps_ratio": beside.per_second / alone.per_second,
        "reconnections": sum(sender.reconnections for sender in senders),
    }


def drain(path: str) -> Trial:
    """What large responses to slow readers hold: memory, and threads (does anyone else get an answer?)."""

    def trial(up: Running, settings: Settings) -> Sample:
        count = settings.clients(READERS)
        # The application makes its own copy now, and the server's buffers reach their usual size.
        if len(up.get(path, timeout_s=SLOW_START_TIMEOUT_S)) != apps.LARGE_BYTES:
            raise MeasurementFailed("a large response came incomplete")
        before = up.memory()
        begun = time.monotonic()
        readers: list[Client] = [SlowReader(up.port, path) for _ in range(count)]
        with Trickle(readers) as trickle:
            # Servers that keep a thread for each reader do not begin them all: how many they did is the finding.
            wait_until(lambda: trickle.started == count, READERS_START_TIMEOUT_S / (4 if settings.quick else 1))
            started, started_s = trickle.started, time.monotonic() - begun
            answer_ms = max(answer_time_ms(up) for _ in range(PROBES if started == count else 1))
            growth_bytes = up.memory().pss_bytes - before.pss_bytes
        return {
            "started": started,
            "started_s": started_s if started == count else math.inf,
            "answer_ms": answer_ms,
            "growth_mb": growth_bytes / MB,
            "reader_kb": growth_bytes / KB / count,
        }

    return trial


def hang(up: Running, settings: Settings) -> Sample:
    """How late after its time the client of a call that hangs hears of it, and how many others are answered."""
    sample: Sample = {"neighbours": 0, "answers": 0}
    for way in ("sleep", "lock", "gil"):
        warm_up(up)
        waiter = Waiter(up.port, f"/{way}")
        # On the way when the time is over.
        time.sleep(REQUEST_TIMEOUT_S - apps.NEIGHBOUR_S / 2)
        neighbours = [Waiter(up.port, "/neighbour") for _ in range(NEIGHBOURS)]
        took_s, answer = waiter.heard(HANG_PATIENCE_S)
        sample[f"{way}_ms"] = (took_s - REQUEST_TIMEOUT_S) * 1e3
        sample["answers"] += answer.startswith(b"HTTP/1.1 504 ")
        sample["neighbours"] += sum(b" 200 OK" in neighbour.heard(HANG_PATIENCE_S)[1] for neighbour in neighbours)
    return sample


def warm_up(up: Running) -> None:
    """Let the interpreter specialise what it will run."""
    for _ in range(WARM_UP_REQUESTS):
        up.get()


def answer_time_ms(up: Running) -> float:
    """How long a small request takes; infinite when it takes too long."""
    begun = time.monotonic()
    try:
        up.get("/fast", ANSWER_TIMEOUT_S)
    except OSError:
        return math.inf
    return (time.monotonic() - begun) * 1e3
