"""A Starlette application over HTTP: bodies, streams, lifespan, disconnects."""

import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from tests.conftest import Connect
from tests.support.server import PATIENCE_S, Server, Servers

SITES = Path(__file__).parent / "sites"
LARGE_BYTES = 8 * 1024 * 1024


@pytest.fixture(params=["asyncio", "uvloop"])
def site(server: Servers, request: pytest.FixtureRequest) -> Server:
    return server("starlette_site:app", "--loop", request.param, chdir=SITES)


@pytest.fixture
def client(site: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=site.url, timeout=PATIENCE_S) as client:
        yield client


def test_it_is_seen_to_be_asgi(site: Server, client: httpx.Client) -> None:
    assert site.interface == "asgi"
    assert client.get("/").text == "Starlette over Drawbar"


def test_requests_run_in_a_task_of_the_chosen_loop(client: httpx.Client, request: pytest.FixtureRequest) -> None:
    said = client.get("/task").json()
    assert said["task"] is True
    assert ("uvloop" in said["loop"]) == ("uvloop" in request.node.name)


def test_lifespan_brackets_the_requests(site: Server, client: httpx.Client) -> None:
    client.get("/")
    assert "lifespan: startup" in site.log.text
    assert "lifespan: shutdown" not in site.log.text
    client.close()
    site.stop()
    assert "lifespan: shutdown" in site.log.text


def test_state_is_a_copy_for_each_request(client: httpx.Client) -> None:
    assert client.get("/seen?name=a").json() == ["a"]
    assert client.get("/seen?name=b").json() == ["a", "b"]


def test_the_scope(site: Server, client: httpx.Client) -> None:
    said = client.get("/scope/caf%C3%A9?q=%20a", headers=[("X-Twice", "1"), ("x-twice", "2")]).json()
    assert said["path"] == "/scope/café"
    assert said["raw_path"] == "/scope/caf%C3%A9"
    assert said["query_string"] == "q=%20a"
    assert [said["type"], said["http_version"], said["method"], said["scheme"]] == ["http", "1.1", "GET", "http"]
    assert said["root_path"] == ""
    assert said["client"][0] == "127.0.0.1"
    assert said["server"] == ["127.0.0.1", site.port]
    assert said["asgi"]["version"] == "3.0"
    assert [pair for pair in said["headers"] if pair[0] == "x-twice"] == [["x-twice", "1"], ["x-twice", "2"]]


def test_mounted_applications(client: httpx.Client) -> None:
    said = client.get("/inner/scope").json()
    assert (said["path"], said["root_path"]) == ("/inner/scope", "/inner")


def test_mounted_at_a_path(server: Servers) -> None:
    site = server("starlette_site:app", "--root-path", "/shop", chdir=SITES)
    said = httpx.get(f"{site.url}/shop/scope").json()
    assert (said["path"], said["root_path"]) == ("/shop/scope", "/shop")


def test_bodies_with_a_length_and_in_chunks(client: httpx.Client) -> None:
    content = bytes(range(256)) * 2048
    expected = {"bytes": len(content), "sha256": sha256(content).hexdigest()}
    for sent in (content, iter([content[:10], content[10:300_000], content[300_000:]])):
        said = client.post("/digest", content=sent).json()
        assert {name: said[name] for name in expected} == expected
    assert client.post("/digest", content=b"").json()["bytes"] == 0


def test_file_uploads(client: httpx.Client) -> None:
    content = os.urandom(300_000)
    said = client.post("/form", files={"file": ("any.bin", content)}).json()
    assert said == {"name": "any.bin", "bytes": len(content), "sha256": sha256(content).hexdigest()}


def test_a_client_that_leaves_in_its_body(site: Server, connect: Connect) -> None:
    client = connect(site)
    client.send(b"POST /upload-cut HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nonly this")
    client.close()
    site.log.wait_for("upload: client disconnected")


def test_background_tasks_follow_the_response(site: Server, client: httpx.Client) -> None:
    assert client.get("/background").text == "answered"
    assert "background: done" not in site.log.text
    with httpx.Client(base_url=site.url, timeout=PATIENCE_S) as other:
        other.post("/open")
    site.log.wait_for("background: done")


def test_a_stream_arrives_as_it_is_made(client: httpx.Client) -> None:
    with client.stream("GET", "/stream") as response:
        lines = response.iter_lines()
        assert next(lines) == "before the gate"
        assert client.post("/open").status_code == 204
        assert list(lines) == ["after the gate"]


def test_events_until_the_browser_goes(site: Server, client: httpx.Client) -> None:
    with client.stream("GET", "/events") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = response.iter_lines()
        assert [next(lines) for _ in range(6)] == ["id: 0", "data: tick 0", "", "id: 1", "data: tick 1", ""]
        assert "events: ended" not in site.log.text
    site.log.wait_for("events: ended")
    assert client.get("/").status_code == 200


def test_a_reader_that_stops_holds_the_application_back(site: Server, connect: Connect) -> None:
    reader = connect(site)
    reader.send(b"GET /flood HTTP/1.1\r\nHost: a\r\n\r\n")
    reader.read_until(b"\r\n\r\n")
    # It goes without having read: what the application was let to send is what the buffers on the way could hold.
    reader.close()
    stopped = site.log.wait_for(r"flood: stopped after (\d+)")
    assert int(stopped[1]) < 16 * 1024 * 1024


def test_large_downloads(client: httpx.Client) -> None:
    expected = sha256(b"0123456789abcdef" * (LARGE_BYTES // 16)).hexdigest()
    assert sha256(client.get("/large").content).hexdigest() == expected


def test_files(client: httpx.Client) -> None:
    source = (SITES / "starlette_site.py").read_bytes()
    for path in ("/file", "/static/starlette_site.py"):
        assert client.get(path).content == source
        head = client.head(path)
        assert (head.content, head.headers["content-length"]) == (b"", str(len(source)))
    part = client.get("/file", headers={"Range": "bytes=0-8"})
    assert (part.status_code, part.content) == (206, source[:9])
    etag = client.get("/static/starlette_site.py").headers["etag"]
    unchanged = client.get("/static/starlette_site.py", headers={"If-None-Match": etag})
    assert (unchanged.status_code, unchanged.content) == (304, b"")


def test_a_large_file(server: Servers, tmp_path: Path) -> None:
    path = tmp_path / "large.bin"
    path.write_bytes(os.urandom(1 << 20) * 32)
    site = server("starlette_site:app", chdir=SITES, env=dict(os.environ, LARGE_FILE=str(path)))
    with httpx.stream("GET", f"{site.url}/large-file", timeout=PATIENCE_S) as response:
        received = sha256()
        for part in response.iter_bytes():
            received.update(part)
    assert received.digest() == sha256(path.read_bytes()).digest()


def test_redirects_cookies_and_missing_pages(client: httpx.Client) -> None:
    assert client.get("/away").headers["location"] == "/"
    assert client.get("/away", follow_redirects=True).text == "Starlette over Drawbar"
    assert client.get("/cookie").headers.get_list("set-cookie") == [
        "one=1; Path=/; SameSite=lax",
        "two=2; Path=/; SameSite=lax",
    ]
    assert client.get("/cookie").json() == {"one": "1", "two": "2"}
    assert client.get("/nowhere").status_code == 404
    assert client.post("/").status_code == 405


def test_head_has_no_body(client: httpx.Client) -> None:
    response = client.head("/large")
    assert (response.content, response.headers["content-length"]) == (b"", str(LARGE_BYTES))
    assert client.get("/").text == "Starlette over Drawbar"


def test_a_fault_of_the_application_is_a_500(client: httpx.Client, site: Server) -> None:
    assert client.get("/fault").status_code == 500
    site.log.wait_for("ZeroDivisionError: a fault of the application's")
    assert client.get("/").status_code == 200


def test_a_fault_after_the_head_never_looks_complete(client: httpx.Client, site: Server) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        client.get("/late-fault")
    site.log.wait_for("ZeroDivisionError: a fault after the head")


def test_one_connection_carries_many_requests(client: httpx.Client) -> None:
    assert len({client.get("/scope").json()["client"][1] for _ in range(20)}) == 1


def test_pipelined_requests_are_answered_in_order(site: Server, connect: Connect) -> None:
    client = connect(site)
    paths = [b"/scope/%d" % number for number in range(16)]
    client.send(b"".join(b"GET %s HTTP/1.1\r\nHost: a\r\n\r\n" % path for path in paths))
    bodies = [client.response().body for _ in paths]
    assert [path in body for path, body in zip(paths, bodies, strict=True)] == [True] * len(paths)
