"""The master's side of control: watches the doors, forks the control process for who knocks, passes on its commands.

The desk speaks no HTTP and never waits. It holds the listening sockets of `[control]`; while nobody is connected, all
it costs is their descriptors in the master's poll. The first connection has it fork the control process, which takes
the sockets over until it ends; the desk then keeps only the channel to it.

Invariants:
- At most one control process is attached. While it lives the doors are not polled, or every connection would wake the
  master.
- A control process that could not start takes the connections that wanted it along: they would start it again at once,
  and again.
- A command of a control process that is gone is answered into the void.
"""

import contextlib
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, NamedTuple, Protocol

from drawbar.config import Config
from drawbar.supervisor.child import FAILED, READY, Report, Role, Spawned, spawn
from drawbar.supervisor.control import messages
from drawbar.supervisor.control.doors import Doors
from drawbar.supervisor.control.messages import Answer, Hangup, Kind
from drawbar.supervisor.exits import Exit
from drawbar.supervisor.logs import Log

GRACE_S: Final = 2.0
"""What a control process has left for answers in progress once it shall end."""
COMMANDS: Final = 64
"""Commands taken in at a time; more stay in the channel, and the control process hears that the master is busy."""
READ_BYTES: Final = 4096


class Command(NamedTuple):
    """Something an operator wants of the master. `pid` is the control process that asks."""

    id: int
    verb: str
    """status, config, stacks, reload, restart, upgrade, stop, workers, reopen-logs, kill, pause, resume, split, deploy
    or rollback."""
    arguments: Mapping[str, Any]
    pid: int


class Polls(Protocol):
    """The master's poll: calls back while a descriptor can be read."""

    def register(self, descriptor: int, callback: Callable[[], None]) -> None: ...

    def unregister(self, descriptor: int) -> None: ...


class Desk:
    """The master's control desk. One in a process; used by the thread that runs the master's loop.

    What is to be waited for is registered with `poller`, and changes as the control process comes and goes.
    `scoreboard` is passed on to the control process, which is the only one to look into it. `private` gives the
    descriptors of the master that a control process must not hold: pipes, signals, the application's listeners.
    `log` is what the next control process gets: a reload replaces it.
    `inherited` are doors a former master handed over (`handover()`), by name; they rest until `take_over()`.

    Raises OperatorError when a configured address cannot be had.
    """

    def __init__(
        self,
        config: Config,
        log: Log,
        scoreboard: Any,
        poller: Polls,
        *,
        private: Callable[[], Iterable[int]] = tuple,
        inherited: Mapping[str, int] | None = None,
    ) -> None:
        self.log = log
        self._scoreboard = scoreboard
        self._poller = poller
        self._private = private
        self._doors = Doors(config, log, inherited or {})
        self._process: Spawned | None = None
        self._channel: socket.socket | None = None
        self._reports = -1
        self._was_ready = False
        self._children: set[int] = set()
        """Every control process that is not reaped yet."""
        self._explained = -1
        """Process id of the last one that said itself why it ended."""
        self._commands: list[Command] = []
        self._watched: set[int] = set()
        self._rewatch()

    @property
    def path(self) -> str | None:
        """Where the control socket is; None when there is none."""
        return self._doors.path

    def addresses(self) -> list[str]:
        """Where metrics are answered besides: `http://127.0.0.1:9100`."""
        return self._doors.metrics_addresses()

    # For the master's loop.

    def private(self) -> list[int]:
        """Descriptors that workers and other children of the master must not hold."""
        channel = [] if self._channel is None else [self._channel.fileno()]
        reports = [] if self._reports < 0 else [self._reports]
        return [*self._doors.descriptors(), *channel, *reports]

    def commands(self) -> list[Command]:
        """The commands that came since the last call. Each is to be answered, now or later, by one of the next two."""
        arrived, self._commands = self._commands, []
        return arrived

    def answer(self, command: Command, result: Mapping[str, Any] | None = None) -> None:
        """The command is done; `result` is for the asker to read."""
        self._send(command, Answer(command.id, ok=dict(result or {})))

    def refuse(self, command: Command, why: str, kind: Kind = "failed") -> None:
        """The command is not done: `why` in one line."""
        self._send(command, Answer(command.id, error=why, kind=kind))

    def on_died(self, pid: int, end: Exit) -> bool:
        """A child was reaped; False when it is none of the desk's."""
        if pid not in self._children:
            return False
        self._children.remove(pid)
        if self._process is not None and self._process.pid == pid:
            self._part()
        if end.status != 0 and pid != self._explained:
            self.log.warning(f"the control process (pid {pid}) {end.describe()}")
        return True

    def close(self) -> None:
        """Ends the control process once it has given its last answers, and removes the socket. GRACE_S at most."""
        if self._process is not None:
            # Closing our end is the sign to end, and leaves what was answered for it to read.
            self._part()
        self._unwatch()
        deadline = time.monotonic() + GRACE_S
        for pid in self._children:
            _bury(pid, deadline)
        self._children.clear()
        self._doors.close()

    # For upgrades.

    def handover(self) -> dict[str, int]:
        """The doors a new master is to inherit, descriptors by name. One named after a process id is not among them."""
        return self._doors.to_hand_over()

    def take_over(self) -> None:
        """The former master has left: inherited doors are ours to answer."""
        self._doors.wake()
        self._rewatch()

    def let_go(self) -> None:
        """The new master has taken over: what was handed to it is its own from now on."""
        if self._process is not None:
            # It answers at doors that are no longer ours.
            self._part()
        self._unwatch()
        self._doors.let_go()
        self._rewatch()

    # Events.

    def _on_knock(self) -> None:
        if self._channel is not None:
            return
        try:
            ours, theirs = messages.channel()
        except OSError as error:
            self._turn_away(f"cannot talk to a control process: {error.strerror}")
            return

        def work(report: Report) -> int:
            # What only the control process needs is imported there.
            from drawbar.supervisor.control.process import serve

            return serve(self._doors, theirs, self._scoreboard, self.log, report)

        role = Role("drawbar: control", "drawbar-control", work, GRACE_S)
        try:
            child = spawn(role, self.log, {*self._private(), ours.fileno()})
        except OSError as error:
            ours.close()
            self._turn_away(f"cannot start a control process: {error.strerror}")
            return
        finally:
            theirs.close()
        self._process, self._channel, self._reports, self._was_ready = child, ours, child.reports, False
        self._children.add(child.pid)
        self._rewatch()
        self.log.debug(f"control process started (pid {child.pid})")

    def _on_message(self) -> None:
        assert self._channel is not None
        assert self._process is not None
        channel, pid = self._channel, self._process.pid
        try:
            for _ in range(COMMANDS):
                ask = messages.receive_ask(channel)
                if ask is None:
                    return
                command = Command(ask.id, ask.verb, ask.arguments, pid)
                if ask.verb == "ping":
                    # Answered here: that this line runs is all it asks.
                    self.answer(command)
                else:
                    self._commands.append(command)
        except Hangup:
            self._part()

    def _on_report(self) -> None:
        data = b""
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._reports, READ_BYTES)
        for line in data.decode(errors="replace").splitlines():
            if line.startswith(FAILED):
                assert self._process is not None
                self._explained = self._process.pid
                why = line.removeprefix(FAILED)
                # It imports what the master has not: of a release put in the place of the one that runs, perhaps.
                hint = f"; if Drawbar was replaced, kill -USR2 {os.getpid()} upgrades this server"
                right = hint if why.startswith(("ImportError", "ModuleNotFoundError")) else ""
                self.log.error(f"the control process could not start: {why}{right}")
            elif line.startswith(READY):
                self._was_ready = True

    def _part(self) -> None:
        """The attached process is on its way out: the doors are the desk's again."""
        if self._channel is None:
            return
        self._on_report()
        self._unwatch()
        self._channel.close()
        os.close(self._reports)
        self._process, self._channel, self._reports = None, None, -1
        if not self._was_ready:
            self._turn_away("")
        self._rewatch()

    def _rewatch(self) -> None:
        """Has the poller look at what matters now: the doors while nobody is attached, else the channel alone."""
        self._unwatch()
        if self._channel is None:
            wanted: dict[int, Callable[[], None]] = {door.fileno(): self._on_knock for door in self._doors.awake()}
        else:
            wanted = {self._channel.fileno(): self._on_message}
        for descriptor, callback in wanted.items():
            self._poller.register(descriptor, callback)
        self._watched = set(wanted)

    def _unwatch(self) -> None:
        """Before anything is closed: the number may be another descriptor's a moment later."""
        for descriptor in self._watched:
            self._poller.unregister(descriptor)
        self._watched = set()

    def _turn_away(self, why: str) -> None:
        if why:
            self.log.error(why)
        self._doors.turn_away()

    def _send(self, command: Command, answer: Answer) -> None:
        if self._channel is None or self._process is None or command.pid != self._process.pid:
            return
        try:
            messages.send(self._channel, answer)
        except ValueError as error:
            messages.send(self._channel, Answer(command.id, error=str(error)))
        except Hangup:
            self._part()


def _bury(pid: int, deadline: float) -> None:
    """Waits for a child until `deadline`, then kills it."""
    with contextlib.suppress(ProcessLookupError, ChildProcessError):
        descriptor = os.pidfd_open(pid)
        try:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                os.kill(pid, signal.SIGKILL)
        finally:
            os.close(descriptor)
        os.waitpid(pid, 0)
