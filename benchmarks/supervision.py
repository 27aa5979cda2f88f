"""What supervising costs when nothing happens: processor time, wake-ups and memory of the master and its workers.

Read from `/proc`: `schedstat` has processor time in nanoseconds, where `stat` would say 0 of anything below a tick of
10 ms; `status` counts how often a thread went to sleep by itself, which is how often it had been awake.
"""

import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import measure
from benchmarks.measure import MeasurementFailed
from benchmarks.process import Running
from benchmarks.trials import MB, Sample, Settings, warm_up
from benchmarks.upheaval import children_of

SETTLE_S = 2.0
WATCH_S = 10.0
NS_PER_S = 1e9


@dataclass(frozen=True, slots=True)
class Activity:
    """What the threads of some processes have done so far."""

    cpu_ns: int
    sleeps: int

    def __sub__(self, other: "Activity") -> "Activity":
        return Activity(self.cpu_ns - other.cpu_ns, self.sleeps - other.sleeps)


def activity(pids: set[int]) -> Activity:
    """Of these processes together."""
    threads = [thread for pid in sorted(pids) for thread in Path(f"/proc/{pid}/task").iterdir()]
    return Activity(
        sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads),
        sum(parse_sleeps((thread / "status").read_text()) for thread in threads),
    )


def parse_sleeps(status: str) -> int:
    """`voluntary_ctxt_switches` of `/proc/PID/task/TID/status` (proc_pid_status(5))."""
    for line in status.splitlines():
        if line.startswith("voluntary_ctxt_switches:"):
            return int(line.partition(":")[2])
    raise MeasurementFailed("the kernel does not count context switches")


def idle_supervision(up: Running, settings: Settings) -> Sample:
    """Nobody asks anything for ten seconds."""
    warm_up(up)
    master = {up.session}
    wait_for_all(up.session)
    workers = children_of(up.session)
    before = activity(master), activity(workers)
    begun = time.monotonic()
    time.sleep(WATCH_S)
    seconds = time.monotonic() - begun
    masters, theirs = activity(master) - before[0], activity(workers) - before[1]
    if children_of(up.session) != workers:
        raise MeasurementFailed("a worker was replaced")
    memory = measure.parse_smaps_rollup(Path(f"/proc/{up.session}/smaps_rollup").read_text())
    return {
        "master_cpu_percent": 100 * masters.cpu_ns / NS_PER_S / seconds,
        "master_wakes": masters.sleeps / seconds,
        "workers_cpu_percent": 100 * theirs.cpu_ns / NS_PER_S / seconds,
        "workers_wakes": theirs.sleeps / seconds,
        "master_pss_mb": memory.pss_bytes / MB,
        "workers": len(workers),
    }


def wait_for_all(master: int) -> None:
    """Until the number of workers, and what they have done, is the same for a while."""
    present: tuple[int, int] = (0, 0)
    while (found := (len(children_of(master)), activity(children_of(master)).cpu_ns // int(NS_PER_S / 100))) != present:
        present = found
        time.sleep(SETTLE_S)
