"""An ASGI application that begins a stream, opens a WebSocket, or does not answer at all, until the client leaves."""

from typing import Any


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
    elif scope["path"] == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
    else:
        print("holding", flush=True)
    while (await receive())["type"] not in ("http.disconnect", "websocket.disconnect"):
        pass
