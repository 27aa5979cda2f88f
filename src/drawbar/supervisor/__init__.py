"""Processes: the master, its workers' lives, listeners, signals, reload.

Lives here: everything about which process exists and why. Must not know HTTP. The master decides by pure functions
over plain data (`pool`), forks children (`child`), and runs no application code; what a worker does stands in `worker`.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from drawbar.config import Config


def run(config: "Config") -> int:
    """Serves until told to stop; returns the exit code.

    Raises OperatorError when a bind cannot be had, a log or the spill directory not be written, or the application not
    be started.
    """
    # Imported before the fork what every WSGI worker needs: the workers then share these pages with the master, and
    # importing touches none of theirs. The master runs none of it.
    from drawbar.supervisor.master import Master
    from drawbar.supervisor.places import settle_places
    from drawbar.supervisor.worker import run_worker

    return Master(settle_places(config), run_worker=run_worker).run()
