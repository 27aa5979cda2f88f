"""Types of the native module `tasks`."""

import asyncio
from typing import Any

from drawbar.exchange.exchange import Executor

class TasksExecutor(Executor):
    running: set[asyncio.Task[Any]]
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None: ...
