"""A FastAPI application: a chat over WebSockets, and a clock that the server pushes as events.

Run it:  pip install fastapi;  drawbar run --chdir examples fastapi_app:app      then open http://127.0.0.1:8000/ twice
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import HTMLResponse, StreamingResponse

PAGE = """<!doctype html>
<meta charset="utf-8"><title>Chat</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem }
  output { float: right; opacity: .6 }
  ol { list-style: none; padding: 0 } li { border-top: 1px solid #8884; padding: .3rem 0 }
</style>
<output id="clock"></output>
<h1>Chat</h1>
<form id="form"><input id="line" maxlength="500" autofocus autocomplete="off"> <button>Send</button></form>
<ol id="lines"></ol>
<script>
  const show = text => {
    const item = document.createElement("li"); item.textContent = text; lines.prepend(item);
  };
  const socket = new WebSocket(location.href.replace(/^http/, "ws").replace(/\\/?$/, "/chat"));
  socket.onopen = () => show("You are in. Open this page in a second window.");
  socket.onmessage = event => show(event.data);
  socket.onclose = () => show("The server is gone.");
  form.onsubmit = event => { event.preventDefault(); if (line.value) socket.send(line.value); line.value = ""; };
  new EventSource("clock").onmessage = event => clock.value = event.data;
</script>
"""

app = FastAPI()
# The guests of this worker process. With several workers they would need a message broker between them.
guests: set[WebSocket] = set()


@app.get("/")
async def page() -> HTMLResponse:
    """The chat's page."""
    return HTMLResponse(PAGE)


@app.websocket("/chat")
async def chat(socket: WebSocket) -> None:
    """Passes every line on to all guests, its sender too."""
    await socket.accept()
    guests.add(socket)
    try:
        while True:
            line = await socket.receive_text()
            await asyncio.gather(*(guest.send_text(line) for guest in guests), return_exceptions=True)
    except WebSocketDisconnect:
        pass
    finally:
        guests.discard(socket)


@app.get("/clock")
async def clock() -> StreamingResponse:
    """The time, once a second, as server-sent events. Ends when the browser goes away."""

    async def ticks() -> AsyncIterator[str]:
        while True:
            yield f"data: {datetime.now():%H:%M:%S}\n\n"
            await asyncio.sleep(1)

    return StreamingResponse(ticks(), media_type="text/event-stream", headers={"Cache-Control": "no-store"})
