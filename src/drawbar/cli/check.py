"""What `drawbar check` finds, as lines to print."""

import os
from collections.abc import Iterator
from typing import get_args

from drawbar.config import Config, OperatorError
from drawbar.config.app_table import AppTable
from drawbar.config.sources import Loaded
from drawbar.gateways.target import LoadedApp, load_target
from drawbar.supervisor.front.certificates import make_context
from drawbar.supervisor.hooks import Name, load_hook
from drawbar.supervisor.words import plural
from drawbar.supervisor.worker import concurrency
from drawbar.supervisor.worker.environment import enter_environment


def report(loaded: Loaded) -> Iterator[str]:
    """Imports the application and its hooks and describes them and the server; raises OperatorError."""
    config = loaded.config
    yield from _one(config) if config.app.target is not None else _several(config)
    if make_context(config.api) is not None:
        yield f"certificate  {config.api.cert_file}"
    yield f"file         {loaded.file or 'none'}"
    for item in loaded.changed():
        yield f"setting      {item}"
    yield "ok"


def _import(config: Config) -> LoadedApp:
    """The application, as a worker imports it. Raises OperatorError."""
    app = config.app
    enter_environment(app.env)
    concurrency.prepare(app)
    found = load_target(app.target or "", interface=app.interface, factory=app.factory, chdir=app.chdir)
    for name in get_args(Name):
        if (function := getattr(config.hooks, name)) is not None:
            load_hook(name, function)
    return found


def _one(config: Config) -> Iterator[str]:
    app, found = config.app, _import(config)
    yield f"application  {found.name}"
    yield f"interface    {found.interface.upper()}"
    for bind in config.server.bind:
        yield f"listens on   {bind}"
    yield f"workers      {_workers(config)}"
    yield f"concurrency  {concurrency.describe(app, found.interface)}"
    if found.interface == "asgi":
        # Imported for an ASGI application only: it loads asyncio.
        from drawbar.supervisor.worker.serve_asgi import loop_name

        yield f"event loop   {loop_name(app.loop)}"


def _workers(config: Config) -> int:
    return config.server.worker_count(len(os.sched_getaffinity(0)))


def _several(config: Config) -> Iterator[str]:
    for bind in config.server.bind:
        yield f"listens on   {bind}"
    for name in (plan.name for plan in config.app_plans()):
        table = config.apps.get(name, AppTable())
        own = config.for_app(name)
        if table.command is not None:
            how = f"{' '.join(table.command)}, {plural(_workers(own), 'process', 'processes')}"
        elif table.target is not None:
            how = f"{_described_in_a_child(own)}, {plural(_workers(own), 'worker')}"
        else:
            how = "pulled by workers elsewhere"
        yield f"application  {name}: {how}"


def _described_in_a_child(config: Config) -> str:
    """What the application is, imported where it leaves nothing behind for the next one. Raises OperatorError."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            found = _import(config)
            kind = f"{found.interface.upper()}, {concurrency.describe(config.app, found.interface)}"
            os.write(writer, f"{found.name} ({kind})".encode())
            code = 0
        except OperatorError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(code)
    os.close(writer)
    with open(reader, encoding="utf-8", errors="replace") as pipe:
        said = pipe.read()
    if os.waitpid(pid, 0)[1] != 0:
        raise OperatorError(said or f"importing {config.app.target} ended the process")
    return said
