"""Types of the native module `tasks`."""

import asyncio
from typing import Any

from drawbar.exchange.exchange import Executor
from drawbar.net.reactor import Reactor

class TasksExecutor(Executor):
    running: set[asyncio.Task[Any]]
    maximum: int
    def __init__(self, loop: asyncio.AbstractEventLoop, maximum: int = ..., reactor: Reactor | None = ...) -> None: ...
    @property
    def waiting(self) -> int: ...
    def dismiss(self) -> None: ...
