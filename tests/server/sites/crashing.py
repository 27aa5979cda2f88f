"""An application that takes its process down, or makes others, as its path says. Other paths are those of `plain`."""

import ctypes
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from typing import Any

# Served from this directory, which is on the path then and only then.
from plain import app as plain_app  # type: ignore[import-not-found]


def exits() -> bytes:
    os._exit(7)


def segfault() -> bytes:
    ctypes.string_at(0)
    return b""


def abort() -> bytes:
    os.abort()


def killed() -> bytes:
    os.kill(os.getpid(), signal.SIGKILL)
    return b""


def forks() -> bytes:
    pid = os.fork()
    if pid == 0:
        os._exit(5)
    return b"%d" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def forks_and_returns_twice() -> bytes:
    """The child goes back through the server, as one that forgot os._exit() does."""
    pid = os.fork()
    if pid == 0:
        return b"the child"
    os.waitpid(pid, 0)
    return b"the parent"


def leaves_a_child() -> bytes:
    """The child lives on until a signal ends it."""
    pid = os.fork()
    if pid == 0:
        print(f"child {os.getpid()} lives", file=sys.stderr, flush=True)
        signal.pause()
        os._exit(0)
    return b"%d" % pid


def runs() -> bytes:
    return subprocess.run([sys.executable, "-c", "print('from a child')"], capture_output=True, check=True).stdout


def multiprocesses() -> bytes:
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return b"%d" % sum(pool.map(abs, [-1, -2, -3]))


def threads() -> bytes:
    done: list[bytes] = []
    thread = threading.Thread(target=lambda: done.append(b"from a thread"))
    thread.start()
    thread.join()
    return done[0]


def terminated() -> bytes:
    os.kill(os.getppid(), signal.SIGTERM)
    return b"as you wish"


ACTIONS = {
    action.__name__: action
    for action in (
        *(exits, segfault, abort, killed, terminated),
        *(forks, forks_and_returns_twice, leaves_a_child, runs, multiprocesses, threads),
    )
}


def app(environ: dict[str, Any], start_response: Any) -> Any:
    """The WSGI form."""
    action = ACTIONS.get(environ["PATH_INFO"][1:])
    if action is None:
        return plain_app(environ, start_response)
    body = action()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The ASGI form, which blocks its loop meanwhile."""
    if scope["type"] == "http":
        body = ACTIONS[scope["path"][1:]]() if scope["path"][1:] in ACTIONS else b"%d" % os.getpid()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})
