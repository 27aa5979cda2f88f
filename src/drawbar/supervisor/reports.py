"""What children tell the master: one line at a time, over a pipe that each of them has for itself."""

import os
from collections.abc import Callable
from typing import Final

from drawbar.supervisor.child import Spawned
from drawbar.supervisor.poller import Poller

READ_BYTES: Final = 65536
"""A pipe's capacity (pipe(7)): one read empties it."""


class Reports:
    """The master's ends of the pipes. `on_report` is called with the child's process id and its line."""

    def __init__(self, poller: Poller, on_report: Callable[[int, str], None]) -> None:
        self._poller = poller
        self._on_report = on_report
        self._pids: dict[int, int] = {}
        """Descriptor -> pid."""
        self._unread: dict[int, bytes] = {}
        """Descriptor -> start of a line whose end has not come."""

    def listen(self, child: Spawned) -> None:
        """Takes in what this child reports from now on."""
        self._pids[child.reports] = child.pid
        self._unread[child.reports] = b""
        self._poller.register(child.reports, lambda: self._read(child.reports))

    def descriptors(self) -> list[int]:
        """All pipes."""
        return list(self._pids)

    def hear_out(self, pid: int) -> None:
        """The child is dead: takes in what it still said. Its last report explains its death."""
        for descriptor in [descriptor for descriptor, owner in self._pids.items() if owner == pid]:
            self._read(descriptor)
            if descriptor in self._pids:
                self._hang_up(descriptor)

    def close(self) -> None:
        """Hears nobody any more."""
        for descriptor in self.descriptors():
            self._hang_up(descriptor)

    def _read(self, descriptor: int) -> None:
        try:
            data = os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            return
        pid = self._pids[descriptor]
        *lines, self._unread[descriptor] = (self._unread[descriptor] + data)[-READ_BYTES:].split(b"\n")
        if not data:
            self._hang_up(descriptor)
        for line in lines:
            self._on_report(pid, line.decode(errors="replace"))

    def _hang_up(self, descriptor: int) -> None:
        self._poller.unregister(descriptor)
        del self._pids[descriptor], self._unread[descriptor]
        os.close(descriptor)
