"""Processes: the master, its workers' lives, listeners, signals, reload.

Lives here: everything about which process exists and why. Must not know HTTP. The master decides by pure functions
over plain data (`pool`), forks children (`child`), and runs no application code; what a worker does stands in `worker`.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from drawbar.config import Config


def run(config: "Config") -> int:
    """Serves until told to stop; returns the exit code.

    Raises OperatorError when a bind cannot be had, the log not be opened or the application not be started.
    """
    from drawbar.supervisor.master import Master

    return Master(config, run_worker=_run_worker).run()


def _run_worker(
    config: "Config", listeners: "Sequence[socket.socket]", slot: int, report: "Callable[[str], None]"
) -> int:
    """Imports what a worker needs in the worker: the master stays small."""
    from drawbar.supervisor.worker import run_worker

    return run_worker(config, listeners, slot, report)
