"""The master: turns events into the pool's decisions, and decisions into forks and signals.

It runs no application code, speaks no HTTP and imports little, for what it imports every worker holds too. It sleeps
in poll(2) until something happens: a signal, a worker's report, a changed file, or the time the pool asked for. It
never looks around periodically; idle it uses no processor time.
"""

import gc
import math
import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from typing import Final

from drawbar.config import Config, OperatorError
from drawbar.supervisor.announce import closing_line, serving_line, stopping_line
from drawbar.supervisor.child import FAILED, READY, Role, Spawned, spawn
from drawbar.supervisor.exits import describe_exit, signal_name
from drawbar.supervisor.listeners import Listeners
from drawbar.supervisor.logs import Log
from drawbar.supervisor.pool import (
    Action,
    Boot,
    Death,
    End,
    Fork,
    Phase,
    Pool,
    Slot,
    Stop,
    Timing,
    Worker,
    decide,
    next_wake,
)
from drawbar.supervisor.process import give_back_memory
from drawbar.supervisor.signals import REQUESTS, Request, SignalQueue
from drawbar.supervisor.title import set_title

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

    RunWorker = Callable[[Config, Sequence[socket.socket], int, Callable[[str], None]], int]
    """What runs in a worker: configuration, listeners, slot, where to report "ready"; returns the exit code."""

READ_BYTES: Final = 65536
"""A pipe's capacity (pipe(7)): one read empties it."""


class Master:
    """Serves `config` with worker processes until told to stop. One in a process, used in the main thread."""

    def __init__(
        self,
        config: Config,
        *,
        run_worker: "RunWorker",
        timing: Timing | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`clock` gives seconds for decisions; `timing` is by default what the configuration and Timing say."""
        self._config = config
        self._run_worker = run_worker
        self._clock = clock
        count = config.server.worker_count(len(os.sched_getaffinity(0)))
        self._pool = Pool(
            slots=[Slot(number) for number in range(1, count + 1)],
            timing=timing or Timing(graceful_s=config.timeouts.graceful),
            patient=config.server.reload,
        )
        self._log = Log.from_config(config.log)
        self._poll = select.poll()
        self._pipes: dict[int, int] = {}
        """Descriptor reports come from -> pid."""
        self._unread: dict[int, bytes] = {}
        """Descriptor -> start of a line whose end has not come."""
        self._watcher: Spawned | None = None
        self._stopped_by = ""

    def run(self) -> int:
        """Serves; returns the exit code.

        Raises OperatorError when a bind cannot be had or the application not be started.
        """
        self._listeners = Listeners(self._config)
        self._signals = SignalQueue()
        self._poll.register(self._signals.read_fd, select.POLLIN)
        set_title("drawbar: master", "drawbar-master")
        self._started = self._clock()
        # What the master holds by now stays for good: no collection shall touch its pages, shared with the workers.
        gc.collect()
        gc.freeze()
        give_back_memory()
        try:
            if self._config.server.reload:
                self._start_watcher()
            return self._serve()
        finally:
            self._stop_watcher()
            self._listeners.close()
            self._signals.close()

    def _serve(self) -> int:
        while True:
            for action in decide(self._pool, self._clock()):
                if isinstance(action, End):
                    return self._finish(action.code)
                self._carry_out(action)
            self._wait()

    def _finish(self, code: int) -> int:
        """The last words: the closing line, or why there was no serving."""
        ending = self._pool.ending
        if ending is None or ending.error is None:
            self._log.info(closing_line(self._stopped_by, self._clock() - self._started))
        elif ending.operator:
            # The command line prints it on standard error; a log elsewhere shall tell it too.
            if self._log.is_file():
                self._log.error(ending.error)
            raise OperatorError(ending.error)
        else:
            self._log.critical(ending.error)
        return code

    # Decisions carried out.

    def _carry_out(self, action: Action) -> None:
        if isinstance(action, Fork):
            self._fork(action)
            return
        assert not isinstance(action, End)
        worker = self._pool.find(action.pid)
        assert worker is not None, "the pool decides about workers it has"
        if isinstance(action, Stop):
            self._pool.on_asked_to_stop(worker, self._clock())
            os.kill(worker.pid, signal.SIGTERM)
        else:
            self._pool.on_killed(worker)
            waited = f"within {worker.deadline - worker.asked_at:g} s"
            self._log.warning(f"worker {worker.slot} (pid {worker.pid}) did not stop {waited}: killed")
            os.kill(worker.pid, signal.SIGKILL)

    def _fork(self, action: Fork) -> None:
        def work(report: Callable[[str], None]) -> int:
            return self._run_worker(self._config, self._listeners.sockets, action.slot, report)

        role = Role(f"drawbar: worker {action.slot}", "drawbar-worker", work, self._config.timeouts.graceful)
        try:
            child = spawn(role, self._log, self._private())
        except OSError as error:
            self._pool.on_fork_failed(action, self._clock())
            self._log.error(f"cannot start worker {action.slot}: {error.strerror}")
            return
        self._pool.on_forked(action, child.pid)
        self._listen_to(child)
        self._log.debug(f"worker {action.slot} started (pid {child.pid})")

    def _private(self) -> list[int]:
        """Descriptors no child shall hold: a pipe's end in a second process hides its closing from the first."""
        return [*self._pipes, *self._signals.descriptors()]

    def _start_watcher(self) -> None:
        from drawbar.supervisor.reload import watch, watched_directories

        directories = watched_directories(self._config)
        role = Role("drawbar: reloader", "drawbar-reload", lambda report: watch(directories, report))
        self._watcher = spawn(role, self._log, [*self._private(), *(sock.fileno() for sock in self._listeners.sockets)])
        self._listen_to(self._watcher)

    def _stop_watcher(self) -> None:
        if self._watcher is not None:
            # It holds nothing that would need a goodbye.
            os.kill(self._watcher.pid, signal.SIGKILL)
            os.waitpid(self._watcher.pid, 0)

    # Events taken in.

    def _wait(self) -> None:
        wake = next_wake(self._pool)
        timeout_ms = None if wake is None else math.ceil(max(0.0, wake - self._clock()) * 1000)
        ready = {descriptor for descriptor, _ in self._poll.poll(timeout_ms)}
        for descriptor in ready - {self._signals.read_fd}:
            self._read_reports(descriptor)
        if self._signals.read_fd in ready:
            for number in self._signals.drain():
                self._on_signal(number)

    def _on_signal(self, number: signal.Signals) -> None:
        if REQUESTS[number] is Request.REAP:
            self._reap()
            return
        self._pool.on_stop(self._clock())
        if self._pool.stops == 1:
            self._stopped_by = signal_name(number)
            self._log.info(stopping_line(self._stopped_by, self._config.timeouts.graceful))
        else:
            haste = "in haste" if self._pool.stops == 2 else "at once"
            self._log.info(f"{signal_name(number)} again: stopping {haste}")

    def _listen_to(self, child: Spawned) -> None:
        self._pipes[child.reports] = child.pid
        self._unread[child.reports] = b""
        self._poll.register(child.reports, select.POLLIN)

    def _hang_up(self, descriptor: int) -> None:
        self._poll.unregister(descriptor)
        del self._pipes[descriptor], self._unread[descriptor]
        os.close(descriptor)

    def _read_reports(self, descriptor: int) -> None:
        """Takes in the lines a child has written; the rest of an unfinished one waits for its end."""
        try:
            data = os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            return
        pid = self._pipes[descriptor]
        *lines, self._unread[descriptor] = (self._unread[descriptor] + data)[-READ_BYTES:].split(b"\n")
        if not data:
            self._hang_up(descriptor)
        for line in lines:
            self._on_report(pid, line.decode(errors="replace"))

    def _on_report(self, pid: int, line: str) -> None:
        if self._watcher is not None and pid == self._watcher.pid:
            self._on_watcher_report(line)
            return
        worker = self._pool.find(pid)
        assert worker is not None, "a worker's pipe is closed when it is buried"
        if line.startswith(FAILED):
            worker.failure = line.removeprefix(FAILED)
        elif line.startswith(READY):
            self._on_ready(worker, line.removeprefix(READY).strip())

    def _on_ready(self, worker: Worker, interface: str) -> None:
        boot = self._pool.on_ready(worker, self._clock())
        if boot is Boot.FIRST:
            self._log.info(serving_line(self._config, interface, self._listeners.addresses(), len(self._pool.slots)))
        else:
            level = "info" if boot is Boot.AGAIN else "debug"
            self._log.write(level, f"worker {worker.slot} is ready (pid {worker.pid})")

    def _on_watcher_report(self, line: str) -> None:
        if line.startswith(FAILED):
            self._log.error(f"changes are no longer watched: {line.removeprefix(FAILED)}")
        elif line == READY:
            self._log.info("watching for changes")
        else:
            self._log.info(f"{os.path.relpath(line)} changed: reloading")
            self._pool.on_change()

    def _reap(self) -> None:
        """Buries every child that died; as process 1 of a container also those that are none of ours."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            # Its last report explains its death, so it is read first.
            for descriptor in [descriptor for descriptor, owner in self._pipes.items() if owner == pid]:
                self._read_reports(descriptor)
                if descriptor in self._pipes:
                    self._hang_up(descriptor)
            worker = self._pool.find(pid)
            if worker is not None:
                self._tell_death(worker, self._pool.on_died(worker, self._clock()), status)
            elif self._watcher is not None and pid == self._watcher.pid:
                self._watcher = None
                # A terminal's Ctrl-C ends it with everything else.
                if self._pool.ending is None:
                    self._log.error(f"the watcher was {describe_exit(status)}: changes are no longer noticed")

    def _tell_death(self, worker: Worker, death: Death, status: int) -> None:
        end = describe_exit(status, by_us=death.expected)
        if death.expected:
            self._log.debug(f"worker {worker.slot} (pid {worker.pid}) {end}")
            return
        ending = self._pool.ending
        if ending is not None and ending.operator:
            return  # The reason is the last line of all; it is not told twice.
        reason = worker.failure or end
        what = "could not start" if death.phase is Phase.STARTING else "died"
        self._log.error(f"worker {worker.slot} (pid {worker.pid}) {what}: {reason}{self._outlook(death)}")

    def _outlook(self, death: Death) -> str:
        if death.retry_s is not None:
            return f"; next attempt in {death.retry_s:.1f} s" if death.retry_s > 0 else "; replaced"
        if not self._pool.held:
            return ""
        serving = any(worker.is_serving() for worker in self._pool.workers)
        return f"; waiting for the next change{', the former worker serves on' if serving else ''}"
