"""The workers as processes: decisions carried out, reports and deaths taken in.

Between the pool, which is data, and the master, which hears signals and orders, this is where a worker is forked,
signalled and buried, and where each of these is told in the log.
"""

import os
import signal
import socket
import time
from collections.abc import Callable, Iterable

from drawbar.config import Config, OperatorError
from drawbar.net.scoreboard import Cell, Scoreboard
from drawbar.supervisor.child import FAILED, READY, RECYCLE, Role, Spawned, spawn
from drawbar.supervisor.command.session import kill_all, read_rss_of_all, send
from drawbar.supervisor.decisions import Action, Dump, Fork, Kill, Retire, Stop
from drawbar.supervisor.exits import Exit
from drawbar.supervisor.front.fronts import Fronts
from drawbar.supervisor.host.memory import read_rss
from drawbar.supervisor.host.privileges import settle_as
from drawbar.supervisor.listening.listeners import Listeners
from drawbar.supervisor.logs import Log
from drawbar.supervisor.pool import Boot, Cause, Death, Phase, Pool, Worker
from drawbar.supervisor.preload.fork_orders import FORKING, NOT_FORKING
from drawbar.supervisor.preload.fork_server import ForkServer, promote
from drawbar.supervisor.preload.nursery import Nursery
from drawbar.supervisor.reports import Reports
from drawbar.supervisor.trade import Trade
from drawbar.supervisor.vitals import Vitals, judge, stillness
from drawbar.supervisor.worker.site import PAUSE_SIGNAL, RESUME_SIGNAL
from drawbar.supervisor.worker.stacks import RAW_STACKS_SIGNAL, STACKS_SIGNAL

REASONS = {
    Cause.MAX_REQUESTS: "it has served its number of requests",
    Cause.MAX_MEMORY: "it holds more memory than it may",
    Cause.MAX_AGE: "it has reached its age",
    Cause.TIMEOUT: "a request timed out in it",
    Cause.LIVENESS: "its reactor stands still",
    Cause.REFORK: "it becomes the fork server",
    Cause.ORDER: "it was ordered to go",
}
"""Why a worker is replaced, in words."""


class Crew:
    """The workers of one master.

    `config`, `listeners`, `log` and `trade` are those the next worker gets: a reload replaces them. `on_ready` is
    called with the interface the worker found, `private` gives the master's own descriptors, which no child shall hold.
    is_apart: what they count stays out of the sums, as a front has counted it.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        config: Config,
        listeners: Listeners,
        log: Log,
        scoreboard: Scoreboard,
        reports: Reports,
        nursery: Nursery,
        trade: Trade,
        fronts: Fronts,
        private: Callable[[], Iterable[int]],
        on_ready: Callable[[Boot, Worker, str], None],
        clock: Callable[[], float] = time.monotonic,
        is_apart: bool = False,
    ) -> None:
        self.pool = pool
        self.config = config
        self.listeners = listeners
        self.log = log
        self.scoreboard = scoreboard
        self.reports = reports
        self.nursery = nursery
        self.trade = trade
        self._fronts = fronts
        self._private = private
        self._on_ready = on_ready
        self._clock = clock
        self._is_apart = is_apart
        self._cells: dict[int, int] = {}
        """Pid -> its cell on the scoreboard."""
        self.last_failure = ""
        """Why a worker of the newest generation did not start."""
        self._promotable: dict[int, Spawned] = {}
        """Pid -> a worker that has a socket for orders."""

    # Decisions carried out.

    def carry_out(self, action: Action) -> None:
        """Does what was decided, and tells the pool."""
        if isinstance(action, Fork):
            self._fork(action)
            return
        worker = self.pool.find(getattr(action, "pid", 0))
        assert worker is not None, "the pool decides about workers it has"
        if isinstance(action, Stop):
            self._stop(worker)
        elif isinstance(action, Retire):
            self.retire(worker, action.cause)
        elif isinstance(action, Dump):
            self.pool.on_late(worker, self._clock())
            self.signal(worker, RAW_STACKS_SIGNAL)
        elif isinstance(action, Kill):
            self._kill(worker)

    def _stop(self, worker: Worker) -> None:
        """Asks it to drain: to end then, or to become the fork server if it is still of use as that."""
        spawned = self._promotable.get(worker.pid)
        current = worker.generation == self.pool.generation and self.pool.ending is None
        self.pool.on_asked_to_stop(worker, self._clock())
        if self._is_relieved(worker):
            # What waits in the listen queues is others' to take; a worker that drains takes all of it otherwise.
            self.signal(worker, PAUSE_SIGNAL)
        if worker.retiring is Cause.REFORK and current and spawned is not None:
            promote(spawned)
        else:
            self.signal(worker, signal.SIGTERM)

    def _is_relieved(self, worker: Worker) -> bool:
        """Somebody who stays accepts from every socket the worker has."""
        if self.pool.ending is not None or self.pool.halted or self.listeners.has_left:
            return False
        own = self.listeners.has_own(worker.slot)
        return any(
            other.is_serving() and self.pool.is_fit(other) and (other.slot == worker.slot or not own)
            for other in self.pool.workers
            if other is not worker and any(slot.number == other.slot for slot in self.pool.slots)
        )

    def retire(self, worker: Worker, cause: Cause) -> None:
        """Has the worker replaced; nothing when that is under way."""
        if self.pool.on_due(worker, cause):
            level = "warning" if cause.is_urgent() else "info"
            self.log.write(level, f"{self.name(worker)} is replaced: {REASONS[cause]}")

    def signal(self, worker: Worker, number: int) -> None:
        """A signal to a worker that is not buried yet, so that its number is still its own."""
        if not self.trade.foreign:
            os.kill(worker.pid, number)
        elif number in (signal.SIGTERM, signal.SIGKILL) and not send(worker.pid, number):
            self.log.error(f"{self.name(worker)} cannot be ended: it runs as a user whom this server may not signal")

    def signal_all(self, number: int) -> None:
        """A signal to every worker."""
        for worker in self.pool.workers:
            self.signal(worker, number)

    def name(self, worker: Worker) -> str:
        """As the log calls it."""
        return f"{self.trade.called(worker.slot)} (pid {worker.pid})"

    def cell(self, worker: Worker) -> Cell | None:
        """Its place on the scoreboard."""
        index = self._cells.get(worker.pid)
        return None if index is None else self.scoreboard.cell(index)

    def cell_index(self, worker: Worker) -> int | None:
        """Where on the scoreboard that is."""
        return self._cells.get(worker.pid)

    def write_stacks(self, worker: Worker | None = None) -> None:
        """Has every worker, or the one, write what its threads and tasks are doing."""
        for asked in self.pool.workers if worker is None else [worker]:
            self.signal(asked, STACKS_SIGNAL)

    def announce_end(self) -> None:
        """The server is told to stop: whoever is asked whether it is ready says no from now on, and serves on."""
        for worker in self.pool.workers:
            cell = self.cell(worker)
            if cell is not None:
                cell.phase = "draining"

    def pause(self, *, paused: bool) -> None:
        """Has the workers stop or begin to accept."""
        self.signal_all(PAUSE_SIGNAL if paused else RESUME_SIGNAL)

    def pause_one(self, worker: Worker) -> None:
        """Has a worker that comes while accepting is paused pause, too."""
        self.signal(worker, PAUSE_SIGNAL)

    def _fork(self, action: Fork) -> None:
        index = None
        try:
            index = self.scoreboard.claim(action.slot, action.generation, self._is_apart)
            child = self._spawn(action, index)
        except (OSError, OperatorError) as error:
            if index is not None:
                self.scoreboard.retire(index)
            self.pool.on_fork_failed(action.slot, self._clock())
            why = error.strerror if isinstance(error, OSError) else str(error)
            self.log.error(f"cannot start {self.trade.called(action.slot)}: {why}")
            return
        self._cells[child.pid] = index
        if child.orders is not None:
            self._promotable[child.pid] = child
        self.pool.on_forked(action.slot, action.generation, child.pid, self._clock())
        self.reports.listen(child)
        self.log.debug(f"{self.trade.called(action.slot)} started (pid {child.pid})")

    def _spawn(self, action: Fork, index: int) -> Spawned:
        config, cell = self.config, self.scoreboard.cell(index)
        sockets = self.listeners.for_slot(action.slot)
        if config.lifecycle.preload:
            return self.nursery.spawn(action.slot, index, sockets)

        def work(report: Callable[[str], None]) -> int:
            settled = settle_as(config, config.timeouts.graceful)
            return self.trade.run(settled, sockets, action.slot, report, cell)

        role = Role(self.trade.title(action.slot), self.trade.comm, work, config.timeouts.graceful)
        private = [*self._private(), *self.listeners.not_for_slot(action.slot)]
        if not self.trade.takes_orders:
            return spawn(role, self.log, private)

        def fork(orders: socket.socket, more: Iterable[int]) -> Spawned:
            sockets.orders = orders
            return spawn(role, self.log, [*private, *more])

        return self._fronts.spawn(fork)

    def descriptors(self) -> list[int]:
        """The ways to those that take orders, or may one day, which no other child shall hold."""
        workers = [child.orders.fileno() for child in self._promotable.values() if child.orders is not None]
        return [*self.nursery.descriptors(), *workers]

    def _kill(self, worker: Worker) -> None:
        if worker.phase is Phase.STOPPING:
            waited = f"did not stop within {worker.deadline - worker.asked_at:g} s"
            self.log.warning(f"{self.name(worker)} {waited}: killed")
        self.pool.on_killed(worker)
        self.signal(worker, signal.SIGKILL)

    # Events taken in.

    def on_report(self, worker: Worker, line: str) -> None:
        """What a worker says of itself."""
        if line.startswith(FAILED):
            worker.failure = line.removeprefix(FAILED)
        elif line.startswith(READY):
            self._on_ready(self.pool.on_ready(worker, self._clock()), worker, line.removeprefix(READY).strip())
        elif line.startswith(RECYCLE):
            cause = Cause(line.removeprefix(RECYCLE))
            self.pool.on_sated(worker) if cause is Cause.MAX_REQUESTS else self.retire(worker, cause)
        elif line.startswith(NOT_FORKING):
            why = line.removeprefix(NOT_FORKING)
            self.log.warning(f"{self.name(worker)} ends without becoming the fork server: {why}")
        elif line.startswith(FORKING):
            self._on_promoted(worker)
        else:
            self._fronts.on_report(worker.pid, line)

    def _on_promoted(self, worker: Worker) -> None:
        """A worker has become a fork server; when none like it is wanted any more, it ends as it would have."""
        if self.pool.ending is not None or worker.generation != self.pool.generation or self.nursery.is_preparing:
            self.signal(worker, signal.SIGKILL)
            return
        self.log.info(f"{self.name(worker)} is the fork server now: the workers are forked anew from it")
        self.nursery.adopt(ForkServer.promoted(self._promotable.pop(worker.pid)))
        self.scoreboard.retire(self._cells.pop(worker.pid))
        self.scoreboard.count_restart(Cause.REFORK.value)
        self.pool.on_promoted(worker)

    def on_attached(self, worker: Worker, interface: str) -> None:
        """The front knows it: of a program that is not ours nobody else can tell that it serves."""
        if self.trade.foreign and worker.phase is Phase.STARTING:
            cell = self.cell(worker)
            if cell is not None:
                cell.phase = "serving"
            self._on_ready(self.pool.on_ready(worker, self._clock()), worker, interface)

    def on_death(self, worker: Worker, end: Exit) -> None:
        """Buries a worker."""
        self._fronts.on_died(worker.pid)
        if self.trade.foreign:
            kill_all(worker.pid)
        replaced = self.pool.is_obsolete(worker)
        death = self.pool.on_died(worker, self._clock())
        index = self._cells.pop(worker.pid, None)
        if index is not None:
            self.scoreboard.retire(index)
        spawned = self._promotable.pop(worker.pid, None)
        if spawned is not None and spawned.orders is not None:
            spawned.orders.close()
        if self.pool.ending is None and (replaced or not death.expected):
            self.scoreboard.count_restart(self._cause(worker, death).value)
        self._tell_death(worker, death, end.describe(by_us=death.expected))

    def look(self) -> None:
        """Sees whether the workers are well."""
        liveness_s, max_memory = self.config.timeouts.liveness, self.config.lifecycle.max_memory
        for worker in self.pool.workers:
            if worker.is_serving() and worker.retiring is None:
                cause = judge(self._vitals(worker), liveness_s=liveness_s, max_memory=max_memory)
                if cause is Cause.LIVENESS:
                    self.signal(worker, RAW_STACKS_SIGNAL)
                if cause is not None:
                    self.retire(worker, cause)
        self._look_for_warm()

    def _look_for_warm(self) -> None:
        """When workers have served enough requests, the one of them that serves longest becomes the fork server."""
        least = self.config.lifecycle.refork
        if not least or not self.pool.is_settled() or not self.nursery.is_ready or self.nursery.is_preparing:
            return
        counted = [(worker, self.cell(worker)) for worker in self.pool.workers]
        warm = [worker for worker, cell in counted if cell is not None and cell.requests >= least]
        if warm:
            self.retire(min(warm, key=lambda worker: worker.ready_at), Cause.REFORK)

    def _vitals(self, worker: Worker) -> Vitals:
        cell = self.cell(worker)
        read = read_rss_of_all if self.trade.foreign else read_rss
        memory = read(worker.pid) if self.config.lifecycle.max_memory else 0
        still_s = 0.0 if cell is None else stillness(cell.leader, cell.beat_ns, time.monotonic_ns())
        return Vitals(still_s, memory or 0)

    def _cause(self, worker: Worker, death: Death) -> Cause:
        if worker.retiring is not None:
            return worker.retiring
        if death.expected:
            return Cause.RELOAD
        return Cause.BOOT if death.phase is Phase.STARTING else Cause.CRASH

    def _tell_death(self, worker: Worker, death: Death, end: str) -> None:
        if death.expected:
            self.log.debug(f"{self.name(worker)} {end}")
            return
        ending = self.pool.ending
        if ending is not None and ending.operator:
            return  # The reason is the last line of all; it is not told twice.
        what = "could not start" if death.phase is Phase.STARTING else "died"
        if death.phase is Phase.STARTING and worker.generation == self.pool.generation:
            self.last_failure = worker.failure or end
        self.log.error(f"{self.name(worker)} {what}: {worker.failure or end}{self._outlook(death)}")

    def _outlook(self, death: Death) -> str:
        if death.retry_s is not None:
            attempt = f" (attempt {death.attempts + 1})" if death.attempts > 1 else ""
            return f"; next attempt in {death.retry_s:.1f} s{attempt}" if death.retry_s > 0 else "; replaced"
        if not self.pool.held:
            return ""
        serving = any(worker.is_serving() for worker in self.pool.workers)
        return f"; waiting for the next change{', the former worker serves on' if serving else ''}"
