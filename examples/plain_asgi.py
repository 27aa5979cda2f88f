"""A plain ASGI application: HTTP, a WebSocket that echoes, and a lifespan whose state every request sees.

Run it:  drawbar run --chdir examples plain_asgi:app      then  curl http://127.0.0.1:8000/
"""

import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """The application: one coroutine for each lifespan, request and WebSocket."""
    handlers = {"lifespan": lifespan, "http": answer, "websocket": echo}
    await handlers[scope["type"]](scope, receive, send)


async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    """Sets the worker up before its first request and tidies up after its last."""
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            scope["state"]["started"] = time.time()
            await send({"type": "lifespan.startup.complete"})
        else:
            await send({"type": "lifespan.shutdown.complete"})
            return


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Reads the whole body and says what came."""
    size = 0
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    said = {
        "method": scope["method"],
        "path": scope["path"],
        "body_bytes": size,
        "up_for_seconds": round(time.time() - scope["state"]["started"], 1),
    }
    body = json.dumps(said, indent=2).encode() + b"\n"
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Sends every WebSocket message back."""
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message.get("text"), "bytes": message.get("bytes")})
