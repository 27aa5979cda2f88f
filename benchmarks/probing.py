"""What a front's probes take while it has no room for anything: a trial like those of trials.py."""

import math
import socket
import time
from typing import Final

from benchmarks.measure import MeasurementFailed, finish_wrk, start_wrk
from benchmarks.process import API_SOCKET, Running
from benchmarks.pulling import await_status, status
from benchmarks.trials import SETTLE_S, Sample, Settings, warm_up

QUEUE_LENGTH: Final = 1_000
"""The default of --queue-length."""
TURNED_AWAY: Final = 8
"""Clients beyond those that wait and those that are served: each is told 503, and asks again at once."""
SLOTS: Final = 8
EVERY_S: Final = 0.005
PROBES: Final = ("/livez", "/readyz")
LOOK_AT: Final = 20
"""Of so many probes each is followed by a look at the queue."""


def probes(up: Running, settings: Settings) -> Sample:
    """Every slot is held for 200 ms at a time, the queue is full, and eight clients more are turned away."""
    seconds = max(settings.seconds, 2)
    warm_up(up)
    whole_s = int(2 * (seconds + SETTLE_S) + 2)
    load = start_wrk(up.url("/slot"), connections=QUEUE_LENGTH + SLOTS + TURNED_AWAY, seconds=whole_s)
    try:
        await_status(up, "a full queue", lambda app: app["queued"] >= QUEUE_LENGTH)
        took, full = asked(up, seconds)
    finally:
        held = finish_wrk(load, whole_s)
    sample: Sample = {"full_percent": full, "turned_away_rps": held.status_errors / held.duration_s}
    for path in PROBES:
        times = sorted(took[path])
        name = path.strip("/")
        sample[f"{name}_p50_ms"] = times[len(times) // 2]
        sample[f"{name}_p99_ms"] = times[math.ceil(0.99 * len(times)) - 1]
        sample[f"{name}_worst_ms"] = times[-1]
    return sample


def asked(up: Running, seconds: float) -> tuple[dict[str, list[float]], float]:
    """How long each probe took, in ms, and in how many of a hundred looks the queue was full."""
    took: dict[str, list[float]] = {path: [] for path in PROBES}
    looks: list[bool] = []
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(5)
        line.connect(str(up.scratch / API_SOCKET))
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for path in PROBES:
                took[path].append(ask_ms(line, path))
                time.sleep(EVERY_S)
            if len(took[PROBES[0]]) % LOOK_AT == 0:
                looks.append(status(up)["queued"] >= QUEUE_LENGTH - 2 * SLOTS)
    return took, 100 * sum(looks) / max(1, len(looks))


def ask_ms(line: socket.socket, path: str) -> float:
    """How long one answer took. Raises MeasurementFailed when it is not the one there should be."""
    began = time.perf_counter()
    line.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    answer = line.recv(4096)
    took = (time.perf_counter() - began) * 1e3
    if not (answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(b"ok\n")):
        raise MeasurementFailed(f"{path} was answered with {answer!r}")
    return took
