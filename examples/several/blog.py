"""The blog of this example: knows its name by a variable that only it has."""

import os
from collections.abc import Callable
from typing import Any

NAME = os.environ.get("SITE_NAME", "a blog without a name")


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """One page."""
    body = f"{NAME}, written by process {os.getpid()}\n".encode()
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))])
    return [body]
