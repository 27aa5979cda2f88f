"""Where workers are forked with `preload`: the fork server in use, and the one that is to take its place.

The master never imports the application, so a process does that holds it for all workers. A new one is begun for each
reload, and takes over when it is ready; one that cannot load the application changes nothing. One that dies is begun
anew, later each time it does not come to be ready.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from drawbar.config import Config
from drawbar.net.scoreboard import Cell
from drawbar.supervisor.child import FAILED, READY, Spawned
from drawbar.supervisor.exits import Exit
from drawbar.supervisor.logs import Log
from drawbar.supervisor.pool import Timing, backoff
from drawbar.supervisor.preload.fork_server import ForkServer
from drawbar.supervisor.reports import Reports

if TYPE_CHECKING:
    import socket


class Nursery:
    """The fork servers of one master.

    name: what a worker is called. on_ready: called when a fork server takes over. on_failed: called with the reason
    when one does not come to be ready or has died. private: the master's descriptors, listeners among them.
    """

    def __init__(
        self,
        *,
        reports: Reports,
        private: Callable[[], Iterable[int]],
        cell_of: Callable[[int], Cell],
        on_ready: Callable[[], None],
        on_failed: Callable[[str], None],
        name: Callable[[], str] = lambda: "worker",
    ) -> None:
        self._reports = reports
        self._private = private
        self._cell_of = cell_of
        self._on_ready = on_ready
        self._on_failed = on_failed
        self._name = name
        self._server: ForkServer | None = None
        self._coming: ForkServer | None = None
        self._failure = ""
        self._failures = 0
        self.retry_at = math.inf
        """When the fork server that is missing is to be begun again."""

    @property
    def is_ready(self) -> bool:
        """There is a fork server that forks."""
        return self._server is not None

    @property
    def is_preparing(self) -> bool:
        """One is on its way to be ready."""
        return self._coming is not None

    def begin(self, config: Config, log: Log, now: float) -> None:
        """Starts a fork server for this configuration; one that was coming gives way. Raises OSError."""
        if self._coming is not None:
            self._coming.stop()
            self._coming = None
        self.retry_at = math.inf
        self._failure = ""
        try:
            self._coming = ForkServer.start(config, log, self._private(), self._cell_of, self._name())
        except OSError:
            self._wait(now)
            raise
        self._reports.listen(Spawned(self._coming.pid, self._coming.reports))

    def spawn(self, slot: int, cell: int, listeners: "Sequence[socket.socket]") -> Spawned:
        """Has a worker forked. Raises OSError."""
        if self._server is None:
            raise OSError(0, "there is no fork server")
        return self._server.spawn(slot, cell, listeners)

    def adopt(self, promoted: ForkServer) -> None:
        """A worker has become a fork server: workers come from it from now on."""
        if self._server is not None:
            self._server.stop()
        self._server = promoted

    def descriptors(self) -> list[int]:
        """The ways to the fork servers, which no child shall hold."""
        servers = (self._server, self._coming)
        # One that was stopped since it did not answer has none, until it is buried.
        return [server.fileno() for server in servers if server is not None and server.fileno() >= 0]

    def has(self, pid: int) -> bool:
        """The process is a fork server in use or to come."""
        return any(server is not None and server.pid == pid for server in (self._server, self._coming))

    def on_report(self, pid: int, line: str) -> None:
        """What a fork server says."""
        if self._coming is None or self._coming.pid != pid:
            return
        if line.startswith(FAILED):
            self._failure = line.removeprefix(FAILED)
        elif line.startswith(READY):
            former, self._server, self._coming = self._server, self._coming, None
            self._failures = 0
            if former is not None:
                former.stop()
            self._on_ready()

    def on_died(self, pid: int, end: Exit, now: float) -> None:
        """A fork server has ended."""
        why = self._failure or f"the fork server (pid {pid}) died: {end.describe()}"
        if self._coming is not None and self._coming.pid == pid:
            self._coming.close()
            self._coming = None
        elif self._server is not None and self._server.pid == pid:
            self._server.close()
            self._server = None
        self._wait(now)
        self._on_failed(why)

    def _wait(self, now: float) -> None:
        """One more has failed: when there is none left, the next attempt is later than the last time."""
        self._failures += 1
        if self._server is None and self._coming is None:
            self.retry_at = now + backoff(self._failures, Timing())

    def close(self) -> None:
        """Ends them; none is begun until somebody asks again."""
        self.retry_at = math.inf
        for server in (self._server, self._coming):
            if server is not None:
                server.stop()
        self._server = self._coming = None
