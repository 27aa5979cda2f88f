"""What the processes of a master are for: workers call an application, a front has a queue for those who do."""

from collections.abc import Callable
from typing import NamedTuple, Protocol

from drawbar.config import Config
from drawbar.net.scoreboard import Cell
from drawbar.supervisor.announce import serving_line
from drawbar.supervisor.listening.listeners import Listeners, Sockets


class RunWorker(Protocol):
    """What runs in a process until it is told to stop; returns the exit code."""

    def __call__(
        self,
        config: Config,
        listeners: Sockets,
        slot: int,
        report: Callable[[str], None],
        cell: Cell | None = None,
    ) -> int: ...


def announce_workers(config: Config, interface: str, listeners: Listeners, workers: int) -> str:
    """The line of the start of a server with an application."""
    return serving_line(config, interface, listeners.addresses(), workers)


class Trade(NamedTuple):
    """What runs in a master's processes, what `ps` calls each, and how the log tells that they serve."""

    run: RunWorker
    name: str = "worker"
    announce: Callable[[Config, str, Listeners, int], str] = announce_workers
    takes_orders: bool = False
    """Its processes hear from the master what is wanted of the apps' requests."""
    foreign: bool = False
    """They become a program that is not ours: it says nothing of itself, and knows no signal but to stop."""
    kind: str = "worker"
    is_one: bool = False
    """There is one of them, and its slot is no news."""

    def title(self, slot: int) -> str:
        """The command line of the process in that slot."""
        return f"drawbar: {self.called(slot)}"

    def called(self, slot: int) -> str:
        """The process in that slot, as the log calls it."""
        return self.name if self.is_one else f"{self.name} {slot}"

    @property
    def comm(self) -> str:
        """The name of the process."""
        return f"drawbar-{self.kind}"
