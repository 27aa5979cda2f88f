"""An application that hangs, once for WSGI and once for ASGI; the path says in what. `/NAME/PATH` waits for a FIFO.

`/c/PATH` in C code that lets others run, `/gil/PATH` in C code that does not, `/lock` in a lock for ever, `/once/PATH`
in select(2) with its answer begun before, `/late/PATH` as /c with a head that is set but not sent. Each says in the log
when it is there. `/` answers "ok". ASGI has `/await` for ever, and `/thread/PATH`: /c on a thread of the loop's.
"""

import asyncio
import ctypes
import os
import select
import threading
from collections.abc import Iterator
from typing import Any

TEXT = [("Content-Type", "text/plain")]
HELD = threading.Lock()
HELD.acquire()
os.write(2, b"loaded\n")


def say(word: str) -> None:
    os.write(2, f"{word}\n".encode())


def stuck_in_c(path: str, library: Any) -> None:
    """open(2) of a FIFO waits for its writer, and goes on waiting after a signal (signal(7))."""
    say(f"stuck {path}")
    os.close(library.open(path.encode(), os.O_RDONLY))
    say(f"released {path}")


def stuck_in_select(path: str) -> None:
    """Until a writer has come and gone. Greenlets let others run meanwhile."""
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    say(f"stuck {path}")
    select.select([reader], [], [])
    os.close(reader)


def stuck_in_a_lock() -> None:
    say("stuck in a lock")
    HELD.acquire()


def hang(name: str, path: str) -> None:
    if name in ("c", "late"):
        stuck_in_c(path, ctypes.CDLL(None))
    elif name == "gil":
        stuck_in_c(path, ctypes.PyDLL(None))
    elif name == "lock":
        stuck_in_a_lock()


def app(environ: dict[str, Any], start_response: Any) -> Any:
    """The WSGI form."""
    name, _, rest = environ["PATH_INFO"][1:].partition("/")
    path = f"/{rest}"
    if name == "once":

        def streaming() -> Iterator[bytes]:
            yield b"begun "
            stuck_in_select(path)
            yield b"and ended"

        start_response("200 OK", TEXT)
        return streaming()
    if name == "late":
        start_response("200 OK", TEXT)
    elif name == "hints":
        environ["wsgi.early_hints"]([("Link", "</a>")])
        name = "c"
    elif name == "reads":
        say("reads")
        environ["wsgi.input"].read()
    elif name == "insists":
        try:
            stuck_in_c(path, ctypes.CDLL(None))
            start_response("200 OK", TEXT)(b"too late")
        except OSError as error:
            say(f"refused: {error}")
        raise LookupError("whatever an application does then")
    hang(name, path)
    if name != "late":
        start_response("200 OK", TEXT)
    return [b"ok"]


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The ASGI form."""
    if scope["type"] == "websocket":
        await websocket(scope, receive, send)
    if scope["type"] != "http":
        return
    name, _, rest = scope["path"][1:].partition("/")
    path = f"/{rest}"
    if name == "once":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"begun ", "more_body": True})
        await asyncio.to_thread(stuck_in_select, path)
        await send({"type": "http.response.body", "body": b"and ended"})
        return
    if name == "await":
        await waits_for_ever(receive)
    elif name == "thread":
        await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, hang, "c", path))
    hang(name, path)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def waits_for_ever(receive: Any) -> None:
    await receive()
    try:
        say("waits")
        await asyncio.get_running_loop().create_future()
    except asyncio.CancelledError:
        say(f"cancelled, and hears {(await receive())['type']}")
        raise


async def websocket(scope: dict[str, Any], receive: Any, send: Any) -> None:
    await receive()
    if scope["path"] == "/await":
        say("waits")
        await asyncio.get_running_loop().create_future()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})
