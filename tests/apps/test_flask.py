"""A Flask application, met by httpx and curl over real sockets."""

import shutil
import subprocess
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from tests.support.server import PATIENCE_S, Server, Servers

SITES = Path(__file__).parent / "sites"
LARGE_BYTES = 8 * 1024 * 1024


@pytest.fixture
def site(server: Servers) -> Server:
    return server("flask_site:app", chdir=SITES)


@pytest.fixture
def client(site: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=site.url, timeout=PATIENCE_S) as client:
        yield client


def test_it_is_seen_to_be_wsgi(site: Server, client: httpx.Client) -> None:
    assert site.interface == "wsgi"
    response = client.get("/")
    assert (response.status_code, response.text) == (200, "Flask over Drawbar")
    assert response.http_version == "HTTP/1.1"


def test_one_connection_carries_many_requests(client: httpx.Client, site: Server) -> None:
    ports = {client.get("/environ").json()["REMOTE_PORT"] for _ in range(20)}
    assert len(ports) == 1


def test_forms(client: httpx.Client) -> None:
    sent = {"name": ["Zoë & Søren"], "colour": ["red", "blue"], "empty": [""]}
    assert client.post("/form", data=sent).json() == sent


def test_an_upload_that_spills(client: httpx.Client) -> None:
    content = bytes(range(256)) * 4096
    files = {"file": ("every byte.bin", content, "application/octet-stream")}
    assert client.post("/upload", files=files, data={"note": "hello"}).json() == {
        "name": "every byte.bin",
        "type": "application/octet-stream",
        "bytes": len(content),
        "sha256": sha256(content).hexdigest(),
        "note": "hello",
    }


def test_a_chunked_body(client: httpx.Client) -> None:
    parts = [b"a" * size for size in (1, 10, 70_000, 3)]
    response = client.post("/echo", content=iter(parts))
    assert "content-length" not in response.request.headers
    assert response.content == b"".join(parts)


def test_cookies_both_ways(client: httpx.Client) -> None:
    assert client.get("/cookie").json() == {}
    assert client.get("/cookie").json() == {"one": "1", "two": "2"}


def test_repeated_fields_stay_apart(client: httpx.Client) -> None:
    cookies = client.get("/cookie").headers.get_list("set-cookie")
    assert cookies == ["one=1; Path=/", "two=2; HttpOnly; Path=/"]


def test_redirects(client: httpx.Client) -> None:
    first = client.get("/redirect")
    assert (first.status_code, first.headers["location"]) == (302, "/")
    assert client.get("/redirect", follow_redirects=True).text == "Flask over Drawbar"


def test_absolute_addresses_name_the_host_of_the_request(client: httpx.Client, site: Server) -> None:
    assert client.get("/external").text == f"{site.url}/"
    assert client.get("/external", headers={"Host": "shop.example"}).text == "http://shop.example/"


def test_head_has_the_fields_of_get_and_no_body(client: httpx.Client) -> None:
    head, get = client.head("/large"), client.get("/large")
    assert head.content == b""
    assert head.headers["content-length"] == get.headers["content-length"] == str(LARGE_BYTES)
    assert client.get("/").text == "Flask over Drawbar"


def test_not_found_and_not_allowed(client: httpx.Client) -> None:
    assert client.get("/missing").status_code == 404
    assert client.get("/nowhere").status_code == 404
    refused = client.delete("/form")
    assert refused.status_code == 405
    assert "POST" in refused.headers["allow"]


def test_a_fault_of_the_application_is_a_500_and_the_connection_stays(client: httpx.Client, site: Server) -> None:
    before = client.get("/environ").json()["REMOTE_PORT"]
    assert client.get("/fault").status_code == 500
    assert client.get("/environ").json()["REMOTE_PORT"] == before
    site.log.wait_for("ZeroDivisionError: a fault of the application's")


def test_a_fault_after_the_head_never_looks_complete(client: httpx.Client, site: Server) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        client.get("/late-fault")
    site.log.wait_for("ZeroDivisionError: a fault after the head")
    assert client.get("/").status_code == 200


def test_a_stream_arrives_as_it_is_made(client: httpx.Client) -> None:
    with client.stream("GET", "/stream") as response:
        lines = response.iter_lines()
        assert next(lines) == "before the gate"
        assert client.post("/open").status_code == 204
        assert next(lines) == "after the gate"
        assert list(lines) == []


def test_large_downloads(client: httpx.Client) -> None:
    expected = sha256(b"0123456789abcdef" * (LARGE_BYTES // 16)).hexdigest()
    for path in ("/large", "/memory-file"):
        assert sha256(client.get(path).content).hexdigest() == expected


def test_files(client: httpx.Client) -> None:
    source = (SITES / "flask_site.py").read_bytes()
    whole = client.get("/file")
    assert whole.content == source
    assert whole.headers["content-length"] == str(len(source))
    part = client.get("/file", headers={"Range": "bytes=4-12"})
    assert (part.status_code, part.content) == (206, source[4:13])
    unchanged = client.get("/file", headers={"If-None-Match": whole.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert client.head("/file").headers["content-length"] == str(len(source))


def test_paths_are_decoded_once(client: httpx.Client) -> None:
    assert client.get("/path/caf%C3%A9/%2541").json() == {"path": "café/%41", "root": ""}


def test_mounted_at_a_path(server: Servers) -> None:
    site = server("flask_site:app", "--root-path", "/shop", chdir=SITES)
    assert httpx.get(f"{site.url}/shop/path/a").json() == {"path": "a", "root": "/shop"}
    assert httpx.get(f"{site.url}/shop/redirect").headers["location"] == "/shop/"


def test_one_thread_serves_as_well(server: Servers) -> None:
    site = server("flask_site:app", "--threads", "1", chdir=SITES)
    environ = httpx.get(f"{site.url}/environ").json()
    assert environ["SERVER_PROTOCOL"] == "HTTP/1.1"


def test_several_workers(server: Servers) -> None:
    site = server("flask_site:app", "--workers", "2", chdir=SITES)
    assert {httpx.get(f"{site.url}/").status_code for _ in range(10)} == {200}


def curl(*arguments: str) -> str:
    """What curl prints. CI has it; a bare machine that only builds need not."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed: apt-get install curl")
    done = subprocess.run(["curl", "--silent", "--show-error", *arguments], capture_output=True, check=True)
    return done.stdout.decode("latin-1")


def test_curl_waits_for_100_continue(site: Server, tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(b"x" * 200_000)
    fields = ["--header", "Expect: 100-continue", "--header", "Content-Type: text/plain"]
    # Without a 100 curl would wait so long that the server gives the body up.
    patient = ["--expect100-timeout", str(10 * PATIENCE_S)]
    said = curl("--include", *fields, *patient, "--data-binary", f"@{body}", f"{site.url}/echo")
    assert said.startswith("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n")
    assert said.endswith("\r\n\r\n" + "x" * 200_000)


def test_curl_speaks_http_1_0(site: Server) -> None:
    head, _, body = curl("--http1.0", "--include", f"{site.url}/generated").partition("\r\n\r\n")
    assert "transfer-encoding" not in head.lower()
    assert body == "".join(f"{number}\n" for number in range(1000))


def test_curl_over_a_unix_socket(server: Servers, tmp_path: Path) -> None:
    path = tmp_path / "site.sock"
    server("flask_site:app", chdir=SITES, bind=f"unix:{path}")
    assert curl("--unix-socket", str(path), "http://site/") == "Flask over Drawbar"


def test_curl_uploads_by_chunks(site: Server, tmp_path: Path) -> None:
    body = tmp_path / "body"
    body.write_bytes(bytes(range(256)) * 1024)
    arguments = ["--header", "Transfer-Encoding: chunked", "--form", f"file=@{body}", "--form", "note=curl"]
    assert sha256(body.read_bytes()).hexdigest() in curl(*arguments, f"{site.url}/upload")
