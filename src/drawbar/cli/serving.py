"""From a command line that was read to a server that runs.

Law: imports no parser of command lines. What one needs is a third of what a master takes (docs/decisions/0018); the
command line is read in a child, or by whoever calls, and comes here as a `Serving`.
"""

import os
from typing import Any, Final

import msgspec

from drawbar.cli.mistakes import Debug, complain, exit_code
from drawbar.config import Config, OperatorError, WorkConfig
from drawbar.config.api import ApiConfig
from drawbar.config.binds import is_loopback
from drawbar.config.settings import APPS
from drawbar.config.sources import Loaded, Origin, load

WORK: Final = "drawbar work"
FROM: Final = "--from http://HOST:4242"
"""Where it takes its requests from, as an example."""

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

FRONT: Final = "drawbar serve"
CHECK: Final = "drawbar check"
SPLITS: Final = ("drawbar run", "drawbar dev", CHECK)
DEFAULTS: Final[dict[str, dict[str, Any]]] = {FRONT: {"server.bind": "0.0.0.0:8080", "api.bind": "127.0.0.1:4242"}}
"""What a command is when nobody says otherwise, where that is not what other commands are."""


class Serving(msgspec.Struct, frozen=True):
    """What a command line says about the server: the command's name, raw values by the settings' keys, --config."""

    command: str
    options: dict[str, Any]
    file: str | None = None


def load_settings(said: Serving, debug: Debug) -> Loaded:
    """The configuration that this command line, the environment and the file make together. Raises OperatorError."""
    debug.learn(said.options, os.environ)
    loaded = load(
        said.options,
        os.environ,
        file=said.file,
        presets=PRESETS.get(said.command),
        defaults=DEFAULTS.get(said.command),
        command=said.command,
    )
    debug.is_on = debug.is_on or loaded.config.log.level == "debug"
    if said.command == CHECK and is_for_front_only(loaded.config):
        return load_settings(msgspec.structs.replace(said, command=FRONT), debug)
    for note in loaded.notes:
        complain(note, "warning")
    if not loaded.config.app.target and not is_front(said.command, loaded.config):
        raise OperatorError("no application to serve", right=how_to_name_one(said.command, loaded.config))
    if said.command in SPLITS and loaded.config.app.target:
        others = ", ".join(f"[{APPS}.{name}]" for name, table in loaded.config.apps.items() if table.has_workers)
        if others:
            served = f"{loaded.config.app.target} is served alone"
            complain(f"{served}; {others} would be without a TARGET and without app.target", "warning")
    return for_command(said.command, loaded)


def how_to_name_one(command: str, config: Config) -> str:
    """What to do about an application that nobody has named."""
    if command == WORK:
        return f"write {WORK} module:app {FROM}, or set app.target in drawbar.toml"
    right = f"write {command} module:app, or set app.target, or a target in [apps.NAME], in drawbar.toml"
    if config.apps:
        # Without target and command they are for workers that somebody else starts.
        names = ", ".join(f"[{APPS}.{name}]" for name in config.apps)
        right = f"{right}; for {names}, with workers elsewhere, the front is {FRONT}"
    return right


def for_command(command: str, loaded: Loaded) -> Loaded:
    """The configuration as this command takes it: only `work` dials fronts, and it listens nowhere; only a front has an
    API. `server.split` says whether there is one.

    Raises OperatorError when there is no front to work for.
    """
    replace, config = msgspec.structs.replace, loaded.config
    split = is_front(command, config)
    config = replace(config, server=replace(config.server, split=split))
    if command == FRONT:
        config = replace(config, app=replace(config.app, target=None))
    elif not split:
        config = replace(config, api=ApiConfig())
    if command != WORK:
        config = replace(config, work=WorkConfig())
    loaded = replace(loaded, config=config)
    if command != WORK:
        return loaded
    if not config.work.front:
        named = f"write {WORK} {config.app.target} {FROM}"
        right = f"{named}, the API of a front (drawbar serve), or set work.front in drawbar.toml"
        raise OperatorError("no front to take requests from", right=right)
    if config.process.inetd:
        raise OperatorError(f"{WORK} dials its connections, and inetd passes one", where="process.inetd")
    for item in loaded.effective:
        if item.setting.key in ("server.bind", "listen.worker_bind") and item.origin is Origin.OPTION:
            complain(f"{item} is not used: {WORK} listens nowhere", "warning")
    for front in config.work.front:
        if config.work.token_file is not None and front.scheme == "http" and not is_loopback(front.host):
            complain(f"the token goes to {front} in plain text; use https where others may listen", "warning")
    return loaded


def is_front(command: str, config: Config) -> bool:
    """Whether there is a front: of `run` by wish, or as it has several applications and no TARGET."""
    if command == FRONT:
        return True
    if command not in SPLITS:
        return False
    if config.app.target is not None:
        return config.server.split
    return any(table.has_workers for table in config.apps.values())


def is_for_front_only(config: Config) -> bool:
    """There is what a front needs, and nothing that serves: it is for `drawbar serve`."""
    served = config.app.target is not None or any(table.has_workers for table in config.apps.values())
    return not served and bool(config.apps or config.front.apps or config.api != ApiConfig())


def serve(said: Serving) -> int:
    """Runs the server to its end, and returns the exit code. On SIGHUP it reads its settings again."""
    from drawbar import supervisor  # `drawbar ctl` and help need none

    debug = Debug()
    return exit_code(lambda: supervisor.run(lambda: load_settings(said, debug)), debug)
