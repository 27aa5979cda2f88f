"""A FastAPI application: typed bodies, dependencies that clean up, background tasks, a WebSocket."""

import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Annotated

from fastapi import BackgroundTasks, Depends, FastAPI, Form, Header, HTTPException, UploadFile, WebSocket
from fastapi.responses import StreamingResponse
from pydantic import BaseModel


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    app.state.ready = True
    yield
    print("lifespan: shutdown", file=sys.stderr, flush=True)


app = FastAPI(lifespan=lifespan)


class Item(BaseModel):
    """What is put on the shelf."""

    name: str
    price: float
    tags: list[str] = []


async def session() -> AsyncIterator[str]:
    yield "open"
    print("session: closed", file=sys.stderr, flush=True)


@app.get("/")
async def index() -> dict[str, bool]:
    return {"ready": app.state.ready}


@app.put("/items/{number}")
async def put(number: int, item: Item, x_token: Annotated[str, Header()]) -> dict[str, object]:
    return {"number": number, "item": item.model_dump(), "token": x_token}


@app.get("/blocking")
def blocking() -> dict[str, bool]:
    return {"main": threading.current_thread() is threading.main_thread()}


@app.get("/session")
async def with_session(state: Annotated[str, Depends(session)]) -> dict[str, str]:
    return {"session": state}


@app.post("/upload")
async def upload(file: UploadFile, note: Annotated[str, Form()]) -> dict[str, object]:
    content = await file.read()
    return {"name": file.filename, "note": note, "bytes": len(content), "sha256": sha256(content).hexdigest()}


@app.post("/later", status_code=202)
async def later(tasks: BackgroundTasks) -> dict[str, str]:
    tasks.add_task(print, "background: done", file=sys.stderr, flush=True)
    return {"status": "accepted"}


@app.get("/teapot")
async def teapot() -> None:
    raise HTTPException(418, detail="short and stout", headers={"X-Pot": "tea"})


@app.get("/lines")
async def lines() -> StreamingResponse:
    async def body() -> AsyncIterator[str]:
        for number in range(1000):
            yield f"{number}\n"

    return StreamingResponse(body(), media_type="text/plain")


@app.websocket("/rooms/{room}")
async def room(socket: WebSocket, room: str, name: str = "nobody") -> None:
    await socket.accept()
    async for line in socket.iter_text():
        await socket.send_json({"room": room, "name": name, "line": line})
