"""What `drawbar check` finds, as lines to print."""

import os
from collections.abc import Iterator
from typing import get_args

from drawbar.config.sources import Loaded
from drawbar.gateways.target import load_target
from drawbar.supervisor.hooks import Name, load_hook
from drawbar.supervisor.worker import concurrency
from drawbar.supervisor.worker.environment import enter_environment


def report(loaded: Loaded) -> Iterator[str]:
    """Imports the application and its hooks and describes them and the server; raises OperatorError."""
    config = loaded.config
    app = config.app
    enter_environment(app.env)
    concurrency.prepare(app)
    found = load_target(app.target or "", interface=app.interface, factory=app.factory, chdir=app.chdir)
    for name in get_args(Name):
        if (function := getattr(config.hooks, name)) is not None:
            load_hook(name, function)
    yield f"application  {found.name}"
    yield f"interface    {found.interface.upper()}"
    for bind in config.server.bind:
        yield f"listens on   {bind}"
    yield f"workers      {config.server.worker_count(len(os.sched_getaffinity(0)))}"
    yield f"concurrency  {concurrency.describe(app, found.interface)}"
    if found.interface == "asgi":
        # Imported for an ASGI application only: it loads asyncio.
        from drawbar.supervisor.worker.serve_asgi import loop_name

        yield f"event loop   {loop_name(app.loop)}"
    yield f"file         {loaded.file or 'none'}"
    for item in loaded.changed():
        yield f"setting      {item}"
    yield "ok"
