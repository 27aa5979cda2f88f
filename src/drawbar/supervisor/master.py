"""The master: hears events, has the pool decide, has the crew carry out.

It runs no application code, speaks no HTTP and imports little, for what it imports every worker holds too. It sleeps
in poll(2) until something happens: a signal, a child's report, a changed file, an order from the control socket, or
the time the pool asked for. Idle it uses no processor time.

What an event means stands elsewhere: for the workers in `pool` and `decisions`, as processes in `crew`, for the next
configuration in `reloading`, for the next master in `succession`, for orders in `orders`.
"""

import gc
import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from drawbar.config import Config, OperatorError
from drawbar.supervisor.announce import closing_line, stopping_line
from drawbar.supervisor.child import FAILED, READY, Role, Spawned, reap, spawn
from drawbar.supervisor.control.desk import Desk
from drawbar.supervisor.crew import Crew
from drawbar.supervisor.decisions import End, decide, next_wake
from drawbar.supervisor.exits import Exit, signal_name
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
from drawbar.supervisor.pool import Boot, Cause, Ending, Pool, Slot, Strategy, Timing, Worker
from drawbar.supervisor.preload.nursery import Nursery
from drawbar.supervisor.process import adopt_grandchildren, give_back_memory
from drawbar.supervisor.reloading import Former, in_force, later, require_file, take_over, timing_of, worker_count
from drawbar.supervisor.reports import Reports
from drawbar.supervisor.signals import REQUESTS, STOPS, Request, SignalQueue
from drawbar.supervisor.succession import Succession, require_room, take_scoreboard
from drawbar.supervisor.trade import Trade
from drawbar.supervisor.trouble import LastError
from drawbar.supervisor.upgrade import Inheritance
from drawbar.supervisor.vitals import interval
from drawbar.supervisor.words import plural

if TYPE_CHECKING:
    from drawbar.config.sources import Loaded


class Master:
    """Serves `config` with worker processes until told to stop. One in a process, used in the main thread.

    loaded: where the configuration came from. reread: reads it again, or raises OperatorError. timing: by default what
    the configuration says. inherited: what a former master left. teller: told when
    the server serves. clock: seconds for decisions.
    """

    def __init__(
        self,
        config: Config,
        *,
        trade: Trade,
        loaded: "Loaded | None" = None,
        reread: "Callable[[], Loaded] | None" = None,
        timing: Timing | None = None,
        inherited: Inheritance | None = None,
        teller: Teller | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config = config
        self.loaded = loaded
        self.clock = clock
        self.pool = Pool(
            slots=[
                Slot(number) for number in range(1, worker_count(config, inherited.workers if inherited else None) + 1)
            ],
            timing=timing or timing_of(config),
            strategy=Strategy(config.lifecycle.reload_strategy),
            patient=config.server.reload,
        )
        self.log = Log.from_config(config.log)
        self.paused = False
        """Nobody accepts connections."""
        self.interface = ""
        """What the workers found the application to be."""
        self.last_error = LastError(clock)
        self.began_at = time.time()
        self._began = clock()
        self._reread = reread
        self._trade = trade
        self._timing = timing
        self._inherited = inherited
        self._teller = teller or Teller()
        self.is_resized = inherited is not None and inherited.workers is not None
        """Somebody said another number of workers than the configuration."""
        self._former: Former | None = None
        self._poller = Poller()
        self.succession = Succession(self, self._poller, inherited)
        self._reports = Reports(self._poller, self._on_report)
        self._out_of_memory = OomCount()
        self._watcher: Spawned | None = None
        self._settled = False
        """What was last begun (start, reload) has come to its end."""
        self._has_settled = False
        """The start, at least, has."""
        self._stopped_by = ""
        self._next_look = self._next_beat = self._began
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
        self.listeners = Listeners(
            config,
            slots=self._slots(),
            inherited=Handover.from_text(inherited.listeners) if inherited else None,
            tell=self.log.warning,
        )
        held.callback(self.listeners.close)
        self.scoreboard = take_scoreboard(inherited, len(self.pool.slots), self.log.warning)
        doors = inherited.doors if inherited else None
        self.desk = Desk(
            config, self.log, self.scoreboard, self._poller, private=self._private_to_desk, inherited=doors
        )
        held.callback(self.desk.close)
        held.callback(self._stop_watcher)
        self.orders = Orders(self)
        self.notifier = Notifier.from_environment(os.environ)
        self.nursery = Nursery(
            reports=self._reports,
            private=lambda: [*self._private_to_desk(), *self.desk.private()],
            cell_of=self.scoreboard.cell,
            on_ready=self._on_fork_server_ready,
            on_failed=self._on_fork_server_failed,
        )
        held.callback(self.nursery.close)
        self.crew = Crew(
            self.pool,
            config=config,
            listeners=self.listeners,
            log=self.log,
            scoreboard=self.scoreboard,
            reports=self._reports,
            nursery=self.nursery,
            trade=self._trade,
            private=self.private,
            on_ready=self._on_ready,
            clock=self.clock,
        )
        return self._live()

    def _slots(self) -> list[int]:
        return [slot.number for slot in self.pool.slots]

    def _private_to_desk(self) -> list[int]:
        """What the control process shall not hold: the desk adds its own."""
        return [*self._own_descriptors(), *(listener.fileno() for listener in self.listeners.sockets)]

    def private(self) -> list[int]:
        """Descriptors no child shall hold: a pipe's end in a second process hides its closing from the first."""
        return [*self._own_descriptors(), *self.desk.private()]

    def _own_descriptors(self) -> list[int]:
        return [
            *self._reports.descriptors(),
            *self._signals.descriptors(),
            *self._teller.descriptors(),
            *self.crew.descriptors(),
            *self.succession.descriptors(),
        ]

    def _live(self) -> int:
        self._poller.register(self._signals.read_fd, self._on_signals)
        adopt_grandchildren()
        # What the master holds by now stays for good: no collection shall touch its pages, shared with the workers.
        gc.collect()
        gc.freeze()
        give_back_memory()
        if self.config.server.reload:
            self._start_watcher()
        if self.config.lifecycle.preload:
            self._begin_fork_server()
        while True:
            for action in decide(self.pool, self.clock()):
                if isinstance(action, End):
                    return self._finish(action.code)
                self.crew.carry_out(action)
            self._settle()
            self._poller.wait(self._patience(), last=self._signals.read_fd)
            self.orders.take(self.desk.commands())
            self._look_after()

    def _finish(self, code: int) -> int:
        """The last words: the closing line, or why there was no serving."""
        ending = self.pool.ending
        if ending is None or ending.error is None:
            self.log.info(closing_line(self._stopped_by, self.clock() - self._began))
        elif ending.operator:
            # The command line prints it on standard error; a log elsewhere shall tell it too.
            if self.log.is_file():
                self.log.error(ending.error)
            raise OperatorError(ending.error)
        else:
            self.log.critical(ending.error)
            self.succession.on_failed(ending.error)
        return code

    # Time.

    def _patience(self) -> float | None:
        """Seconds until something is due; None: for ever."""
        times = [next_wake(self.pool)]
        if self._look_interval() is not None:
            times.append(self._next_look)
        if self.notifier.watchdog_s is not None:
            times.append(self._next_beat)
        times.append(self.nursery.retry_at if self.nursery.retry_at < float("inf") else None)
        due = [time for time in times if time is not None]
        return min(due) - self.clock() if due else None

    def _look_interval(self) -> float | None:
        if self.pool.ending is not None:
            return None
        lifecycle, liveness_s = self.config.lifecycle, self.config.timeouts.liveness
        return interval(liveness_s=liveness_s, max_memory=lifecycle.max_memory, refork=lifecycle.refork)

    def _look_after(self) -> None:
        """What is due by the clock alone."""
        now = self.clock()
        seconds = self._look_interval()
        if seconds is not None and now >= self._next_look:
            self._next_look = now + seconds
            self.crew.look()
        if now >= self.nursery.retry_at and self.pool.ending is None:
            self._begin_fork_server()
        if self.notifier.watchdog_s is not None and now >= self._next_beat:
            self._next_beat = now + self.notifier.watchdog_s
            self.notifier.beat()

    def _settle(self) -> None:
        """What follows when each slot has its worker, or the new generation turned out not to start."""
        if self.pool.held and self._former is not None:
            self._roll_back(self.crew.last_failure)
        if self._settled or self.nursery.is_preparing or not (self.pool.is_settled() or self.pool.held):
            return
        self._settled = self._has_settled = True
        self.listeners.drop_left()
        if not self.config.lifecycle.preload and not self.pool.held:
            self.nursery.close()
        self.notifier.ready(plural(len(self.pool.slots), "worker serves", "workers serve"))
        if not self.pool.held:
            self.succession.on_serving()
        self.pool.strategy = Strategy(self.config.lifecycle.reload_strategy)
        if self._former is not None:
            self._former = None
            self.last_error.forget()
            self.log.info(f"reloaded: {plural(len(self.pool.slots), 'worker')} of generation {self.pool.generation}")
        self.orders.on_settled(self.crew.last_failure if self.pool.held else None)

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
        elif self.pool.ending is not None:
            self.log.info(f"{by} is ignored: the server is stopping")
        elif request is Request.RELOAD:
            self._on_hangup(by)
        elif request is Request.UPGRADE:
            self._try(self.upgrade, by)
        elif request is Request.HALT:
            self._on_window_change(by)
        else:
            self._try(self.resize, by, len(self.pool.slots) + (1 if request is Request.MORE else -1))

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
            self.pool.on_halt()

    # Orders: by signal, and by way of the control socket. Each raises OperatorError when it cannot be followed.

    def stop(self, by: str, *, quick: bool = False) -> None:
        """Ends the server; each further time in more haste."""
        first = self.pool.ending is None
        self.pool.on_stop(self.clock(), quick=quick)
        if first:
            self._stopped_by = by
            self.crew.announce_end()
            delay_s = 0.0 if quick else self.pool.timing.drain_delay_s
            self.log.info(stopping_line(by, self.pool.stop_patience(), delay_s))
            self.notifier.stopping()
            self.succession.on_stop()
        else:
            haste = "in haste" if self.pool.stops == 2 else "at once"
            self.log.info(f"{by} again: stopping {haste}")

    def reload(self, by: str, strategy: Strategy | None = None) -> list[str]:
        """Reads the configuration again and has a new generation of workers take over, by its strategy or another.

        Returns warnings. Raises OperatorError when it is wrong, and then nothing has changed.
        """
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
            require_room(self.scoreboard, len(self.pool.slots), len(self._slots_of(config)), "server.workers")
            log = self.log if config.log == self.config.log else Log.from_config(config.log)
            self._occupy(config, self._slots_of(config))
        # The system's errors are about this server's place, such as a working directory that was removed.
        except (OperatorError, OSError) as error:
            self.notifier.ready("the last reload was refused")
            raise OperatorError(f"{by}: not reloaded, nothing has changed: {error}") from error
        warnings = [later(key) for key in kept]
        for line in warnings:
            self.log.warning(line)
        # One that has not come to serve yet is nothing to go back to.
        former = Former(self.config, self.loaded, self.log, len(self.pool.slots), self.is_resized)
        self._former = self._former or former
        count = len(self._slots_of(config))
        self.is_resized = self.is_resized and config.server.workers == self.config.server.workers
        if count != len(self.pool.slots):
            self._resize(count, on_trial=True)
        self._adopt(config, loaded, log)
        if strategy is not None:
            self.pool.strategy = strategy
        self._settled = False
        self.log.info(f"{by}: reloading, {self.pool.strategy.value}")
        self._renew()
        return warnings

    def _occupy(self, config: Config, slots: list[int]) -> None:
        """Takes pid file and listeners as this configuration has them. Raises OperatorError, and has taken neither."""
        self.pid_file.move_to(config.process.pid_file)
        try:
            self.listeners.update(config, slots)
        except OperatorError:
            self.pid_file.move_to(self.config.process.pid_file)
            raise

    def _adopt(self, config: Config, loaded: "Loaded | None", log: Log) -> None:
        """From now on this is the configuration."""
        self.config = self.crew.config = config
        self.loaded = loaded
        self.log = self.crew.log = self.desk.log = log
        self.pool.timing = self._timing or timing_of(config)
        self.pool.strategy = Strategy(config.lifecycle.reload_strategy)

    def _roll_back(self, why: str) -> None:
        """The new generation does not start: what replaces workers of the former one shall be like them."""
        self.last_error.keep(f"the last reload failed: {why}")
        assert self._former is not None
        former, self._former = self._former, None
        self.pool.recalled = False
        # What somebody has asked for since is not taken back.
        self._resize(len(self.pool.slots) if self.is_resized else former.workers)
        self.is_resized = self.is_resized or former.is_resized
        try:
            self._occupy(former.config, self._slots())
        except OperatorError as error:
            self.tell_error(f"{self.last_error.line}; the former places are not to be had any more: {error}")
        self._adopt(former.config, former.loaded, former.log)
        self._settled = False

    @property
    def is_settled(self) -> bool:
        """Nothing that was begun is still going on."""
        return self._settled

    def upgrade(self, by: str) -> int:
        """Starts the program anew beside this master, to take its place; returns its process id.

        Raises OperatorError.
        """
        return self.succession.begin(by)

    def resize(self, by: str, count: int) -> None:
        """So many workers from now on, whatever the configuration says. Raises OperatorError."""
        if count < 1:
            raise OperatorError(f"{by}: one worker is the least", right="SIGWINCH stops them all")
        require_room(self.scoreboard, len(self.pool.slots), count, by)
        self.is_resized = True
        self._resize(count)
        self.log.info(f"{by}: {plural(count, 'worker')} from now on")

    def _resize(self, count: int, *, on_trial: bool = False) -> None:
        """The highest slots go first; who leaves one serves on while new connections are led past it."""
        delays = {
            slot: self.listeners.retire_slot(slot) for slot in sorted(self._slots(), reverse=True) if slot > count
        }
        until = {slot: self.clock() + delay for slot, delay in delays.items() if delay}
        self.pool.on_resize(count, until, on_trial=on_trial)
        self.listeners.keep_slots(self._slots())
        self._settled = False

    def _slots_of(self, config: Config) -> list[int]:
        """The slots there will be with this configuration."""
        count = len(self.pool.slots)
        if config.server.workers != self.config.server.workers or not self.is_resized:
            count = worker_count(config, None)
        return list(range(1, count + 1))

    def kill(self, by: str, worker: Worker) -> None:
        """Has one worker replaced: a new one first, then it drains."""
        self.log.info(f"{by}: {self.crew.name(worker)} is to go")
        self.crew.retire(worker, Cause.ORDER)

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
        self.crew.signal_all(signal.SIGUSR1)

    def write_stacks(self, by: str, worker: Worker | None = None) -> None:
        """Has every worker, or the one, write what its threads and tasks are doing."""
        whose = plural(len(self.pool.workers), "worker") if worker is None else self.crew.name(worker)
        self.log.info(f"{by}: the stacks of {whose} follow")
        self.crew.write_stacks(worker)

    def pause(self, *, paused: bool) -> None:
        """Has the workers accept no connections, or accept them again. Those that wait stay in the listen queue."""
        self.paused = paused
        self.crew.pause(paused=paused)
        self.log.info("accepting is paused" if paused else "accepting again")

    # Reports and deaths.

    def _on_report(self, pid: int, line: str) -> None:
        if self._watcher is not None and pid == self._watcher.pid:
            self._on_watcher_report(line)
            return
        worker = self.pool.find(pid)
        self.nursery.on_report(pid, line) if worker is None else self.crew.on_report(worker, line)

    def _on_ready(self, boot: Boot, worker: Worker, interface: str) -> None:
        self.interface = interface
        if self.paused:
            self.crew.pause_one(worker)
        if boot is Boot.FIRST:
            self._teller.ready()
            self.log.info(self._trade.announce(self.config, interface, self.listeners, len(self.pool.slots)))
        else:
            # Those of the start are many and stand in the line above; later ones are news.
            level = "debug" if boot is Boot.ANOTHER and not self._has_settled else "info"
            self.log.write(level, f"{self._trade.called(worker.slot)} is ready (pid {worker.pid})")

    def _reap(self) -> None:
        """Buries every child that died; as process 1 of a container also those that are none of ours."""
        for pid, status in reap():
            self._reports.hear_out(pid)
            # Asked at each death, so that it tells about this one.
            self._bury(pid, Exit(status, self._out_of_memory.has_risen()))

    def _bury(self, pid: int, end: Exit) -> None:
        worker = self.pool.find(pid)
        if worker is not None:
            self.crew.on_death(worker, end)
            if worker.slot not in self._slots():
                self.listeners.close_slot(worker.slot)
        elif self._watcher is not None and pid == self._watcher.pid:
            self._watcher = None
            # A terminal's Ctrl-C ends it with everything else.
            if self.pool.ending is None:
                self.log.error(f"the watcher died: {end.describe()}; changes are no longer noticed")
        elif self.succession.has(pid):
            self.succession.on_died(end)
        elif self.nursery.has(pid):
            self.nursery.on_died(pid, end, self.clock())
        else:
            self.desk.on_died(pid, end)

    # The fork server.

    def _renew(self) -> None:
        """A new generation begins: when its fork server is ready, or at once without one."""
        self.pool.on_recall()
        if self.config.lifecycle.preload:
            self._begin_fork_server()
        else:
            self.pool.barren = False
            self.pool.on_change()

    def _begin_fork_server(self) -> None:
        self.pool.barren = not self.nursery.is_ready
        try:
            self.nursery.begin(self.config, self.log, self.clock())
        except OSError as error:
            self._on_fork_server_failed(f"no fork server can be started ({error.strerror})")

    def _on_fork_server_ready(self) -> None:
        self.log.debug("the fork server is ready")
        was_barren, self.pool.barren = self.pool.barren, False
        if not was_barren or self.pool.workers or self.pool.recalled:
            self.pool.on_change()

    def _on_fork_server_failed(self, why: str) -> None:
        self.pool.barren = self.config.lifecycle.preload and not self.nursery.is_ready
        if self.pool.ending is not None:
            return
        if not self.pool.booted:
            self.pool.ending = Ending(code=2, error=why, operator=True)
            return
        self.tell_error(f"{why}; the workers serve on")
        if self._former is not None and not self.nursery.is_preparing:
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
            self._renew()
