"""Calls that tell the test, over a Unix socket, which worker runs them beside how many, and last until it answers."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

running: set[socket.socket] = set()


@contextmanager
def report(worker: int) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as meeting:
        meeting.connect(os.environ["MEETING"])
        running.add(meeting)
        try:
            meeting.sendall(b"%d %d\n" % (worker, len(running)))
            yield meeting
        finally:
            running.remove(meeting)


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    # Of which a process of its own knows no more than itself.
    with report(os.getppid() if environ["wsgi.run_once"] else os.getpid()) as meeting:
        meeting.recv(1)
    start_response("200 OK", [])
    return [environ.get("REMOTE_ADDR", "").encode()]


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    with report(os.getpid()) as meeting:
        meeting.setblocking(False)
        await asyncio.get_running_loop().sock_recv(meeting, 1)
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": scope["client"][0].encode()})
