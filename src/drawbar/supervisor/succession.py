"""How one master follows another: what this one does about the next, and about the one before it.

Nothing is given up before the next one says that it serves. With `lifecycle.upgrade = "auto"` this master then leaves
by itself; with "manual" both serve until an operator stops one. How the program is started anew, and what passes
between the two, stands in `upgrade`.
"""

import contextlib
import os
import signal
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from drawbar.config import OperatorError
from drawbar.hooks import Upgrade
from drawbar.net.scoreboard import Scoreboard
from drawbar.supervisor.exits import Exit
from drawbar.supervisor.hooks import call_before_exec
from drawbar.supervisor.host.places import go_home
from drawbar.supervisor.poller import Poller
from drawbar.supervisor.upgrade import FAILED, MESSAGE_BYTES, Inheritance, Successor, stand_by, start_successor

if TYPE_CHECKING:
    from drawbar.supervisor.master import Master


CELLS_PER_WORKER: Final = 4
"""Of the scoreboard: those that serve, their replacements, and two generations that drain."""
SPARE_CELLS: Final = 64
"""Beyond these: room for workers that are added one by one."""


def take_scoreboard(inherited: Inheritance | None, workers: int, warn: Callable[[str], None]) -> Scoreboard:
    """The former master's figures, or new ones where there are none, or none that so many workers could count on."""
    if inherited is not None:
        try:
            scoreboard = Scoreboard.attach(inherited.scoreboard)
            if scoreboard.capacity >= CELLS_PER_WORKER * workers:
                return scoreboard
            scoreboard.close()
            warn(f"the figures begin anew: there was no room in them for {workers} workers")
        except ValueError as error:
            os.close(inherited.scoreboard)
            warn(f"the figures begin anew: {error}")
    return Scoreboard.create(CELLS_PER_WORKER * workers + SPARE_CELLS)


def require_room(scoreboard: Scoreboard, present: int, wanted: int, where: str) -> None:
    """Raises OperatorError when so many workers could not count on it, and there are not as many already."""
    if wanted > present and CELLS_PER_WORKER * wanted > scoreboard.capacity:
        what = f"{wanted} workers are more than this server was started for"
        raise OperatorError(what, where=where, right="an upgrade makes room for them")


class Succession:
    """The places before and behind this master. inherited: what the former one left, until that one has gone."""

    def __init__(self, master: "Master", poller: Poller, inherited: Inheritance | None) -> None:
        self._master = master
        self._poller = poller
        self._inherited = inherited
        self._successor: Successor | None = None
        self._failure = ""
        """Why the next master does not start, in its own words."""
        self._handed_over = False
        self._has_told = False
        """The former one knows that this one serves."""

    @property
    def is_under_way(self) -> bool:
        """A new master runs beside this one."""
        return self._successor is not None

    def descriptors(self) -> list[int]:
        """The pipes between masters, which no child shall hold."""
        return [other.ready for other in (self._successor, self._inherited) if other is not None]

    def stand_by(self, code: int) -> int:
        """At the end of this master: its exit code, later when it must stay as the next one's parent."""
        stays = self._handed_over and os.getpid() == 1
        return stand_by(self._successor.pid) if stays and self._successor else code

    # The next one.

    def begin(self, by: str) -> int:
        """Starts the program anew beside this master; returns its process id. Raises OperatorError."""
        master = self._master
        if self._successor is not None:
            raise OperatorError(f"{by}: an upgrade is under way already, by pid {self._successor.pid}")
        master.pid_file.rename_to_old()
        handed = [*master.listeners.handover().descriptors(), *master.desk.handover().values()]
        try:
            self._successor = start_successor(self._leave_behind, [master.scoreboard.fd, *handed], self._before_exec)
        except OSError as error:
            master.pid_file.restore()
            raise OperatorError(f"{by}: not upgraded: no process for a new master ({error.strerror})") from error
        self._failure = ""
        self._poller.register(self._successor.ready, self._on_successor_ready)
        master.log.info(f"{by}: upgrading, the new master is pid {self._successor.pid}")
        return self._successor.pid

    def on_stop(self) -> None:
        """This master is told to stop: so is the next one, unless it serves or an operator is to choose."""
        if self._successor and not self._handed_over and self._master.config.lifecycle.upgrade == "auto":
            os.kill(self._successor.pid, signal.SIGTERM)

    def has(self, pid: int) -> bool:
        """Whether that child is the next master."""
        return self._successor is not None and pid == self._successor.pid

    def on_died(self, end: Exit) -> None:
        """The next master has ended: this one serves on."""
        assert self._successor is not None
        master, (pid, ready) = self._master, self._successor
        # What it said last may have come together with the news of its death.
        self._read()
        self._poller.unregister(ready)
        os.close(ready)
        self._successor = None
        ended = end.describe()
        master.orders.on_not_upgraded(self._failure or f"it {ended}")
        if master.is_stopping:
            return
        try:
            master.pid_file.restore()
        except OperatorError as error:
            master.tell_error(str(error))
        why = f"; it said: {self._failure}" if self._failure else ""
        master.tell_error(f"the new master (pid {pid}) {ended}: not upgraded, this one serves on{why}")

    def _leave_behind(self, ready: int) -> Inheritance:
        master = self._master
        return Inheritance(
            master=os.getppid(),
            ready=ready,
            scoreboard=master.scoreboard.fd,
            listeners=master.listeners.handover().to_text(),
            doors=master.desk.handover(),
            workers=len(master.lead.pool.slots) if master.lead.is_resized else None,
            file=master.loaded.file if master.loaded is not None else None,
            traffic=master.fronts.all_traffic(),
            teams=master.behind.resized(),
            former=dict(master.deploys.former),
            versions=master.behind.versions,
        )

    def _before_exec(self) -> None:
        """In the process that becomes the new master: the application's last word."""
        go_home()
        here = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        call_before_exec(self._master.config, self._master.log, Upgrade(pid=os.getpid(), old_master=os.getppid()))
        # The hook is called in the application's directory; what the command line names is named from the server's.
        os.fchdir(here)

    def _on_successor_ready(self) -> None:
        """It serves; or has closed the pipe, which its death explains."""
        assert self._successor is not None
        master = self._master
        said = self._read()
        if not said:
            self._poller.unregister(self._successor.ready)
        if not said or self._failure:
            return
        pid = self._successor.pid
        master.orders.on_upgraded(pid)
        master.last_error.forget()
        if master.config.lifecycle.upgrade == "manual":
            master.log.info(f"the new master (pid {pid}) serves too: SIGQUIT to this one or to that one chooses")
            return
        self._handed_over = True
        master.desk.let_go()
        master.notifier.main_pid(pid)
        pool = master.lead.pool
        pool.timing = pool.timing._replace(drain_delay_s=0.0)
        master.stop(f"the new master (pid {pid})")

    def _read(self) -> bytes:
        """What it says now; nothing when it has ended, or says nothing."""
        assert self._successor is not None
        said = b""
        with contextlib.suppress(BlockingIOError):
            said = os.read(self._successor.ready, len(FAILED) + MESSAGE_BYTES)
        if said.startswith(FAILED):
            self._failure = said.removeprefix(FAILED).decode("utf-8", "replace")
        return said

    # The one before.

    def on_failed(self, why: str) -> None:
        """This master does not serve, and ends: the former one is told why."""
        if self._inherited is not None:
            self._inherited.tell_failed(why)

    def on_serving(self) -> None:
        """This master serves: the former one may leave."""
        if self._inherited is None or self._has_told:
            return
        self._has_told = True
        self._inherited.tell_ready()
        self._poller.register(self._inherited.ready, self._on_predecessor_gone)
        if self._master.config.lifecycle.upgrade == "auto":
            # The former one lets go of the doors when it hears this, and drains for as long as its clients take.
            self._master.desk.take_over()

    def _on_predecessor_gone(self) -> None:
        """Whatever it left is ours."""
        assert self._inherited is not None
        self._poller.unregister(self._inherited.ready)
        os.close(self._inherited.ready)
        self._inherited = None
        self._master.desk.take_over()
        self._master.log.info("the former master has left")
