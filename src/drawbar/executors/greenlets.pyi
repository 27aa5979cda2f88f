"""Types of the native module `greenlets`."""

from collections.abc import Callable
from typing import Any

from drawbar.exchange.exchange import Executor
from drawbar.net.reactor import Reactor

class GreenletsExecutor(Executor):
    running: set[Any]
    maximum: int
    def __init__(self, reactor: Reactor, maximum: int = ..., on_ended: Callable[[], object] | None = ...) -> None: ...
    @property
    def waiting(self) -> int: ...
