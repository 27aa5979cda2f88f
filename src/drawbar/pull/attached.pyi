"""Types of the native module `attached`."""

from collections.abc import Callable

from drawbar.exchange.exchange import Handler
from drawbar.exchange.http1 import Http1Connector
from drawbar.exchange.policy import Policy
from drawbar.net.reactor import Reactor

class AttachedConnector(Http1Connector):
    def __init__(
        self,
        policy: Policy,
        handler: Handler,
        scheme: str = ...,
        server: tuple[str, int | None] = ...,
        on_closed: Callable[[int, int], object] | None = ...,
    ) -> None: ...
    def leave(self, reactor: Reactor, leaving: bool) -> None: ...

def attach(reactor: Reactor, fd: int, connector: AttachedConnector, releases: bool, first: bytes = ...) -> None: ...
def open_door(reactor: Reactor, fd: int, on_arrived: Callable[[], object], on_drain: Callable[[], object]) -> None: ...
