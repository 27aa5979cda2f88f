"""Types of the native module `sentinel`."""

from collections.abc import Callable
from typing import Any

from drawbar.net.reactor import Reactor

class Sentinel:
    running: bool
    def __init__(
        self,
        reactor: Reactor,
        seconds: float,
        *,
        look: Callable[[int, Any], Any],
        tell: Callable[[str, Any, bool, Any], object],
        server_header: str = ...,
        report_fd: int = ...,
        log_fd: int = ...,
        dump_signal: int = ...,
    ) -> None: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def hear(self) -> None: ...
