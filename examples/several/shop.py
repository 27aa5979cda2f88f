"""The shop of this example: there when somebody comes."""

import os
from collections.abc import Callable
from typing import Any


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """What is at a path of the shop."""
    body = f"{environ['PATH_INFO']} of the shop at {environ['SCRIPT_NAME']}, process {os.getpid()}\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))])
    return [body]
