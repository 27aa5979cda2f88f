"""Types of the native module `tasks`."""

import asyncio
from typing import Any

from drawbar.exchange.exchange import Executor
from drawbar.net.reactor import Reactor

class TasksExecutor(Executor):
    running: set[asyncio.Task[Any]]
    written_off: set[asyncio.Task[Any]]
    has_written_off: bool
    maximum: int
    def __init__(self, loop: asyncio.AbstractEventLoop, maximum: int = ..., reactor: Reactor | None = ...) -> None: ...
    @property
    def waiting(self) -> int: ...
    def dismiss(self) -> None: ...
