"""Calls that tell the test, over a Unix socket, which process runs them beside how many, and last until it answers."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

running: set[socket.socket] = set()


@contextmanager
def report() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as meeting:
        meeting.connect(os.environ["MEETING"])
        running.add(meeting)
        try:
            meeting.sendall(b"%d %d\n" % (os.getpid(), len(running)))
            yield meeting
        finally:
            running.remove(meeting)


def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    with report() as meeting:
        meeting.recv(1)
    start_response("200 OK", [])
    return [environ.get("REMOTE_ADDR", "").encode()]


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    assert scope["type"] == "http"
    with report() as meeting:
        meeting.setblocking(False)
        await asyncio.get_running_loop().sock_recv(meeting, 1)
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": scope["client"][0].encode()})
