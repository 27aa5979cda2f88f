"""A FastAPI application, and the example's chat, met by httpx and the websockets client."""

import json
import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect as connect_websocket

from tests.support.server import PATIENCE_S, Server, Servers

SITES = Path(__file__).parent / "sites"
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def site(server: Servers) -> Server:
    return server("fastapi_site:app", chdir=SITES)


@pytest.fixture
def client(site: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=site.url, timeout=PATIENCE_S) as client:
        yield client


def test_lifespan_has_run(client: httpx.Client, site: Server) -> None:
    assert client.get("/").json() == {"ready": True}
    client.close()
    site.stop()
    assert "lifespan: shutdown" in site.log.text


def test_typed_bodies_and_fields(client: httpx.Client) -> None:
    item = {"name": "drawbar", "price": 9.5, "tags": ["steel", "painted"]}
    put = client.put("/items/7", json=item, headers={"X-Token": "secret"})
    assert put.json() == {"number": 7, "item": item, "token": "secret"}
    refused = client.put("/items/seven", json={"name": 1}, headers={"X-Token": "secret"})
    assert refused.status_code == 422
    assert {error["loc"][-1] for error in refused.json()["detail"]} == {"number", "name", "price"}


def test_blocking_endpoints_leave_the_loop(client: httpx.Client) -> None:
    assert client.get("/blocking").json() == {"main": False}


def test_dependencies_are_cleaned_up(client: httpx.Client, site: Server) -> None:
    assert client.get("/session").json() == {"session": "open"}
    site.log.wait_for("session: closed")


def test_uploads(client: httpx.Client) -> None:
    content = os.urandom(2_000_000)
    said = client.post("/upload", files={"file": ("a.bin", content)}, data={"note": "two megabytes"}).json()
    expected = {"name": "a.bin", "note": "two megabytes", "bytes": len(content), "sha256": sha256(content).hexdigest()}
    assert said == expected


def test_background_tasks(client: httpx.Client, site: Server) -> None:
    assert client.post("/later").status_code == 202
    site.log.wait_for("background: done")


def test_errors_carry_their_fields(client: httpx.Client) -> None:
    response = client.get("/teapot")
    assert (response.status_code, response.headers["x-pot"]) == (418, "tea")
    assert response.reason_phrase == "I'm a teapot"


def test_streams(client: httpx.Client) -> None:
    assert client.get("/lines").text == "".join(f"{number}\n" for number in range(1000))


def test_the_schema_and_its_page(client: httpx.Client) -> None:
    assert "/items/{number}" in client.get("/openapi.json").json()["paths"]
    assert "swagger-ui" in client.get("/docs").text


def test_websockets_with_path_and_query(site: Server) -> None:
    with connect_websocket(f"ws://{site.host}:{site.port}/rooms/lobby?name=Zo%C3%AB", proxy=None) as socket:
        socket.send("hello")
        assert json.loads(socket.recv(PATIENCE_S)) == {"room": "lobby", "name": "Zoë", "line": "hello"}


def test_the_examples_chat_and_clock(server: Servers) -> None:
    site = server("fastapi_app:app", chdir=EXAMPLES)
    address = f"ws://{site.host}:{site.port}/chat"
    with connect_websocket(address, proxy=None) as one, connect_websocket(address, proxy=None) as other:
        # A guest counts once the server has heard of it: its own line coming back says so.
        one.send("one is here")
        assert one.recv(PATIENCE_S) == "one is here"
        other.send("hello from other")
        assert one.recv(PATIENCE_S) in {"one is here", "hello from other"}
    with httpx.stream("GET", f"{site.url}/clock", timeout=PATIENCE_S) as response:
        assert next(response.iter_lines()).startswith("data: ")
