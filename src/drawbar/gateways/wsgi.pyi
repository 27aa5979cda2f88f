"""Types of the native module `wsgi`."""

from collections.abc import Callable
from typing import Any

from drawbar.exchange.exchange import Executor, Handler

class WsgiHandler(Handler):
    def __init__(
        self,
        app: Any,
        executor: Executor,
        *,
        root_path: str = ...,
        server: tuple[str, int | None] = ...,
        scheme: str = ...,
        multithread: bool = ...,
        multiprocess: bool = ...,
        run_once: bool = ...,
        stream_input: bool = ...,
        buffers: bool = ...,
        error_page: Callable[[BaseException, Any], bytes] | None = ...,
    ) -> None: ...
