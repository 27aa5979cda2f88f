"""An application that shows how its calls run beside each other. What a path does is said at its function."""

import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

memory: list[str] = []
lock = threading.Lock()
running = most = 0


def sleep(environ: dict[str, Any], argument: str) -> bytes:
    """/sleep/S: waits as long, and says how many calls ran at once so far."""
    time.sleep(float(argument))
    return b"%d" % most


def remember(environ: dict[str, Any], argument: str) -> bytes:
    """/remember/WORD: adds it to what this process remembers, and says all that."""
    memory.append(argument)
    return " ".join(memory).encode()


def echo(environ: dict[str, Any], argument: str) -> bytes:
    """/echo: its body's size and last byte, read in pieces."""
    size, last = 0, b""
    while piece := environ["wsgi.input"].read(10_000):
        size, last = size + len(piece), piece[-1:]
    return b"%d %s" % (size, last)


def lines(environ: dict[str, Any], argument: str) -> bytes:
    """/lines: its body's lines, each as a literal."""
    return repr([*environ["wsgi.input"]]).encode()


def says(environ: dict[str, Any], argument: str) -> bytes:
    """/says: what the environ says of processes and threads, and who we are."""
    names = ("wsgi.multithread", "wsgi.multiprocess", "wsgi.run_once")
    return repr([environ[name] for name in names]).encode()


def whoami(environ: dict[str, Any], argument: str) -> bytes:
    """/whoami: the process, and its parent."""
    return b"%d %d" % (os.getpid(), os.getppid())


def die(environ: dict[str, Any], argument: str) -> bytes:
    """/die/N: by that signal."""
    os.kill(os.getpid(), int(argument))
    signal.pause()
    return b""


def leave(environ: dict[str, Any], argument: str) -> bytes:
    """/leave/N: by os._exit with that code."""
    os._exit(int(argument))


def end(environ: dict[str, Any], argument: str) -> bytes:
    """/end: by sys.exit, as a script does."""
    sys.exit(argument)


def broken(environ: dict[str, Any], argument: str) -> bytes:
    """/broken: raises."""
    raise LookupError(argument)


def stuck(environ: dict[str, Any], argument: str) -> bytes:
    """/stuck: waits for ever, and says so first."""
    print("stuck", file=sys.stderr, flush=True)
    while True:
        signal.pause()


def hold(environ: dict[str, Any], argument: str) -> bytes:
    """/hold/PATH: waits for a writer of the FIFO at PATH."""
    # One write: print() makes two, and other processes may come between them.
    sys.stderr.write(f"holding {argument} in {os.getpid()}\n")
    os.close(os.open("/" + argument, os.O_RDONLY))
    return b"held"


def say(environ: dict[str, Any], argument: str) -> bytes:
    """/say/WORD: to standard error, and as the answer."""
    print(f"said {argument}", file=sys.stderr, flush=True)
    return argument.encode()


def siblings(environ: dict[str, Any], argument: str) -> bytes:
    """/siblings: the children that this process's parent has, the dead ones among them."""
    with open(f"/proc/{os.getppid()}/task/{os.getppid()}/children") as file:
        return str(len(file.read().split())).encode()


def descriptors(environ: dict[str, Any], argument: str) -> bytes:
    """/descriptors: what this process has open, a line each."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            found.append(f"{number} {os.readlink(f'/proc/self/fd/{number}')}")
        except FileNotFoundError:
            # That of the listing.
            continue
    return "\n".join(found).encode()


@atexit.register
def farewell() -> None:
    print(f"farewell of {os.getpid()}", file=sys.stderr, flush=True)


ACTIONS = {
    action.__name__: action
    for action in (
        sleep,
        remember,
        echo,
        lines,
        says,
        whoami,
        die,
        leave,
        end,
        broken,
        stuck,
        hold,
        say,
        descriptors,
        siblings,
    )
}


def slow(seconds: float) -> Iterator[bytes]:
    """Two pieces, and as long between them."""
    yield b"slow "
    time.sleep(seconds)
    yield b"at last"


def drip(pieces: int, then: str) -> Iterator[bytes]:
    """That many pieces, and then the end, or the process's."""
    for _ in range(pieces):
        yield b"x" * 100_000
    if then == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if then == "raise":
        raise LookupError("in mid-response")


def app(environ: dict[str, Any], start_response: Any) -> Any:
    global running, most
    name, _, argument = environ["PATH_INFO"][1:].partition("/")
    with lock:
        running += 1
        most = max(most, running)
    try:
        if name == "drip":
            count, _, then = argument.partition("/")
            start_response("200 OK", [("X-From", str(os.getpid()))])
            return drip(int(count), then)
        if name == "slow":
            start_response("200 OK", [])
            return slow(float(argument))
        if name == "file":
            start_response("200 OK", [("Content-Type", "text/plain")])
            return environ["wsgi.file_wrapper"](open(__file__, "rb"))
        if name == "wrong":
            start_response("200 OK", [("Content-Length", "3")])
            return [b"four"]
        if name == "badhead":
            start_response("200 OK", [("X", "a\nb")])
            return [b""]
        if name == "hints":
            environ["wsgi.early_hints"]([("Link", "</a.css>")])
        if name == "empty":
            start_response("204 No Content", [])
            return []
        if name == "write":
            write = start_response("200 OK", [("Content-Length", "6")])
            write(b"abc")
            return [b"def"]
        body = ACTIONS[name](environ, argument) if name in ACTIONS else b"ok"
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [body]
    finally:
        with lock:
            running -= 1


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """The ASGI form: /sleep/S, and a WebSocket that stays."""
    import asyncio

    global running, most
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass
    if scope["type"] != "http":
        return
    running += 1
    most = max(most, running)
    try:
        await asyncio.sleep(float(scope["path"].rpartition("/")[2] or 0))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"%d" % most})
    finally:
        running -= 1
