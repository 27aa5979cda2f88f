"""An application for fork servers: it tells which process imported it, and holds memory that can be shared."""

import json
import os
import threading
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

IMPORTED_BY = os.getpid()
# 24 MB that nobody writes to: bytes have no references for the collector to touch.
BALLAST = bytes(range(256)) * (24 << 12)
told: list[str] = []


def facts() -> bytes:
    return json.dumps(
        {
            "pid": os.getpid(),
            "parent": os.getppid(),
            "imported_by": IMPORTED_BY,
            "threads": len(os.listdir("/proc/self/task")),
            "descriptors": len(os.listdir("/proc/self/fd")),
            "told": told,
        }
    ).encode()


def wsgi(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/thread":
        threading.Thread(target=threading.Event().wait, name="stays", daemon=True).start()
    body = facts()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


async def asgi(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    if scope["type"] == "lifespan":
        await receive()
        told.append(f"startup in {os.getpid()}")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        told.append(f"shutdown in {os.getpid()}")
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = facts()
    await send(
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())],
        }
    )
    await send({"type": "http.response.body", "body": body})


def before_fork(server: Any) -> None:
    told.append(f"before_fork in {server.pid}{', refork' if server.refork else ''}")


def after_fork(worker: Any) -> None:
    told.append(f"after_fork in {worker.pid}")


def worker_exit(worker: Any) -> None:
    told.append(f"worker_exit in {worker.pid}")


def fail(_: Any) -> None:
    raise RuntimeError("the pool cannot be closed")
