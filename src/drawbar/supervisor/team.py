"""A team: the processes of one kind under a master, with all that makes them, replaces them and judges them.

A team is a pool, which is data, a crew, which carries out what follows from it, and a nursery, where its processes are
forked when the application is preloaded. It has a configuration of its own and may go back to its former one. Of other
teams it knows nothing: what concerns them all is the master's.
"""

import math
import os
from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from drawbar.config import Config
from drawbar.net.scoreboard import Scoreboard
from drawbar.pull.reading import Reading
from drawbar.supervisor.crew import Crew
from drawbar.supervisor.decisions import End, decide, next_wake
from drawbar.supervisor.exits import Exit
from drawbar.supervisor.front.fronts import Fronts
from drawbar.supervisor.listening.listeners import Listeners
from drawbar.supervisor.logs import Log
from drawbar.supervisor.pool import Boot, Ending, Pool, Slot, Strategy, Timing, Worker
from drawbar.supervisor.preload.nursery import Nursery
from drawbar.supervisor.reloading import timing_of
from drawbar.supervisor.reports import Reports
from drawbar.supervisor.scaling import Facts, Scale, Scaling, Staff, order_of_leaving
from drawbar.supervisor.trade import Trade
from drawbar.supervisor.vitals import interval
from drawbar.supervisor.words import plural


class TeamSpec(NamedTuple):
    """What a team is to be. `app` "" is the team that listens for clients."""

    app: str
    label: str | None
    config: Config
    trade: Trade
    workers: int
    scale: Scale | None = None
    """Between what their number follows the queue; None: it does not."""


class Ground(NamedTuple):
    """What all teams of a master stand on."""

    scoreboard: Scoreboard
    reports: Reports
    fronts: Fronts
    private: Callable[[], Iterable[int]]
    """The master's own descriptors, which no child shall hold."""
    listening: Callable[[], Iterable[int]]
    """Its listeners, which are for those children only that accept from them."""
    clock: Callable[[], float]


class Overseer(Protocol):
    """Who is told what concerns more than one team."""

    def on_ready(self, team: "Team", boot: Boot, worker: Worker, interface: str) -> None: ...

    def on_fork_server_failed(self, team: "Team", why: str) -> None: ...


class Former(NamedTuple):
    """What to go back to when the configuration in force does not start."""

    spec: TeamSpec
    workers: int
    is_resized: bool


class Team:
    """The processes of `spec`. `listeners` are what they accept from; none is what dials instead.

    timing: by default what the configuration says, as long as the team lives. is_resized: somebody said another number
    of workers than the configuration. stubborn: a start that fails is tried again for ever.
    """

    def __init__(
        self,
        spec: TeamSpec,
        ground: Ground,
        overseer: Overseer,
        log: Log,
        *,
        listeners: Listeners | None = None,
        timing: Timing | None = None,
        is_resized: bool = False,
        stubborn: bool = False,
    ) -> None:
        self.spec = spec
        self.log = log
        self.listeners = Listeners(spec.config, slots=()) if listeners is None else listeners
        self.is_resized = is_resized
        self._is_apart = listeners is None
        self.interface = ""
        """What the workers found the application to be."""
        self.former: Former | None = None
        self.is_settled = False
        """What was last begun (start, reload) has come to its end."""
        self.has_settled = False
        """The start, at least, has."""
        self.start_failure = ""
        """Why there is nothing yet to fork workers from."""
        self._overseer = overseer
        self._timing = timing
        self._clock = ground.clock
        self._next_look = ground.clock()
        self.scaling = None if spec.scale is None else Scaling(spec.scale, fits_since=ground.clock())
        self.has_peer = False
        """There is another version of its application: what is under way is not for it alone."""
        self.pool = Pool(
            slots=[Slot(number) for number in range(1, spec.workers + 1)],
            timing=timing or timing_of(spec.config),
            strategy=Strategy(spec.config.lifecycle.reload_strategy),
            patient=spec.config.server.reload,
            stubborn=stubborn,
        )

        def all_private() -> list[int]:
            return [*ground.private(), *ground.listening()]

        self.nursery = Nursery(
            reports=ground.reports,
            private=all_private,
            name=lambda: self.trade.name,
            cell_of=ground.scoreboard.cell,
            on_ready=self._on_fork_server_ready,
            on_failed=self._on_fork_server_failed,
        )
        self.crew = Crew(
            self.pool,
            config=spec.config,
            listeners=self.listeners,
            log=log,
            scoreboard=ground.scoreboard,
            reports=ground.reports,
            nursery=self.nursery,
            trade=spec.trade,
            fronts=ground.fronts,
            private=all_private if listeners is None else ground.private,
            on_ready=self._on_ready,
            clock=ground.clock,
            is_apart=self._is_apart,
        )

    @property
    def app(self) -> str:
        """Whose workers they are; "" of those that listen."""
        return self.spec.app

    @property
    def label(self) -> str | None:
        """Their version."""
        return self.spec.label

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self.spec.config

    @property
    def trade(self) -> Trade:
        """What they do."""
        return self.spec.trade

    def slots(self) -> list[int]:
        """The numbers of its slots."""
        return [slot.number for slot in self.pool.slots]

    def slots_with(self, spec: TeamSpec) -> list[int]:
        """The slots there will be when it is as `spec` has it: what somebody has asked for holds until that changes."""
        if spec.scale is not None:
            # What the queue has asked for is not taken back.
            return list(range(1, min(max(len(self.slots()), spec.scale.least), spec.scale.most) + 1))
        return self.slots() if self._stays_resized(spec) else list(range(1, spec.workers + 1))

    def _stays_resized(self, spec: TeamSpec) -> bool:
        same = spec.config.server.workers == self.config.server.workers
        return self.is_resized and same and spec.scale is None

    # From start to end.

    def begin(self) -> None:
        """Before the first decision."""
        if self.config.lifecycle.preload:
            self.begin_fork_server()

    def act(self) -> Ending | None:
        """Does what is to be done now; returns the ending when that has come, and nobody is left."""
        for action in decide(self.pool, self._clock()):
            if isinstance(action, End):
                return self.pool.ending
            self.crew.carry_out(action)
        return None

    def is_tried(self) -> bool:
        """It has come to serve, or turned out not to for now."""
        pool = self.pool
        if pool.booted or pool.held or self.start_failure or pool.ending is not None:
            return True
        if self.trade.foreign:
            # Only a front can tell that they serve, and it may be one that waits for this.
            return True
        return all(slot.failures for slot in pool.slots)

    def settle(self) -> bool:
        """Whether what was begun comes to its end now: each slot has its worker, or there is no use in waiting."""
        pool = self.pool
        patient = pool.stubborn or self.trade.foreign
        over = pool.is_settled() or pool.held or (patient and not pool.booted and self.is_tried())
        if self.is_settled or self.nursery.is_preparing or not over:
            return False
        self.is_settled = self.has_settled = True
        if not self.config.lifecycle.preload and not pool.held:
            self.nursery.close()
        pool.strategy = Strategy(self.config.lifecycle.reload_strategy)
        return True

    def close(self) -> None:
        """Ends what is no worker."""
        self.nursery.close()

    # Time.

    def wake_at(self) -> float:
        """When something is due by the clock alone."""
        times = [next_wake(self.pool)]
        if self.pool.ending is None:
            times.append(self.nursery.retry_at)
            if self.scaling is not None and self._follows_queue():
                times.append(self.scaling.due_at(self._staff()))
            if self._look_interval() is not None:
                times.append(self._next_look)
        return min((time for time in times if time is not None), default=math.inf)

    def look_after(self, now: float) -> None:
        """What is due by then."""
        if self.pool.ending is not None:
            return
        seconds = self._look_interval()
        if seconds is not None and now >= self._next_look:
            self._next_look = now + seconds
            self.crew.look()
        if now >= self.nursery.retry_at:
            self.begin_fork_server()
        self._follow_queue()

    def _look_interval(self) -> float | None:
        lifecycle, liveness_s = self.config.lifecycle, self.config.timeouts.liveness
        return interval(liveness_s=liveness_s, max_memory=lifecycle.max_memory, refork=lifecycle.refork)

    # Another configuration, another number.

    def reload(self, spec: TeamSpec, log: Log, strategy: Strategy | None = None) -> None:
        """From now on it is as `spec` has it, until that turns out not to start; `renew()` brings the workers."""
        # One that has not come to serve yet is nothing to go back to.
        self.former = self.former or Former(self.spec, len(self.pool.slots), self.is_resized)
        count = len(self.slots_with(spec))
        self.is_resized = self._stays_resized(spec)
        if count != len(self.pool.slots):
            self.set_count(count, on_trial=True)
        self.adopt(spec, log)
        if strategy is not None:
            self.pool.strategy = strategy
        self.is_settled = False

    def roll_back(self, log: Log) -> None:
        """The new generation does not start: what replaces workers of the former one shall be like them."""
        assert self.former is not None
        former, self.former = self.former, None
        self.pool.recalled = False
        # What somebody has asked for since is not taken back.
        self.set_count(len(self.pool.slots) if self.is_resized else former.workers)
        self.is_resized = self.is_resized or former.is_resized
        self.adopt(former.spec, log)
        self.is_settled = False

    def adopt(self, spec: TeamSpec, log: Log) -> None:
        """From now on this is what it is to be; the number of its workers is set apart."""
        if spec.scale != self.spec.scale:
            self.scaling = None if spec.scale is None else Scaling(spec.scale, fits_since=self._clock())
        self.spec, config = spec, spec.config
        self.crew.config, self.crew.trade = config, spec.trade
        self.log = self.crew.log = log
        self.pool.timing = self._timing or timing_of(config)
        self.pool.strategy = Strategy(config.lifecycle.reload_strategy)

    def set_count(self, count: int, *, on_trial: bool = False) -> None:
        """The highest slots go first; who leaves one serves on while new connections are led past it.

        Of those that dial, who has nothing to do goes before who has. Not where a reload wants it: it may take a while
        until they go, and who is busy then nobody knows now.
        """
        delays = {slot: self.listeners.retire_slot(slot) for slot in sorted(self.slots(), reverse=True) if slot > count}
        until = {slot: self._clock() + delay for slot, delay in delays.items() if delay}
        self.pool.on_resize(count, until, on_trial=on_trial, go_first=[] if on_trial else self._idle_first())
        self.listeners.keep_slots(self.slots())
        self.is_settled = False

    def _idle_first(self) -> list[int]:
        if not self._is_apart:
            # Their slots have listeners, which are made and given up from the highest on.
            return []
        loads = dict.fromkeys(self.slots(), -1)
        for worker in self.pool.workers:
            if worker.is_serving() and worker.slot in loads:
                cell = self.crew.cell(worker)
                under_way = 0 if cell is None else cell.busy + cell.waiting
                loads[worker.slot] = max(loads[worker.slot], 0) + under_way
        return order_of_leaving(loads)

    # A number that follows the queue.

    def on_gauged(self, reading: Reading) -> None:
        """The front tells what is under way."""
        if self.scaling is not None:
            oldest_s = reading.oldest_ms / 1000
            facts = Facts(reading.queued, oldest_s, reading.busy, reading.room, reading.peak)
            self.scaling.on_facts(facts, self._staff(), self._clock())
            self._follow_queue()

    def _follows_queue(self) -> bool:
        """Nobody has said another number, the queue is its own, and there shall be workers at all."""
        others = self.is_resized or self.has_peer or self.pool.halted or self.pool.ending is not None
        return self.scaling is not None and not others

    def _follow_queue(self) -> None:
        if self.scaling is None or not self._follows_queue():
            return
        staff = self._staff()
        count = self.scaling.decide(staff, self._clock())
        if count != staff.wanted:
            why = "requests wait" if count > staff.wanted else "one less was enough"
            self.log.info(f"{self.app}: {plural(count, 'worker')} from now on, as {why}")
            self.set_count(count)

    def _staff(self) -> Staff:
        ready = [worker.ready_at for worker in self.pool.workers if worker.is_serving()]
        return Staff(len(self.pool.slots), len(ready), max(ready, default=-math.inf))

    # Reports and deaths.

    def on_attached(self, worker: Worker) -> None:
        """A front knows it."""
        command = self.config.apps[self.app].command if self.trade.foreign else None
        if command is not None:
            self.crew.on_attached(worker, os.path.basename(command[0]))

    def _on_ready(self, boot: Boot, worker: Worker, interface: str) -> None:
        self.interface = interface
        self._overseer.on_ready(self, boot, worker, interface)

    def bury(self, worker: Worker, end: Exit) -> None:
        """One of its workers has ended."""
        self.crew.on_death(worker, end)
        if worker.slot not in self.slots():
            self.listeners.close_slot(worker.slot)

    # The fork server.

    def renew(self) -> None:
        """A new generation begins: when its fork server is ready, or at once without one."""
        self.pool.on_recall()
        if self.config.lifecycle.preload:
            self.begin_fork_server()
        else:
            self.pool.barren = False
            self.pool.on_change()

    def begin_fork_server(self) -> None:
        """Has the application loaded, for the workers that come to be forked from it."""
        self.pool.barren = not self.nursery.is_ready
        try:
            self.nursery.begin(self.config, self.log, self._clock())
        except OSError as error:
            self._on_fork_server_failed(f"no fork server can be started ({error.strerror})")

    def _on_fork_server_ready(self) -> None:
        self.log.debug("the fork server is ready")
        self.start_failure = ""
        was_barren, self.pool.barren = self.pool.barren, False
        if not was_barren or self.pool.workers or self.pool.recalled:
            self.pool.on_change()

    def _on_fork_server_failed(self, why: str) -> None:
        self.pool.barren = self.config.lifecycle.preload and not self.nursery.is_ready
        if self.pool.ending is not None:
            return
        if not self.pool.booted and not self.pool.stubborn:
            self.pool.ending = Ending(code=2, error=why, operator=True)
            return
        self.start_failure = "" if self.pool.booted else why
        self._overseer.on_fork_server_failed(self, why)
