"""An application without mistakes, once for WSGI and once for ASGI; the path says what it does.

`/` answers "ok" and reads nothing, `/echo` the size of the body, `/big/N` N bytes in pieces, `/one/N` N bytes as one,
`/hold/PATH` waits until somebody opens the FIFO at PATH for writing and says so in the log, and `/pid` the process.
"""

import asyncio
import os
import sys
from collections.abc import Iterator
from typing import Any

PIECE = b"x" * 65536


def hold(path: str) -> None:
    """Waits for the FIFO's writer."""
    print(f"holding {path}", file=sys.stderr, flush=True)
    os.close(os.open(path, os.O_RDONLY))


def pieces(size: int) -> Iterator[bytes]:
    """That many bytes."""
    while size > 0:
        yield PIECE[:size]
        size -= len(PIECE)


def app(environ: dict[str, Any], start_response: Any) -> Any:
    """The WSGI form."""
    name, _, argument = environ["PATH_INFO"][1:].partition("/")
    body = b"ok"
    if name == "echo":
        body = b"%d" % len(environ["wsgi.input"].read())
    elif name == "pid":
        body = b"%d" % os.getpid()
    elif name == "hold":
        hold(f"/{argument}")
    elif name in ("big", "one"):
        size = int(argument)
        start_response("200 OK", [("Content-Length", str(size))])
        return pieces(size) if name == "big" else [b"x" * size]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The ASGI form."""
    if scope["type"] != "http":
        return
    name, _, argument = scope["path"][1:].partition("/")
    parts: Any = [b"ok"]
    headers = [(b"content-type", b"text/plain")]
    if name == "echo":
        size, more = 0, True
        while more:
            message = await receive()
            size, more = size + len(message.get("body", b"")), message.get("more_body", False)
        parts = [b"%d" % size]
    elif name == "pid":
        parts = [b"%d" % os.getpid()]
    elif name == "hold":
        await asyncio.to_thread(hold, f"/{argument}")
    elif name in ("big", "one"):
        headers = [(b"content-length", argument.encode())]
        parts = pieces(int(argument)) if name == "big" else [b"x" * int(argument)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for part in parts:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body"})
