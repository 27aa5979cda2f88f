"""The master: hears events, has the pool decide, has the crew carry out.

It runs no application code, speaks no HTTP and imports little, for what it imports every worker holds too. It sleeps
in poll(2) until something happens: a signal, a child's report, a changed file, an order from the control socket, or
the time the pool asked for. Idle it uses no processor time.

What an event means stands elsewhere: for the workers in `pool` and `decisions`, as processes in `crew`, for all of one
kind in `team`, for the next configuration in `reloading`, for the next master in `succession`, for orders in `orders`.
"""

import gc
import math
import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from drawbar.config import Config, OperatorError
from drawbar.supervisor.announce import closing_line, stopping_line
from drawbar.supervisor.behind import Behind
from drawbar.supervisor.child import FAILED, READY, Role, Spawned, reap, spawn
from drawbar.supervisor.control.desk import Desk
from drawbar.supervisor.exits import Exit, signal_name
from drawbar.supervisor.front.fronts import Fronts
from drawbar.supervisor.front.place import PrivatePlace
from drawbar.supervisor.front.trade import as_front
from drawbar.supervisor.host.daemon import Teller
from drawbar.supervisor.host.notify import Notifier
from drawbar.supervisor.host.oom import OomCount
from drawbar.supervisor.host.pid_file import PidFile
from drawbar.supervisor.host.places import go_home, settle_places
from drawbar.supervisor.host.privileges import hand_over_logs
from drawbar.supervisor.host.terminal import has_terminal
from drawbar.supervisor.host.title import set_title
from drawbar.supervisor.listening.listeners import Handover, Listeners
from drawbar.supervisor.logs import Log
from drawbar.supervisor.orders import Orders
from drawbar.supervisor.poller import Poller
from drawbar.supervisor.pool import Boot, Cause, Ending, Strategy, Timing, Worker
from drawbar.supervisor.process import adopt_grandchildren, give_back_memory
from drawbar.supervisor.reloading import Former, in_force, later, require_file, take_over, worker_count
from drawbar.supervisor.reports import Reports
from drawbar.supervisor.signals import REQUESTS, STOPS, Request, SignalQueue
from drawbar.supervisor.split import has_workers, split_line, with_only_app
from drawbar.supervisor.succession import Succession, require_room, take_scoreboard
from drawbar.supervisor.team import Ground, Team, TeamSpec
from drawbar.supervisor.teams import Teams
from drawbar.supervisor.trade import RunWorker, Trade
from drawbar.supervisor.trouble import LastError
from drawbar.supervisor.upgrade import Inheritance
from drawbar.supervisor.versions import Version
from drawbar.supervisor.words import plural

if TYPE_CHECKING:
    from drawbar.config.sources import Loaded


class Master:
    """Serves `config` with worker processes until told to stop. One in a process, used in the main thread.

    trade: what the processes do that have clients. behind: what those do that a front has behind it; None: there is no
    front. loaded: where the configuration came from. reread: reads it again, or raises OperatorError. timing: by
    default what the configuration says. inherited: what a former master left. teller: told when the server serves.
    clock: seconds for decisions.
    """

    def __init__(
        self,
        config: Config,
        *,
        trade: Trade,
        behind: RunWorker | None = None,
        loaded: "Loaded | None" = None,
        reread: "Callable[[], Loaded] | None" = None,
        timing: Timing | None = None,
        inherited: Inheritance | None = None,
        teller: Teller | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config if behind is None else with_only_app(config)
        self.loaded = loaded
        self.clock = clock
        self.log = Log.from_config(config.log)
        self.paused = False
        """Nobody accepts connections."""
        self.last_error = LastError(clock)
        self.began_at = time.time()
        self._began = clock()
        self._reread = reread
        self._trade = trade
        self._run_behind = behind
        self._timing = timing
        self._inherited = inherited
        self._teller = teller or Teller()
        self._former: Former | None = None
        self._is_reloading = False
        self._has_told = False
        """That what was last begun (start, reload) has come to its end."""
        self._has_announced = False
        self.stop_by = math.inf
        """When whoever was told to stop shall have."""
        self._poller = Poller()
        self.succession = Succession(self, self._poller, inherited)
        self._reports = Reports(self._poller, self._on_report)
        self._out_of_memory = OomCount()
        self._watcher: Spawned | None = None
        self._stopped_by = ""
        self._next_beat = self._began
        self._had_terminal = has_terminal()

    # From start to end.

    def run(self) -> int:
        """Serves; returns the exit code.

        Raises OperatorError when a bind, the pid file or the control socket cannot be had, or the application not be
        started.
        """
        with ExitStack() as held:
            code = self._run(held)
        return self.succession.stand_by(code)

    def _run(self, held: ExitStack) -> int:
        """`held` is what to give up at the end."""
        config, inherited = self.config, self._inherited
        self.pid_file = PidFile(config.process.pid_file)
        self._signals = SignalQueue()
        held.callback(self._signals.close)
        set_title("drawbar: master", "drawbar-master")
        self.pid_file.create()
        held.callback(self.pid_file.remove)
        asked = inherited.workers if inherited else None
        self.behind = Behind(self, self._run_behind, self._make_place(held), *self._told_behind())
        spec = self._lead_as(config, asked)
        self.listeners = Listeners(
            config,
            slots=range(1, spec.workers + 1),
            inherited=Handover.from_text(inherited.listeners) if inherited else None,
            tell=self.log.warning,
        )
        held.callback(self.listeners.close)
        self.listeners.place = self.behind.place
        self.behind.take_place(config)
        self.scoreboard = take_scoreboard(inherited, spec.workers + self.behind.room(config), self.log.warning)
        doors = inherited.doors if inherited else None
        self.desk = Desk(
            config, self.log, self.scoreboard, self._poller, private=self._private_to_desk, inherited=doors
        )
        held.callback(self.desk.close)
        held.callback(self._stop_watcher)
        self.fronts = Fronts(inherited.traffic if inherited else None)
        self.orders = Orders(self, self._trade, inherited.former if inherited else {})
        self.deploys = self.orders.deploys
        self.notifier = Notifier.from_environment(os.environ)
        ground = Ground(self.scoreboard, self._reports, self.fronts, self.private, self._listening, self.clock)
        self.make_team = partial(Team, ground=ground, overseer=self, timing=self._timing)
        lead = self.make_team(spec, log=self.log, listeners=self.listeners, is_resized=asked is not None)
        self.teams = Teams(lead)
        held.callback(self.teams.close)
        return self._live()

    def _told_behind(self) -> tuple[dict[str, int], dict[str, Version]]:
        """What the former master was told about the teams behind the front."""
        return (self._inherited.teams, self._inherited.versions) if self._inherited is not None else ({}, {})

    def _lead_as(self, config: Config, asked: int | None = None) -> TeamSpec:
        """What the team that listens is to be; asked: the number of its workers, if somebody has said one."""
        if self._run_behind is not None:
            return TeamSpec("", None, as_front(config, is_alone=not has_workers(config)), self._trade, 1)
        return TeamSpec("", None, config, self._trade, worker_count(config, asked))

    def _make_place(self, held: ExitStack) -> PrivatePlace | None:
        """Where a front's workers reach it; None without a front. Raises OperatorError."""
        if self._run_behind is None:
            return None
        place = PrivatePlace.make(os.getuid(), os.environ)
        held.callback(place.close)
        return place

    @property
    def lead(self) -> Team:
        """The team that listens for clients: what becomes of it becomes of the server."""
        return self.teams.lead

    @property
    def is_stopping(self) -> bool:
        """The server comes to its end."""
        return self.lead.pool.ending is not None

    def _listening(self) -> list[int]:
        return self.listeners.descriptors()

    def _private_to_desk(self) -> list[int]:
        """What the control process shall not hold: the desk adds its own."""
        return [*self._own_descriptors(), *self._listening()]

    def private(self) -> list[int]:
        """Descriptors no child shall hold: a pipe's end in a second process hides its closing from the first."""
        return [*self._own_descriptors(), *self.desk.private()]

    def _own_descriptors(self) -> list[int]:
        return [
            *self._reports.descriptors(),
            *self._signals.descriptors(),
            *self._teller.descriptors(),
            *self.teams.descriptors(),
            *self.fronts.descriptors(),
            *self.succession.descriptors(),
        ]

    def _live(self) -> int:
        self._poller.register(self._signals.read_fd, self._on_signals)
        adopt_grandchildren()
        # What the master holds by now stays for good: no collection shall touch its pages, shared with the workers.
        gc.collect()
        gc.freeze()
        give_back_memory()
        self.behind.begin(after_another=self._inherited is not None)
        if any(team.config.server.reload for team in self.teams):
            self._start_watcher()
        self.lead.begin()
        while True:
            ending = self.lead.act()
            if self.behind.act(ending):
                continue
            if ending is not None and not self.teams.apps:
                return self._finish(ending)
            self._settle()
            self._poller.wait(self._patience(), last=self._signals.read_fd)
            self.orders.take(self.desk.commands())
            self._look_after()

    def _finish(self, ending: Ending) -> int:
        """The last words: the closing line, or why there was no serving."""
        if ending.error is None:
            self.log.info(closing_line(self._stopped_by, self.clock() - self._began))
        elif ending.operator:
            # The command line prints it on standard error; a log elsewhere shall tell it too.
            if self.log.is_file():
                self.log.error(ending.error)
            raise OperatorError(ending.error)
        else:
            self.log.critical(ending.error)
            self.succession.on_failed(ending.error)
        return ending.code

    # Time.

    def _patience(self) -> float | None:
        """Seconds until something is due; None: for ever."""
        due = min(self.deploys.wake_at(), *(team.wake_at() for team in self.teams))
        if self.notifier.watchdog_s is not None:
            due = min(due, self._next_beat)
        return due - self.clock() if due < math.inf else None

    def _look_after(self) -> None:
        """What is due by the clock alone."""
        now = self.clock()
        for team in self.teams:
            team.look_after(now)
        self.deploys.look_after(now)
        if self.notifier.watchdog_s is not None and now >= self._next_beat:
            self._next_beat = now + self.notifier.watchdog_s
            self.notifier.beat()

    def _settle(self) -> None:
        """What follows when each slot has its worker, or a new generation turned out not to start."""
        lead = self.lead
        if lead.pool.held and lead.former is not None:
            self._roll_back(lead.crew.last_failure)
        if lead.settle():
            self.listeners.drop_left()
            if not lead.pool.held:
                lead.former = self._former = None
                self.behind.follow()
        self.behind.settle()
        self._announce()
        if self._has_told or not self.is_settled:
            self._has_told = self._has_told and self.is_settled
            return
        self._has_told = True
        self._tell_settled(lead.crew.last_failure if lead.pool.held else self.behind.tell_failures())

    def _tell_settled(self, failure: str | None) -> None:
        """What was begun has come to its end; `failure`: and not to that which was wanted."""
        count = sum(len(team.pool.slots) for team in self.teams)
        self.notifier.ready(plural(count, "worker serves", "workers serve"))
        if not self.lead.pool.held:
            self.succession.on_serving()
        if self._is_reloading and failure is None:
            self.last_error.forget()
            self.log.info(f"reloaded: {plural(count, 'worker')} of generation {self.lead.pool.generation}")
        self._is_reloading = False
        self.orders.on_settled(failure)

    def _announce(self) -> None:
        """The line of the start, once all there is to serve has begun to, or turned out not to."""
        lead = self.lead
        if self._has_announced or not (lead.pool.booted and self.behind.is_tried()):
            return
        self._has_announced = True
        self._teller.ready()
        if self.teams.apps:
            line = split_line(self.config, self.teams.apps, self.listeners)
        else:
            line = lead.trade.announce(self.config, lead.interface, self.listeners, len(lead.pool.slots))
        self.log.info(line)

    # Signals.

    def _on_signals(self) -> None:
        for number in self._signals.drain():
            self._on_request(REQUESTS[number], signal_name(number))

    def _on_request(self, request: Request, by: str) -> None:
        if request in STOPS:
            self.stop(by, quick=request is Request.QUICK_STOP)
        elif request is Request.REAP:
            self._reap()
        elif request is Request.REOPEN:
            self.reopen_logs(by)
        elif request is Request.STACKS:
            self.write_stacks(by)
        elif self.is_stopping:
            self.log.info(f"{by} is ignored: the server is stopping")
        elif request is Request.RELOAD:
            self._on_hangup(by)
        elif request is Request.UPGRADE:
            self._try(self.upgrade, by)
        elif request is Request.HALT:
            self._on_window_change(by)
        else:
            self._try(self.resize, by, None, 1 if request is Request.MORE else -1)

    def _try(self, order: Callable[..., object], *arguments: object) -> None:
        """An order by signal: who gave it reads the log."""
        try:
            order(*arguments)
        except OperatorError as error:
            self.tell_error(str(error))

    def tell_error(self, line: str) -> None:
        """Something that was asked for cannot be, or went wrong; the status shows it too."""
        self.last_error.keep(line)
        self.log.error(line)

    def _on_hangup(self, by: str) -> None:
        """SIGHUP reloads, unless it says what it is named after."""
        self.stop(by) if self._had_terminal and not has_terminal() else self._try(self.reload, by)

    def _on_window_change(self, by: str) -> None:
        """SIGWINCH halts the workers, unless it says what it is named after."""
        if not has_terminal():
            self.log.info(f"{by}: the workers stop, the master stays; SIGHUP brings them back")
            self.lead.pool.on_halt()

    # Orders: by signal, and by way of the control socket. Each raises OperatorError when it cannot be followed.

    def stop(self, by: str, *, quick: bool = False) -> None:
        """Ends the server; each further time in more haste."""
        first, pool = not self.is_stopping, self.lead.pool
        pool.on_stop(self.clock(), quick=quick)
        if first:
            self._stopped_by = by
            self.lead.crew.announce_end()
            delay_s = 0.0 if quick else pool.timing.drain_delay_s
            self.stop_by = self.clock() + delay_s + pool.stop_patience()
            self.log.info(stopping_line(by, pool.stop_patience(), delay_s))
            self.notifier.stopping()
            self.succession.on_stop()
        else:
            haste = "in haste" if pool.stops == 2 else "at once"
            self.behind.on_stop()
            self.log.info(f"{by} again: stopping {haste}")

    def reload(self, by: str, strategy: Strategy | None = None) -> list[str]:
        """Reads the configuration again and has a new generation of workers take over, by its strategy or another.

        Returns warnings. Raises OperatorError when it is wrong, and then nothing has changed.
        """
        self.deploys.require_rest(by, of_own=True)
        self.notifier.reloading()
        go_home()
        try:
            loaded = self._reread() if self._reread is not None else self.loaded
            if loaded is not None and self.loaded is not None:
                require_file(self.loaded.file, loaded.file)
            wanted = self.config if loaded is None else settle_places(loaded.config)
            config, kept = take_over(self.config, wanted)
            if loaded is not None and self.loaded is not None:
                loaded = in_force(self.loaded, loaded, kept)
            if self._run_behind is not None:
                config = with_only_app(config)
            spec, behind = self._lead_as(config), self.behind.specs(config)
            slots = self.lead.slots_with(spec)
            require_room(
                self.scoreboard, self._room(self.config), len(slots) + self.behind.room(config), "server.workers"
            )
            log = self.log if config.log == self.config.log else Log.from_config(config.log)
            self._occupy(config, slots)
        # The system's errors are about this server's place, such as a working directory that was removed.
        except (OperatorError, OSError) as error:
            self.notifier.ready("the last reload was refused")
            raise OperatorError(f"{by}: not reloaded, nothing has changed: {error}") from error
        warnings = [later(key) for key in kept]
        for line in warnings:
            self.log.warning(line)
        # One that has not come to serve yet is nothing to go back to.
        self._former = self._former or Former(self.config, self.loaded, self.log)
        self.lead.reload(spec, log, strategy)
        self._adopt(Former(config, loaded, log))
        self.behind.reload(behind, strategy)
        self._is_reloading, self._has_told = True, False
        self.log.info(f"{by}: reloading, {self.lead.pool.strategy.value}")
        self.lead.renew()
        return warnings

    def _occupy(self, config: Config, slots: list[int]) -> None:
        """Takes pid file and listeners as this configuration has them. Raises OperatorError, and has taken neither."""
        self.pid_file.move_to(config.process.pid_file)
        try:
            self.listeners.update(config, slots)
            self.behind.take_place(config)
        except OperatorError:
            self.pid_file.move_to(self.config.process.pid_file)
            raise

    def _adopt(self, next_one: Former) -> None:
        """From now on this is the configuration."""
        self.config, self.loaded, self.log = next_one
        self.desk.log = self.log

    def _roll_back(self, why: str) -> None:
        """The new generation does not start: the places are what they were."""
        self.last_error.keep(f"the last reload failed: {why}")
        assert self._former is not None
        former, self._former = self._former, None
        self._is_reloading = self._has_told = False
        self.behind.forget()
        self.lead.roll_back(former.log)
        try:
            self._occupy(former.config, self.lead.slots())
        except OperatorError as error:
            self.tell_error(f"{self.last_error.line}; the former places are not to be had any more: {error}")
        self._adopt(former)

    @property
    def is_settled(self) -> bool:
        """Nothing that was begun is still going on."""
        return self.behind.is_settled and all(team.is_settled for team in self.teams)

    def _room(self, config: Config) -> int:
        """How many workers there are, or may come to be by themselves."""
        return max(
            sum(len(team.pool.slots) for team in self.teams), len(self.lead.pool.slots) + self.behind.room(config)
        )

    def upgrade(self, by: str) -> int:
        """Starts the program anew beside this master, to take its place; returns its process id.

        Raises OperatorError.
        """
        self.deploys.require_rest(by)
        return self.succession.begin(by)

    def resize(self, by: str, count: int | None, change: int = 0, app: str | None = None) -> int:
        """So many workers from now on, or so many more, whatever the configuration says; returns how many that are.

        app: whose they are, where there are several. Raises OperatorError.
        """
        team = self.behind.team_to_resize(by, app)
        present = len(team.pool.slots)
        count = present + change if count is None else count
        if count < 1:
            raise OperatorError(f"{by}: one worker is the least", right="SIGWINCH stops them all")
        room = self._room(self.config)
        require_room(self.scoreboard, room, room + count - present, by)
        team.is_resized = True
        team.set_count(count)
        self.log.info(f"{by}: {plural(count, f'{team.trade.name}')} from now on")
        return count

    def kill(self, by: str, team: Team, worker: Worker) -> None:
        """Has one worker replaced: a new one first, then it drains."""
        self.log.info(f"{by}: {team.crew.name(worker)} is to go")
        team.crew.retire(worker, Cause.ORDER)

    def reopen_logs(self, by: str) -> None:
        """Has every process open its log files by their names again."""
        # Before the workers open what another user has just rotated away.
        hand_over_logs(self.config)
        try:
            self.log.reopen()
        except OSError as error:
            self.tell_error(f"{by}: the former log is kept: cannot open {error.filename}: {error.strerror}")
        else:
            self.log.info(f"{by}: logs reopened")
        for team in self.teams:
            team.crew.signal_all(signal.SIGUSR1)

    def write_stacks(self, by: str, one: tuple[Team, Worker] | None = None) -> None:
        """Has every worker, or the one, write what its threads and tasks are doing."""
        asked = list(self.teams.workers()) if one is None else [one]
        whose = plural(len(asked), "worker") if one is None else one[0].crew.name(one[1])
        self.log.info(f"{by}: the stacks of {whose} follow")
        for team, worker in asked:
            team.crew.write_stacks(worker)

    def pause(self, *, paused: bool) -> None:
        """Has the workers accept no connections, or accept them again. Those that wait stay in the listen queue."""
        self.paused = paused
        self.lead.crew.pause(paused=paused)
        self.log.info("accepting is paused" if paused else "accepting again")

    # Reports and deaths.

    def _on_report(self, pid: int, line: str) -> None:
        if self._watcher is not None and pid == self._watcher.pid:
            self._on_watcher_report(line)
            return
        found = self.teams.find(pid)
        if found is not None:
            team, worker = found
            team.crew.on_report(worker, line)
        elif (owner := self.teams.with_fork_server(pid)) is not None:
            owner.nursery.on_report(pid, line)

    def on_ready(self, team: Team, boot: Boot, worker: Worker, interface: str) -> None:
        """A worker serves."""
        if self.paused and team is self.lead:
            team.crew.pause_one(worker)
        if team is self.lead and boot is Boot.FIRST:
            self._announce()
            return
        # Those of the start are many and stand in the line above; later ones are news.
        level = "info" if self._has_announced and (boot is not Boot.ANOTHER or team.has_settled) else "debug"
        self.log.write(level, f"{team.trade.called(worker.slot)} is ready (pid {worker.pid})")

    def _reap(self) -> None:
        """Buries every child that died; as process 1 of a container also those that are none of ours."""
        for pid, status in reap(self._reports.hear_out):
            # Asked at each death, so that it tells about this one.
            self._bury(pid, Exit(status, self._out_of_memory.has_risen()))

    def _bury(self, pid: int, end: Exit) -> None:
        found = self.teams.find(pid)
        if found is not None:
            team, worker = found
            team.bury(worker, end)
        elif self._watcher is not None and pid == self._watcher.pid:
            self._watcher = None
            # A terminal's Ctrl-C ends it with everything else.
            if not self.is_stopping:
                self.log.error(f"the watcher died: {end.describe()}; changes are no longer noticed")
        elif self.succession.has(pid):
            self.succession.on_died(end)
        elif (owner := self.teams.with_fork_server(pid)) is not None:
            owner.nursery.on_died(pid, end, self.clock())
        else:
            self.desk.on_died(pid, end)

    def on_fork_server_failed(self, team: Team, why: str) -> None:
        """No workers can be forked for now from what was to be loaded."""
        whose = f"{team.app}: " if team.app else ""
        self.tell_error(f"{whose}{why}{'; the workers serve on' if team.pool.booted else ''}")
        if team.former is None or team.nursery.is_preparing:
            return
        if team is not self.lead:
            self.behind.on_failed(team, why)
            return
        self._roll_back(why)
        self.orders.on_settled(why)

    # The watcher of source files, in development.

    def _start_watcher(self) -> None:
        from drawbar.supervisor.watcher import watch, watched_directories

        directories = watched_directories(self.config)
        role = Role("drawbar: reloader", "drawbar-reload", lambda report: watch(directories, report))
        self._watcher = spawn(role, self.log, [*self._private_to_desk(), *self.desk.private()])
        self._reports.listen(self._watcher)

    def _stop_watcher(self) -> None:
        if self._watcher is not None:
            # It holds nothing that would need a goodbye.
            os.kill(self._watcher.pid, signal.SIGKILL)
            os.waitpid(self._watcher.pid, 0)

    def _on_watcher_report(self, line: str) -> None:
        if line.startswith(FAILED):
            self.log.error(f"changes are no longer watched: {line.removeprefix(FAILED)}")
        elif line == READY:
            self.log.info("watching for changes")
        else:
            self.log.info(f"{os.path.relpath(line)} changed: reloading")
            for team in self.teams.apps or [self.lead]:
                team.renew()
