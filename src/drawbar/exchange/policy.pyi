"""Types of the native module `policy`."""

from collections.abc import Callable
from typing import Any

from drawbar.exchange.forwarded import Address, Proxies
from drawbar.exchange.log_files import LogFiles

class Policy:
    log_files: LogFiles | None
    def __init__(
        self,
        *,
        head_bytes: int = ...,
        target_bytes: int = ...,
        fields: int = ...,
        body_bytes: int = ...,
        extension_bytes: int = ...,
        trailer_bytes: int = ...,
        head_timeout: float = ...,
        keepalive_timeout: float = ...,
        body_timeout: float = ...,
        send_timeout: float = ...,
        linger_timeout: float = ...,
        keepalive_requests: int = ...,
        body_memory_bytes: int = ...,
        output_high_bytes: int = ...,
        output_low_bytes: int = ...,
        response_spill_bytes: int = ...,
        temp_dir: str | None = ...,
        server_header: str = ...,
        server_timing: bool = ...,
        on_complete: Callable[[Any], object] | None = ...,
        on_refused: Callable[[Address | None, int, str, bytes, LogFiles | None], None] | None = ...,
        on_app_error: Callable[[Any, BaseException], None] | None = ...,
        proxies: Proxies | None = ...,
    ) -> None: ...
