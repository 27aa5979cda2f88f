"""Says what it knows of the client, once for WSGI and once for ASGI, where WebSockets get back what they send."""

import json
from typing import Any

NAMES = ("REMOTE_ADDR", "wsgi.url_scheme", "HTTP_HOST", "SCRIPT_NAME", "PATH_INFO", "SERVER_PORT")


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """The WSGI form."""
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps([environ.get(name, "") for name in NAMES]).encode()]


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The ASGI form."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": message["text"]})
        return
    if scope["type"] != "http":
        raise NotImplementedError
    host = dict(scope["headers"]).get(b"host", b"").decode()
    seen = [scope["client"][0] if scope["client"] else "", scope["scheme"], host, scope["root_path"], scope["path"]]
    seen.append(str(scope["server"][1]))
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(seen).encode()})
