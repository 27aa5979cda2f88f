"""An application whose requests leave lines in both logs: `/hold/PATH` waits for the FIFO's writer, and each raises.

It says when it is loaded, on standard error, where a test reads it while the server's own log is a file.
"""

import asyncio
import os
import signal
import sys
import threading
from typing import Any

from plain import hold  # type: ignore[import-not-found]

# As some libraries do; the server must not take it for a signal to itself.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGWINCH, lambda number, frame: None)
# In one piece: print() writes the end of the line apart, and another worker may come between.
os.write(sys.stderr.fileno(), b"loaded\n")


def app(environ: dict[str, Any], start_response: Any) -> Any:
    """The WSGI form."""
    name, _, argument = environ["PATH_INFO"][1:].partition("/")
    if name == "hold":
        hold(f"/{argument}")
    raise RuntimeError(f"it was {name}")


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The ASGI form."""
    if scope["type"] != "http":
        return
    name, _, argument = scope["path"][1:].partition("/")
    if name == "hold":
        await asyncio.to_thread(hold, f"/{argument}")
    raise RuntimeError(f"it was {name}")
