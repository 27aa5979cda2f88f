"""An application with a function for each hook: they write a line to standard error, where the log is."""

import os
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from drawbar.hooks import FinishedRequest, ForkServer, Worker


def say(line: str) -> None:
    os.write(sys.stderr.fileno(), f"hook: {line}\n".encode())


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", "5")])
    return [b"hello"]


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        say("lifespan startup")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        say("lifespan shutdown")
        await send({"type": "lifespan.shutdown.complete"})
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})
    await send({"type": "http.response.body", "body": b"hello"})


def before_fork(server: ForkServer) -> None:
    say(f"before_fork {server.app} {server.refork}")


def after_fork(worker: Worker) -> None:
    say(f"after_fork {worker.slot} {worker.app} {worker.interface} {worker.pid == os.getpid()}")


def worker_ready(worker: Worker) -> None:
    say(f"worker_ready {worker.slot}")


def worker_exit(worker: Worker) -> None:
    say(f"worker_exit {worker.slot}")


def request_finished(request: FinishedRequest) -> None:
    whole = "whole" if request.complete else "broken off"
    say(f"{request.method} {request.target} {request.status} {request.bytes} {request.client} {request.slot} {whole}")


def out_of_band(worker: Worker) -> None:
    say(f"out_of_band {worker.slot} {threading.current_thread().name}")


def fail(_: object) -> None:
    raise LookupError("nothing there")
