"""The applications that are served. The same answers from every server, so no server is asked for more than another.

Imported by the servers' own processes as the top-level module `apps`: it imports nothing it does not need.
"""

import os
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import cache
from typing import Any

RAN = "ran"
"""File in $TMPDIR where an application writes down what it ran, a line for each call."""
BUSY_S = 0.002
SLOT_S = 0.2
HELD_FOR_S = 1.0

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading

BODY = b"Hello, world!"
HEADERS = [("Content-Type", "text/plain"), ("Content-Length", str(len(BODY)))]
ASGI_HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(BODY))]

BLOCKING_S = 0.05
SLOW_BOOT_S = 3.0
WAITING_BOOT_S = 5.0
LARGE_BYTES = 50_000_000
BLOCK_BYTES = 50_000
HANG_S = 30.0
"""Longer than anybody who measures waits."""
HELD_S = 4.0
"""How long the interpreter's lock is held: a server must get it back to end in good order."""
NEIGHBOUR_S = 0.4

StartResponse = Callable[[str, list[tuple[str, str]]], object]
Message = dict[str, Any]


def hello(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """The least a WSGI application can do."""
    start_response("200 OK", HEADERS)
    return [BODY]


async def hello_asgi(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """The least an ASGI application can do; a server that offers a lifespan is told to go on without."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    await send({"type": "http.response.start", "status": 200, "headers": ASGI_HEADERS})
    await send({"type": "http.response.body", "body": BODY})


def views(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """`/fast`, `/blocking`, and the large responses `/generated` (in blocks) and `/whole` (one bytes object)."""
    match environ["PATH_INFO"]:
        case "/blocking":
            time.sleep(BLOCKING_S)
        case "/generated":
            start_response("200 OK", large_headers())
            return blocks()
        case "/whole":
            start_response("200 OK", large_headers())
            return [whole()]
    start_response("200 OK", HEADERS)
    return [BODY]


def hanging(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """`/sleep` in C code, `/lock` in a lock, `/gil` in C code that lets no thread run; `/neighbour` takes a while."""
    match environ["PATH_INFO"]:
        case "/sleep":
            import ctypes

            ctypes.CDLL(None).usleep(int(HANG_S * 1e6))
        case "/lock":
            locked().acquire()
        case "/gil":
            hold_the_interpreter()
        case "/neighbour":
            time.sleep(NEIGHBOUR_S)
    start_response("200 OK", HEADERS)
    return [BODY]


async def hanging_asgi(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """The same for tasks; `/gil` holds up the loop and everything else."""
    import asyncio

    if scope["type"] == "http":
        match scope["path"]:
            case "/sleep":
                await asyncio.sleep(HANG_S)
            case "/lock":
                await asyncio.Event().wait()
            case "/gil":
                hold_the_interpreter()
            case "/neighbour":
                await asyncio.sleep(NEIGHBOUR_S)
    await hello_asgi(scope, receive, send)


def numbered(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """A request with a number, `?id=7`, is written down and answered with that after 2 ms; without one, greeted."""
    number = environ["QUERY_STRING"].removeprefix("id=")
    if not number:
        return hello(environ, start_response)
    write_down(number)
    time.sleep(BUSY_S)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(number)))])
    return [number.encode()]


async def numbered_asgi(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """The same for tasks, which take a second for it."""
    import asyncio

    number = scope["query_string"].removeprefix(b"id=") if scope["type"] == "http" else b""
    if not number:
        await hello_asgi(scope, receive, send)
        return
    write_down(number.decode())
    await asyncio.sleep(HELD_FOR_S)
    fields = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(number))]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": number})


def slots(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    """`/slot` takes 200 ms; others write down when the front had them, by its word: X-Request-Start."""
    if environ["PATH_INFO"] == "/slot":
        time.sleep(SLOT_S)
    else:
        write_down(environ.get("HTTP_X_REQUEST_START", "t=0").removeprefix("t="))
    return hello(environ, start_response)


def write_down(what: str) -> None:
    """What was called, by which process, and when by both clocks: one line, whole whoever else writes (O_APPEND)."""
    os.write(ran(), f"{what} {os.getpid()} {time.monotonic_ns()} {time.time()}\n".encode())


@cache
def ran() -> int:
    """Opened once, when there is something to write."""
    return os.open(os.path.join(os.environ["TMPDIR"], RAN), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)


def locked() -> "threading.Lock":
    """A lock nobody will ever release."""
    import threading

    lock = threading.Lock()
    lock.acquire()
    return lock


def hold_the_interpreter() -> None:
    """What a regular expression gone wild does, or an extension that computes."""
    import ctypes

    ctypes.PyDLL(None).usleep(int(HELD_S * 1e6))


def large_headers() -> list[tuple[str, str]]:
    """Header fields of a large response, a new list as frameworks make one."""
    return [("Content-Type", "application/octet-stream"), ("Content-Length", str(LARGE_BYTES))]


def blocks() -> Iterator[bytes]:
    """A large response as an application that exports rows would make it."""
    block = b"x" * BLOCK_BYTES
    for _ in range(LARGE_BYTES // BLOCK_BYTES):
        yield block


@cache
def whole() -> bytes:
    """The application's own copy of the large response, made once: what more a server takes is the server's."""
    return b"x" * LARGE_BYTES


def __getattr__(name: str) -> Any:
    """The greeting, from an application that is three seconds of work to load, or waits five for something else."""
    if name == "waiting_boot":
        time.sleep(WAITING_BOOT_S)
        return hello
    if name != "slow_boot":
        raise AttributeError(name)
    until = time.thread_time() + SLOW_BOOT_S
    while time.thread_time() < until:
        pass
    return hello
