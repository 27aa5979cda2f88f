"""What clients notice while a server is upset: reloaded, resized, upgraded, recycled, or robbed of a worker.

Each trial drives `steady.py`, which keeps account of every request, and gives orders meanwhile by signal. Quiet slices
stand between the orders, so that both are measured in the same run, by the same clients, on the same machine. An
order's slice ends when the workers are those the order asked for, and not before SLICE_S: what a reload costs is not
made small by waiting long, nor large by not counting what follows.

Processes are followed by `/proc/PID/task/PID/children`, a read of one small file: looking must not disturb.
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from benchmarks import apps, measure
from benchmarks.measure import MeasurementFailed
from benchmarks.process import HERE, Running
from benchmarks.steady import UPSET, Account
from benchmarks.trials import Sample, Settings, warm_up

CLIENTS = 60
DEPLOY_CLIENTS = 200
WORKERS = 2
RELOADS = 20
RESIZES = 20
UPGRADES = 5
RECYCLED_AFTER = 200
RECYCLING_S = 5.0
KILLS = 5
OLD_S = 1.5
WARM_S = 0.5
SLICE_S = 0.25
SETTLE_TIMEOUT_S = 30.0
LOOK_S = 0.005
ANSWER_TIMEOUT_S = 15.0
MS = 1e3


class Crowd:
    """The clients, in a process of their own for as long as the `with` block runs."""

    def __init__(self, port: int, clients: int = CLIENTS, *, ledger: Sequence[str] = ()) -> None:
        """ledger: a path, and method and path of the requests, when each is to be accounted for by number."""
        command = [sys.executable, str(HERE / "steady.py"), str(port), str(clients), *ledger]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> "Crowd":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def begin(self, phase: str) -> None:
        """What ends from now on is counted under this name."""
        assert self._process.stdin is not None
        self._process.stdin.write(phase + "\n")
        self._process.stdin.flush()
        self._line()

    def accounts(self) -> dict[str, Account]:
        """Has the clients leave; what each phase came to."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        return {name: Account(**account) for name, account in json.loads(self._line()).items()}

    def _line(self) -> str:
        """The next line they say. Raises MeasurementFailed when none comes."""
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], ANSWER_TIMEOUT_S)[0]:
            raise MeasurementFailed("the clients hang")
        line = self._process.stdout.readline()
        if not line:
            raise MeasurementFailed("the clients gave up")
        return line


@dataclass(slots=True)
class Master:
    """The first process of a server, whoever that is by now, and its workers."""

    pid: int
    name: str | None = None
    """What its workers are called, when they are not all it starts."""

    def children(self) -> set[int]:
        """Workers it has started and not buried."""
        return {pid for pid in children_of(self.pid) if self.name in (None, measure.comm(pid))}

    def send(self, number: signal.Signals) -> None:
        """A signal."""
        os.kill(self.pid, number)

    def wait_for(self, wanted: Callable[[set[int]], bool], what: str) -> None:
        """Waits for its children to be as wanted. Raises MeasurementFailed when they never are."""
        deadline = time.monotonic() + SETTLE_TIMEOUT_S
        while not wanted(self.children()):
            if time.monotonic() > deadline:
                raise MeasurementFailed(f"{what}: not done in {SETTLE_TIMEOUT_S:g} s")
            time.sleep(LOOK_S)


def children_of(pid: int) -> set[int]:
    """The children of a process; none when it has ended."""
    try:
        return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
    except (FileNotFoundError, ProcessLookupError):
        return set()


# The orders. Each returns when it has been followed.


def reload(master: Master, workers: int = WORKERS) -> None:
    """All workers are others."""
    before = master.children()
    master.send(signal.SIGHUP)
    master.wait_for(lambda now: len(now) == workers and not now & before, "reload")


def grow(master: Master) -> None:
    """One more."""
    master.send(signal.SIGTTIN)
    master.wait_for(lambda now: len(now) == WORKERS + 1, "one worker more")


def shrink(master: Master) -> None:
    """One less."""
    master.send(signal.SIGTTOU)
    master.wait_for(lambda now: len(now) == WORKERS, "one worker less")


def upgrade(master: Master) -> None:
    """The master is another, the former has left."""
    before, former = children_of(master.pid), master.pid
    master.send(signal.SIGUSR2)
    master.wait_for(lambda _: bool(children_of(former) - before), "a new master")
    [master.pid] = children_of(former) - before
    master.wait_for(lambda now: len(now) >= WORKERS, "the new master's workers")
    deadline = time.monotonic() + SETTLE_TIMEOUT_S
    while is_running(former):
        if time.monotonic() > deadline:
            raise MeasurementFailed("the former master stays")
        time.sleep(LOOK_S)


def is_running(pid: int) -> bool:
    """Whether the process has not ended; one that waits to be buried has."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


Order = Callable[[Master], None]


def one_more_one_less(master: Master) -> None:
    """SIGTTIN, and SIGTTOU when the worker is there."""
    grow(master)
    shrink(master)


ORDERS: dict[str, tuple[Order, int]] = {
    "reload": (reload, RELOADS),
    "resize": (one_more_one_less, RESIZES),
    "upgrade": (upgrade, UPGRADES),
}
"""What is done, and how often."""

UNKNOWN_TO: dict[str, tuple[str, ...]] = {"gunicorn": ("upgrade",)}
"""What a server needs a human for: gunicorn's upgrade leaves two masters."""


def upheaval(up: Running, settings: Settings) -> Sample:
    """All orders in turn, then recycling without end; each set against the quiet between."""
    warm_up(up)
    master = Master(up.session, "drawbar-worker" if "--split" in up.server.command else None)
    with Crowd(up.port) as crowd:
        crowd.begin("warm")
        time.sleep(WARM_S)
        for name, (order, times) in ORDERS.items():
            if name not in UNKNOWN_TO.get(up.server.family, ()):
                for _ in range(settings.clients(times)):
                    give(crowd, master, name, order)
        recycled = recycle(crowd, master, up)
        accounts = crowd.accounts()
    return noticed(accounts) | {"recycled": recycled}


def give(crowd: Crowd, master: Master, name: str, order: Order) -> None:
    """One order after a quiet time of its own."""
    crowd.begin("quiet")
    time.sleep(SLICE_S)
    crowd.begin(name)
    until = time.monotonic() + SLICE_S
    order(master)
    time.sleep(max(0.0, until - time.monotonic()))


def recycle(crowd: Crowd, master: Master, up: Running) -> int:
    """Has the server replace workers after 200 requests, which at full speed is all the time; how many it did."""
    crowd.begin("quiet")
    up.recycle_after(RECYCLED_AFTER)
    reload(master)
    seen: set[int] = set()
    crowd.begin("recycle")
    until = time.monotonic() + RECYCLING_S
    while time.monotonic() < until:
        time.sleep(LOOK_S)
        seen |= master.children()
    return len(seen) - WORKERS


def noticed(accounts: dict[str, Account]) -> Sample:
    """The figures of all phases."""
    quiet, upset = accounts["quiet"], accounts.pop(UPSET)
    sample: Sample = {
        "lost": sum(account.lost + account.cut + account.wrong for account in accounts.values()),
        "reset": sum(account.reset + account.refused for account in accounts.values()),
        "requests": sum(account.answered for account in accounts.values()),
        "quiet_p99_ms": quiet.p99_ms,
        "p99_ms": upset.p99_ms,
        "p99_ratio": upset.p99_ms / quiet.p99_ms,
    }
    for name in (*ORDERS, "recycle"):
        found = accounts.get(name)
        sample[f"{name}_p99_ms"] = found.p99_ms if found is not None else float("inf")
    return sample


def killed(up: Running, settings: Settings) -> Sample:
    """`kill -9` of a worker: what was lost, and how long until another serves."""
    warm_up(up)
    master = Master(up.session)
    found: list[tuple[float, float]] = []
    with Crowd(up.port) as crowd:
        crowd.begin("warm")
        time.sleep(WARM_S)
        for _ in range(settings.clients(KILLS)):
            # A worker that dies within a second of its start is one that cannot live: its replacement waits.
            time.sleep(OLD_S)
            crowd.begin("killed")
            found.append(kill_one(master))
        time.sleep(SLICE_S)
        accounts = crowd.accounts()
    account = accounts["killed"]
    return {
        "lost_per_kill": (account.lost + account.reset + account.cut) / len(found),
        "wrong": account.wrong + account.refused,
        "forked_ms": max(forked for forked, _ in found) * MS,
        "replaced_ms": max(replaced for _, replaced in found) * MS,
        "gap_ms": account.gap_ms,
    }


def kill_one(master: Master) -> tuple[float, float]:
    """Seconds from a worker's death to its replacement's fork, and to its first rest: it waits for connections."""
    before = master.children()
    victim = min(before)
    descriptor = os.pidfd_open(victim)
    try:
        os.kill(victim, signal.SIGKILL)
        select.select([descriptor], [], [], SETTLE_TIMEOUT_S)
    finally:
        os.close(descriptor)
    died = time.monotonic()
    master.wait_for(lambda now: len(now - before) == 1, "a replacement")
    forked = time.monotonic() - died
    [replacement] = master.children() - before
    while not holds_epoll(replacement):
        if time.monotonic() - died > SETTLE_TIMEOUT_S:
            raise MeasurementFailed("the replacement does not serve")
        time.sleep(LOOK_S / 5)
    return forked, time.monotonic() - died


def holds_epoll(pid: int) -> bool:
    """It has got as far as its reactor."""
    folder = f"/proc/{pid}/fd"
    try:
        return any(os.readlink(f"{folder}/{name}") == "anon_inode:[eventpoll]" for name in os.listdir(folder))
    except OSError:
        return False


def slow_boot(up: Running, settings: Settings) -> Sample:
    """A reload with one worker and an application that takes three seconds to start."""
    warm_up(up)
    master = Master(up.session)
    with Crowd(up.port) as crowd:
        crowd.begin("warm")
        time.sleep(WARM_S)
        crowd.begin("quiet")
        time.sleep(1.0)
        crowd.begin("reload")
        begun = time.monotonic()
        reload(master, workers=1)
        took = time.monotonic() - begun
        time.sleep(SLICE_S)
        accounts = crowd.accounts()
    quiet, during = accounts["quiet"], accounts["reload"]
    return {
        "failed": during.failed + during.refused,
        "reload_s": took,
        "quiet_gap_ms": quiet.gap_ms,
        "gap_ms": during.gap_ms,
        "quiet_p99_ms": quiet.p99_ms,
        "p99_ms": during.p99_ms,
    }


def deploy(up: Running, settings: Settings) -> Sample:
    """Another version of an application that takes five seconds to load, with one worker, while 200 clients ask.

    Until it has moved the old one answers; then the new one does, is judged, and the old one ends.
    """
    warm_up(up)
    with Crowd(up.port, DEPLOY_CLIENTS) as crowd:
        crowd.begin("warm")
        time.sleep(WARM_S)
        crowd.begin("quiet")
        time.sleep(1.0)
        crowd.begin("deploy")
        begun = time.monotonic()
        order = [sys.executable, "-m", "drawbar", "ctl", "--control", str(up.session), "deploy", "app", "--label", "v2"]
        done = subprocess.run(order, capture_output=True, text=True, check=False)
        took = time.monotonic() - begun
        time.sleep(1.0)
        accounts = crowd.accounts()
    if done.returncode:
        raise MeasurementFailed(done.stderr)
    quiet, during = accounts["quiet"], accounts["deploy"]
    return {
        "failed": during.failed + during.refused,
        "deploy_s": took,
        "quiet_longest_ms": quiet.longest_ms,
        "longest_ms": during.longest_ms,
        "share_of_boot": during.longest_ms / MS / apps.WAITING_BOOT_S,
    }
