"""A Starlette application with an endpoint for each thing an ASGI server can get wrong."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import TypedDict

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect, Request
from starlette.responses import (
    FileResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Send
from starlette.websockets import WebSocket, WebSocketDisconnect


class State(TypedDict):
    """What lifespan hands to every request."""

    greeting: str
    seen: list[str]


def say(line: str) -> None:
    """A line for the test, which reads the server's log."""
    print(line, file=sys.stderr, flush=True)


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[State]:
    say("lifespan: startup")
    yield {"greeting": "Starlette over Drawbar", "seen": []}
    say("lifespan: shutdown")


async def index(request: Request) -> Response:
    return PlainTextResponse(request.state.greeting)


async def seen(request: Request) -> Response:
    # The list is shared, the dictionary that holds it is each request's own.
    request.state.seen.append(request.query_params.get("name", ""))
    assert not hasattr(request.state, "mine")
    request.state.mine = True
    return JSONResponse(request.state.seen)


async def scope(request: Request) -> Response:
    kept = ("type", "http_version", "method", "scheme", "path", "root_path", "client", "server", "asgi")
    raw = {"raw_path": request.scope["raw_path"].decode(), "query_string": request.scope["query_string"].decode()}
    headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in request.scope["headers"]]
    return JSONResponse({name: request.scope[name] for name in kept} | raw | {"headers": headers})


async def task(request: Request) -> Response:
    current = asyncio.current_task()
    return JSONResponse({"task": current is not None, "loop": type(asyncio.get_running_loop()).__module__})


async def digest(request: Request) -> Response:
    total, parts, hashed = 0, 0, sha256()
    async for part in request.stream():
        total, parts = total + len(part), parts + bool(part)
        hashed.update(part)
    return JSONResponse({"bytes": total, "parts": parts, "sha256": hashed.hexdigest()})


async def upload_cut(request: Request) -> Response:
    try:
        await request.body()
    except ClientDisconnect:
        say("upload: client disconnected")
    return PlainTextResponse("read")


async def form(request: Request) -> Response:
    async with request.form() as fields:
        file = fields["file"]
        assert not isinstance(file, str)
        content = await file.read()
        return JSONResponse({"name": file.filename, "bytes": len(content), "sha256": sha256(content).hexdigest()})


async def background(request: Request) -> Response:
    async def work() -> None:
        # The response must be on its way although this never ends by itself.
        await gate.wait()
        say("background: done")

    return PlainTextResponse("answered", background=BackgroundTask(work))


gate = asyncio.Event()


async def open_gate(request: Request) -> Response:
    gate.set()
    return Response(status_code=204)


async def stream(request: Request) -> Response:
    async def parts() -> AsyncIterator[str]:
        yield "before the gate\n"
        await gate.wait()
        yield "after the gate\n"

    return StreamingResponse(parts(), media_type="text/plain")


async def events(request: Request) -> Response:
    async def ticks() -> AsyncIterator[str]:
        try:
            for number in range(3):
                yield f"id: {number}\ndata: tick {number}\n\n"
            # Only a browser that is gone ends this.
            while not await request.is_disconnected():
                yield ": still here\n\n"
                await asyncio.sleep(0.01)
        finally:
            say("events: ended")

    return StreamingResponse(ticks(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})


class Flood(StreamingResponse):
    """Says how much was sent when sending ends, whatever ends it."""

    sent = 0

    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        finally:
            say(f"flood: stopped after {self.sent}")

    async def parts(self) -> AsyncIterator[bytes]:
        part = b"x" * 65536
        while True:
            yield part
            self.sent += len(part)


async def flood(request: Request) -> Response:
    response = Flood(())
    response.body_iterator = response.parts()
    return response


async def large(request: Request) -> Response:
    return Response(b"0123456789abcdef" * (8 * 1024 * 1024 // 16))


async def file(request: Request) -> Response:
    return FileResponse(__file__)


async def large_file(request: Request) -> Response:
    return FileResponse(os.environ["LARGE_FILE"])


async def away(request: Request) -> Response:
    return RedirectResponse("/")


async def cookie(request: Request) -> Response:
    response = JSONResponse(request.cookies)
    response.set_cookie("one", "1")
    response.set_cookie("two", "2")
    return response


async def fault(request: Request) -> Response:
    raise ZeroDivisionError("a fault of the application's")


async def late_fault(request: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        yield b"the first part"
        raise ZeroDivisionError("a fault after the head")

    return StreamingResponse(parts())


async def echo(socket: WebSocket) -> None:
    offered = socket.scope["subprotocols"]
    await socket.accept(subprotocol="chat.v2" if "chat.v2" in offered else None, headers=[(b"x-room", b"lobby")])
    try:
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message["code"], message.get("reason"))
            if message.get("text") is not None:
                await socket.send_text(message["text"])
            else:
                await socket.send_bytes(message["bytes"])
    except WebSocketDisconnect as end:
        say(f"echo: disconnected {end.code} {end.reason or '-'}")


async def closing(socket: WebSocket) -> None:
    await socket.accept()
    await socket.close(4321, "enough")


async def refusing(socket: WebSocket) -> None:
    await socket.close()


async def denying(socket: WebSocket) -> None:
    await socket.send_denial_response(JSONResponse({"why": "no ticket"}, status_code=401, headers={"X-Door": "shut"}))


async def failing(socket: WebSocket) -> None:
    await socket.accept()
    raise ZeroDivisionError("a fault in a socket")


app = Starlette(
    lifespan=lifespan,
    routes=[
        Route("/", index),
        Route("/seen", seen),
        Route("/scope", scope),
        Route("/scope/{rest:path}", scope),
        Route("/task", task),
        Route("/digest", digest, methods=["POST"]),
        Route("/upload-cut", upload_cut, methods=["POST"]),
        Route("/form", form, methods=["POST"]),
        Route("/background", background),
        Route("/open", open_gate, methods=["POST"]),
        Route("/stream", stream),
        Route("/events", events),
        Route("/flood", flood),
        Route("/large", large),
        Route("/file", file),
        Route("/large-file", large_file),
        Route("/away", away),
        Route("/cookie", cookie),
        Route("/fault", fault),
        Route("/late-fault", late_fault),
        WebSocketRoute("/echo", echo),
        WebSocketRoute("/closing", closing),
        WebSocketRoute("/refusing", refusing),
        WebSocketRoute("/denying", denying),
        WebSocketRoute("/failing", failing),
        Mount("/static", StaticFiles(directory=Path(__file__).parent)),
        Mount("/inner", Starlette(routes=[Route("/scope", scope)])),
    ],
)
