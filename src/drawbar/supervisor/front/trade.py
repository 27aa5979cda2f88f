"""A front as its master knows it: what runs there, how it is called, and how its start is told.

Law: imports nothing of `drawbar.pull`. A front is one process, and what only it needs is loaded there.
"""

import os
from collections.abc import Callable
from typing import Final

import msgspec

from drawbar import __version__
from drawbar.config import Config, OperatorError
from drawbar.config.sources import Loaded, Origin
from drawbar.net.scoreboard import Cell
from drawbar.supervisor.listening.listeners import Listeners, Sockets
from drawbar.supervisor.trade import Trade

NAME: Final = "front"


def run_front(
    config: Config,
    listeners: Sockets,
    slot: int,
    report: Callable[[str], None],
    cell: Cell | None = None,
) -> int:
    """As `front.life` has it."""
    from drawbar.supervisor.front import life

    return life.run_front(config, listeners, slot, report, cell)


def announce(config: Config, interface: str, listeners: Listeners, workers: int) -> str:
    """The line of the start."""
    apps = ", ".join(plan.name for plan in config.app_plans())
    site, api = (", ".join(listeners.addresses(api=api)) for api in (False, True))
    pull = f"; workers pull from {api}" if api else ""
    return f"drawbar {__version__} front on {site} for {apps}{pull} (pid {os.getpid()})"


FRONT: Final = Trade(run_front, NAME, announce, takes_orders=True, kind=NAME, is_one=True)


def require_one(loaded: Loaded) -> Loaded:
    """The configuration of a front: one process, however many workers the file has for others.

    Raises OperatorError when the command line asks for more.
    """
    for item in loaded.effective:
        if item.setting.key == "server.workers" and item.origin is Origin.OPTION and str(item.value) != "1":
            right = f"write drawbar run TARGET --split --workers {item.value}, or workers = {item.value} in [apps.NAME]"
            raise OperatorError("a front is one process, as one queue is in one place", where="--workers", right=right)
    return loaded


def as_front(config: Config, *, is_alone: bool) -> Config:
    """What a front takes of a configuration: it is one process, and has nothing to load.

    is_alone: it has no workers here, which the limits of a process would be for.
    """
    replace = msgspec.structs.replace
    config = replace(
        config,
        server=replace(config.server, workers=1, reload=False),
        lifecycle=replace(config.lifecycle, preload=False, refork=0, max_requests=0),
    )
    if is_alone:
        return config
    return replace(
        config,
        lifecycle=replace(config.lifecycle, max_memory=0, max_age=0.0),
        process=replace(config.process, memory=None, open_files=None, processes=None, nice=None),
    )
