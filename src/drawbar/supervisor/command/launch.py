"""From a forked child to the program that `command` names: its arguments, its environment, its place.

The program is told all it needs in two ways, of which it may use either: variables, which the workers of ours in other
languages take as they are, and marks in its arguments. Of the master's own DRAWBAR_* variables it inherits none: they
are about another process.
"""

import os
import signal
from collections.abc import Callable, Mapping
from typing import Final

from drawbar.config import Config, OperatorError
from drawbar.net.scoreboard import Cell
from drawbar.supervisor.host.places import go_home_if_lost
from drawbar.supervisor.listening.listeners import Sockets
from drawbar.supervisor.process import stop_with_parent
from drawbar.supervisor.trade import Trade

PREFIX: Final = "DRAWBAR_"

USUAL_SLOTS: Final = 4
"""Where nobody says how many requests it takes at once."""

STDIN: Final = 0


def run_command(
    config: Config,
    listeners: Sockets,
    slot: int,
    report: Callable[[str], None],
    cell: Cell | None = None,
) -> int:
    """Becomes the command of the application; never returns. Raises OperatorError when that cannot be started."""
    command = config.apps[config.work.app].command
    assert command is not None, "only an application with a command gets here"
    if cell is not None:
        cell.enter()
    told = told_to(config)
    arguments = filled_in(command, told)
    _take_place(config)
    environ = environment(os.environ, told, {variable.name: variable.value for variable in config.app.env})
    try:
        os.execvpe(arguments[0], arguments, environ)
    except OSError as error:
        raise OperatorError(
            f"cannot start {arguments[0]} ({error.strerror})",
            where=f"apps.{config.work.app}.command",
            right="name a program that is installed, and that its user may run",
        ) from error


def told_to(config: Config) -> dict[str, str]:
    """What the program is told: the front, and what it is there."""
    work = config.work
    return {
        "from": str(work.front[0]),
        "app": work.app,
        "label": work.label or "",
        "slots": str(work.slots or USUAL_SLOTS),
    }


def filled_in(command: tuple[str, ...], told: Mapping[str, str]) -> list[str]:
    """The arguments with what stands for `{from}` and the like; other braces are the program's own."""
    words = list(command)
    for name, value in told.items():
        words = [word.replace(f"{{{name}}}", value) for word in words]
    return words


def environment(inherited: Mapping[str, str], told: Mapping[str, str], own: Mapping[str, str]) -> dict[str, str]:
    """The variables of the program: the master's without those about itself, what it is told, and its own."""
    found = {name: value for name, value in inherited.items() if not name.startswith(PREFIX)}
    return {**found, **{PREFIX + name.upper(): value for name, value in told.items()}, **own}


def _take_place(config: Config) -> None:
    """A session of its own in its directory, with no input and the signals as a program expects them."""
    go_home_if_lost()
    if config.app.chdir is not None:
        try:
            os.chdir(config.app.chdir)
        except OSError as error:
            where = f"apps.{config.work.app}.chdir"
            raise OperatorError(f"cannot change to {config.app.chdir!r}: {error.strerror}", where=where) from error
    # What it starts stays in it, and can be told from all others and ended with it (setsid(2)).
    os.setsid()
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, STDIN)
    os.close(nowhere)
    # The interpreter ignores these, and what is ignored stays so in a new program (execve(2)).
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    parent = os.getppid()
    stop_with_parent()
    if os.getppid() != parent:
        raise OperatorError("the master has ended")


COMMAND: Final = Trade(run_command, foreign=True)
