"""From a command line that was read to a server that runs.

Law: imports no parser of command lines. What one needs is a third of what a master takes (docs/decisions/0018); the
command line is read in a child, or by whoever calls, and comes here as a `Serving`.
"""

import os
from typing import Any, Final

import msgspec

from drawbar.cli.mistakes import Debug, complain, exit_code
from drawbar.config import OperatorError
from drawbar.config.sources import Loaded, load

PRESETS: Final[dict[str, dict[str, Any]]] = {
    "drawbar dev": {
        "server.workers": "1",
        "server.reload": True,
        "log.access": "-",
        "app.debug": True,
        # A page that listens to events in some browser tab must not hold up Ctrl-C or a reload.
        "timeouts.graceful": "3",
    }
}
"""What a command sets, weaker than options and stronger than environment and file."""


class Serving(msgspec.Struct, frozen=True):
    """What a command line says about the server: the command's name, raw values by the settings' keys, --config."""

    command: str
    options: dict[str, Any]
    file: str | None = None


def load_settings(said: Serving, debug: Debug) -> Loaded:
    """The configuration that this command line, the environment and the file make together. Raises OperatorError."""
    debug.learn(said.options, os.environ)
    presets = PRESETS.get(said.command)
    loaded = load(said.options, os.environ, file=said.file, presets=presets, command=said.command)
    debug.is_on = debug.is_on or loaded.config.log.level == "debug"
    for note in loaded.notes:
        complain(note, "warning")
    if not loaded.config.app.target:
        right = f"write {said.command} module:app, or set app.target in drawbar.toml"
        raise OperatorError("no application to serve", right=right)
    return loaded


def serve(said: Serving) -> int:
    """Runs the server to its end, and returns the exit code. On SIGHUP it reads its settings again."""
    from drawbar import supervisor  # `drawbar ctl` and help need none

    debug = Debug()
    return exit_code(lambda: supervisor.run(lambda: load_settings(said, debug)), debug)
