"""An application that says who serves it, once for WSGI and once for ASGI, and prints where it should not."""

import json
import os
import sys
from typing import Any


def facts(**more: Any) -> bytes:
    """What every answer holds, as JSON."""
    print("printed on standard output", flush=True)
    print("printed on standard error", file=sys.stderr, flush=True)
    manager = sorted(name for name in os.environ if name.startswith(("LISTEN_", "NOTIFY_", "WATCHDOG_")))
    return json.dumps({"uid": os.getuid(), "cwd": os.getcwd(), "manager": manager, **more}).encode()


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """The WSGI form."""
    size = len(environ["wsgi.input"].read())
    start_response("200 OK", [("Content-Type", "application/json")])
    return [
        facts(
            client=[environ.get("REMOTE_ADDR"), environ.get("REMOTE_PORT")],
            server=[environ["SERVER_NAME"], environ["SERVER_PORT"]],
            multi=[environ["wsgi.multithread"], environ["wsgi.multiprocess"]],
            size=size,
        )
    ]


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The ASGI form."""
    if scope["type"] == "lifespan":
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("shut down", file=sys.stderr, flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": facts(client=scope["client"], server=scope["server"], size=size)})
