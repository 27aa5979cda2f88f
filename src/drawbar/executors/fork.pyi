"""Types of the native module `fork`."""

from collections.abc import Callable
from typing import Any

from drawbar.exchange.exchange import Executor
from drawbar.net.reactor import Reactor

class ForkExecutor(Executor):
    running: set[Any]
    maximum: int
    def __init__(
        self,
        reactor: Reactor,
        maximum: int,
        *,
        fork: Callable[[], int],
        describe: Callable[[int, bool], str],
        on_short: Callable[[OSError], object],
        timeout: float = ...,
        on_late: Callable[[Any, int], object] | None = ...,
    ) -> None: ...
    @property
    def waiting(self) -> int: ...
    @property
    def processes(self) -> set[int]: ...
    def run(self) -> None: ...
