"""An application that tells who imported it; the file VERSION beside the directory of the run says what it is."""

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

IMPORTED_BY = os.getpid()
VERSION = Path(os.environ["VERSION_FILE"]).read_text()
if VERSION == "broken":
    raise KeyError("SECRET_KEY")


def body() -> bytes:
    return json.dumps({"pid": os.getpid(), "imported_by": IMPORTED_BY, "version": VERSION}).encode()


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    text = body()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(text)))])
    return [text]


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    text = body()
    headers = [(b"content-length", str(len(text)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text})
