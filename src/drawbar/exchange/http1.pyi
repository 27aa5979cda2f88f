"""Types of the native module `http1`."""

from drawbar.exchange.exchange import Handler
from drawbar.exchange.policy import Policy
from drawbar.net.listener import Connector

class Http1Connector(Connector):
    def __init__(
        self, policy: Policy, handler: Handler, scheme: str = ..., server: tuple[str, int | None] = ...
    ) -> None: ...
