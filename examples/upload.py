"""Upload with progress, measured on the server: it reads while the browser still sends.

Run it:  drawbar run --chdir examples upload:app --stream-input --limit-body-bytes 0      then open http://127.0.0.1:8000/

By default a whole body is received, to memory or a temporary file, before a WSGI application is called: a slow client
then costs no thread. `--stream-input` calls it at once, which is what a progress bar fed by the server wants.
"""

import json
import threading
from collections.abc import Iterator
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

PAGE = b"""<!doctype html>
<meta charset="utf-8"><title>Upload</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem }
  progress { width: 100%; height: 1.5rem } code { overflow-wrap: anywhere }
</style>
<h1>Upload</h1>
<p><input type="file" id="file">
<p><progress id="bar" value="0"></progress>
<p id="said">Choose a file. It is read, hashed and thrown away.
<script>
  file.onchange = async () => {
    const chosen = file.files[0], id = Math.random().toString(36).slice(2);
    bar.max = chosen.size; bar.value = 0;
    const events = new EventSource(`progress?id=${id}`);
    events.onmessage = event => {
      bar.value = event.data; said.textContent = `The server has read ${event.data} bytes.`;
    };
    const response = await fetch(`upload?id=${id}`, { method: "POST", body: chosen });
    events.close();
    const answer = await response.json();
    bar.value = answer.bytes; said.innerHTML = `${answer.bytes} bytes, SHA-256 <code>${answer.sha256}</code>`;
  };
</script>
"""
READ_BYTES = 64 * 1024


class Transfer:
    """How far one upload has come. Its reader moves it, and any number of watchers wait for it to move."""

    def __init__(self) -> None:
        self.bytes = 0
        self.ended = False
        self._moved = threading.Condition()

    def move(self, count: int, ended: bool = False) -> None:
        """`count` more bytes have been read."""
        with self._moved:
            self.bytes += count
            self.ended = ended
            self._moved.notify_all()

    def wait(self, known: int) -> int:
        """The bytes read, once they are more than `known`, or the upload has ended, or half a minute has passed."""
        with self._moved:
            self._moved.wait_for(lambda: self.bytes > known or self.ended, timeout=30)
            return self.bytes


# Of this process only: with several workers, progress belongs in something they share.
transfers: dict[str, Transfer] = {}
lock = threading.Lock()


def transfer_of(environ: "WSGIEnvironment") -> tuple[str, Transfer]:
    """The transfer that the request's `id` names; page and upload may come in either order."""
    name = parse_qs(environ.get("QUERY_STRING", "")).get("id", ["-"])[0]
    with lock:
        return name, transfers.setdefault(name, Transfer())


def upload(environ: "WSGIEnvironment", start_response: "StartResponse") -> list[bytes]:
    """Reads the body as it comes and says what it was."""
    name, transfer = transfer_of(environ)
    digest = sha256()
    try:
        while data := environ["wsgi.input"].read(READ_BYTES):
            digest.update(data)
            transfer.move(len(data))
    finally:
        transfer.move(0, ended=True)
        with lock:
            transfers.pop(name, None)
    body = json.dumps({"bytes": transfer.bytes, "sha256": digest.hexdigest()}).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def progress(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterator[bytes]:
    """The bytes read so far as server-sent events, until the upload ends."""
    _, transfer = transfer_of(environ)
    start_response("200 OK", [("Content-Type", "text/event-stream"), ("Cache-Control", "no-store")])
    known = 0
    while not transfer.ended:
        known = transfer.wait(known)
        yield b"data: %d\n\n" % known


def page(environ: "WSGIEnvironment", start_response: "StartResponse") -> list[bytes]:
    """The form."""
    start_response("200 OK", [("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(PAGE)))])
    return [PAGE]


def app(environ: "WSGIEnvironment", start_response: "StartResponse") -> list[bytes] | Iterator[bytes]:
    """The application."""
    if environ["PATH_INFO"] == "/upload" and environ["REQUEST_METHOD"] == "POST":
        return upload(environ, start_response)
    if environ["PATH_INFO"] == "/progress":
        return progress(environ, start_response)
    return page(environ, start_response)
