"""Types of the native module `threads`."""

from drawbar.exchange.exchange import Executor
from drawbar.net.reactor import Reactor

class ThreadsExecutor(Executor):
    minimum: int
    maximum: int
    threads: int
    written_off: int
    def __init__(self, reactor: Reactor, minimum: int, maximum: int, *, spares_caller: bool = ...) -> None: ...
    @property
    def running(self) -> int: ...
    @property
    def waiting(self) -> int: ...
    def run(self) -> None: ...
