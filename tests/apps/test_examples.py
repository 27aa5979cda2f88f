"""The examples do what their first lines promise."""

import re
import threading
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import httpx
from websockets.sync.client import connect as connect_websocket

from tests.support.server import PATIENCE_S, Servers

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_each_says_how_to_run_it() -> None:
    for path in EXAMPLES.glob("*.py"):
        assert re.search(r"^Run it:.*drawbar run --chdir examples \w+:app", path.read_text(), re.MULTILINE), path.name


def test_hello_shows_the_request_and_escapes_it(server: Servers) -> None:
    site = server("hello:app", chdir=EXAMPLES)
    page = httpx.get(f"{site.url}/a/b", params={"q": "1"}, headers={"X-Note": "<script>"})
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "It <span>works</span>" in page.text
    assert "GET /a/b?q=1 HTTP/1.1" in page.text
    assert "&lt;script&gt;" in page.text
    assert "<script>" not in page.text


def test_a_file_can_be_named_by_its_path(server: Servers) -> None:
    site = server(str(EXAMPLES / "hello.py") + ":app")
    assert httpx.get(site.url).status_code == 200


def test_plain_asgi_answers_and_echoes(server: Servers) -> None:
    site = server("plain_asgi:app", chdir=EXAMPLES)
    said = httpx.post(f"{site.url}/here", content=b"x" * 100_000).json()
    assert (said["method"], said["path"], said["body_bytes"]) == ("POST", "/here", 100_000)
    with connect_websocket(f"ws://{site.host}:{site.port}/", proxy=None) as socket:
        for message in ("text", b"bytes"):
            socket.send(message)
            assert socket.recv(PATIENCE_S) == message


def test_flask_keeps_a_guest_book(server: Servers) -> None:
    site = server("flask_app:app", chdir=EXAMPLES)
    with httpx.Client(base_url=site.url, follow_redirects=True, timeout=PATIENCE_S) as client:
        assert "Nobody was here yet" in client.get("/").text
        assert "Zoë &amp; Søren" in client.post("/", data={"line": "Zoë & Søren"}).text


def test_upload_tells_its_progress_while_it_reads(server: Servers) -> None:
    site = server("upload:app", "--stream-input", "--limit-body-bytes", "0", chdir=EXAMPLES)
    # It reads 64 KiB at a time, and a read waits until it has them.
    first, rest = b"a" * 131_072, b"b" * 200_000
    first_was_read = threading.Event()

    def watch() -> None:
        with httpx.stream("GET", f"{site.url}/progress?id=one", timeout=PATIENCE_S) as events:
            for line in events.iter_lines():
                if line.startswith("data: ") and int(line.removeprefix("data: ")) >= len(first):
                    first_was_read.set()

    def body() -> Iterator[bytes]:
        yield first
        # Only a server that hands bytes on as they come lets this go on.
        assert first_was_read.wait(PATIENCE_S)
        yield rest

    watcher = threading.Thread(target=watch)
    watcher.start()
    said = httpx.post(f"{site.url}/upload?id=one", content=body(), timeout=2 * PATIENCE_S).json()
    watcher.join(PATIENCE_S)
    assert said == {"bytes": len(first + rest), "sha256": sha256(first + rest).hexdigest()}
    assert not watcher.is_alive()
