"""Processes: the master, its workers' lives, listeners, signals, reload.

Lives here: everything about which process exists and why. Must not know HTTP. The master decides by pure functions
over plain data (`pool`), forks children (`child`), and runs no application code; what a worker does stands in `worker`.

Rooms: `worker`, what serves; `preload`, where workers are forked from a loaded application; `control`, who asks and is
told; and below them `listening`, the sockets, and `host`, the machine around. What lies here is the master's.
"""

import os
from collections.abc import Callable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from drawbar.config.sources import Loaded
    from drawbar.supervisor.trade import RunWorker, Trade
    from drawbar.supervisor.upgrade import Inheritance


def run(read: "Callable[[], Loaded]") -> int:
    """Serves until told to stop; returns the exit code. `read` gives the configuration as it is written by then.

    Raises OperatorError when the configuration is wrong, a bind cannot be had, a log or the spill directory not be
    written, or the application not be started. A master that this one was to follow hears why, too.
    """
    from drawbar.config import OperatorError
    from drawbar.supervisor.upgrade import Inheritance

    inherited = Inheritance.take(os.environ)
    try:
        return _supervise(read, inherited)
    except OperatorError as error:
        if inherited is not None:
            inherited.tell_failed(str(error))
        raise


def _trades(loaded: "Loaded") -> "tuple[Trade, RunWorker | None]":
    """What runs in the processes that listen, and in those behind a front; imports what several of them need.

    Before the fork: workers then share these pages with the master, and importing touches none of theirs. The master
    runs none of it.
    """
    from drawbar.supervisor.trade import Trade

    if not loaded.config.server.split:
        from drawbar.supervisor.worker.life import run_worker

        return Trade(run_worker), None
    from drawbar.supervisor.front.trade import FRONT, require_one
    from drawbar.supervisor.split import has_workers, run_behind, share

    if has_workers(loaded.config):
        share()
    else:
        require_one(loaded)
    return FRONT, run_behind


def _supervise(read: "Callable[[], Loaded]", inherited: "Inheritance | None") -> int:
    from drawbar.config import OperatorError
    from drawbar.supervisor.host.daemon import Teller, daemonize
    from drawbar.supervisor.host.places import settle_places
    from drawbar.supervisor.master import Master
    from drawbar.supervisor.reloading import require_file

    loaded = read()
    process = loaded.config.process
    if process.umask is not None:
        # Before any file or socket is made.
        os.umask(process.umask)
    if inherited is not None:
        require_file(inherited.file, loaded.file)
    config = settle_places(loaded.config)
    if process.inetd:
        from drawbar.supervisor.inetd import serve_connection

        return serve_connection(config)
    trade, behind = _trades(loaded)
    # The next master of a daemon is one already.
    teller = daemonize(config.log.error) if process.daemonize and inherited is None else Teller()
    try:
        return Master(
            config,
            trade=trade,
            behind=behind,
            loaded=loaded,
            reread=read,
            inherited=inherited,
            teller=teller,
        ).run()
    except OperatorError as error:
        teller.failed(error)
        raise
    finally:
        teller.close()
