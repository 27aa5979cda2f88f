"""Types of the native module `asgi`."""

import asyncio
from collections.abc import Callable
from typing import Any

from drawbar.exchange.exchange import Executor, Handler

class AsgiHandler(Handler):
    def __init__(
        self,
        app: Any,
        executor: Executor,
        loop: asyncio.AbstractEventLoop,
        *,
        root_path: str = ...,
        state: dict[str, object] | None = ...,
        websocket: Callable[..., Any] | None = ...,
        error_page: Callable[[BaseException, Any], bytes] | None = ...,
    ) -> None: ...
