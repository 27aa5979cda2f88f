"""One Django site, served over WSGI and over ASGI: a client cannot tell which."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import httpx
import pytest

from tests.support.server import PATIENCE_S, Server, Servers

SITES = Path(__file__).parent / "sites"
EXAMPLE = Path(__file__).parents[2] / "examples" / "django_app"


@pytest.fixture(params=["wsgi", "asgi"])
def interface(request: pytest.FixtureRequest) -> str:
    assert isinstance(request.param, str)
    return request.param


@pytest.fixture
def site(server: Servers, interface: str) -> Server:
    return server(f"django_site.{interface}", chdir=SITES)


@pytest.fixture
def client(site: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=site.url, timeout=PATIENCE_S) as client:
        yield client


def test_the_module_is_enough_to_name_it(site: Server, client: httpx.Client, interface: str) -> None:
    assert site.interface == interface
    assert client.get("/").text == "Django over Drawbar"


def test_forms_with_csrf(client: httpx.Client) -> None:
    assert client.post("/form", data={"a": "1"}).status_code == 403
    token = client.get("/token").text
    sent = {"csrfmiddlewaretoken": token, "name": ["Zoë", "Søren"]}
    assert client.post("/form", data=sent).json() == {"csrfmiddlewaretoken": [token], "name": ["Zoë", "Søren"]}


def test_an_upload_that_spills(client: httpx.Client) -> None:
    content = bytes(range(256)) * 16384
    answer = client.post("/upload", files={"file": ("big.bin", content)}).json()
    assert answer == {"name": "big.bin", "bytes": len(content), "sha256": sha256(content).hexdigest()}


def test_json_bodies(client: httpx.Client) -> None:
    sent = {"list": list(range(1000)), "text": "ü" * 1000}
    assert client.post("/body", json=sent).json() == {"json": sent}


def test_sessions_in_cookies(client: httpx.Client) -> None:
    assert [client.get("/count").json()["count"] for _ in range(3)] == [1, 2, 3]


def test_redirects(client: httpx.Client) -> None:
    assert client.get("/away", follow_redirects=True).text == "Django over Drawbar"


def test_head(client: httpx.Client) -> None:
    response = client.head("/")
    assert (response.status_code, response.content) == (200, b"")
    assert response.headers["content-length"] == str(len("Django over Drawbar"))


def test_not_found_and_faults(client: httpx.Client, site: Server) -> None:
    assert client.get("/nowhere").status_code == 404
    assert client.get("/fault").status_code == 500
    assert client.get("/").status_code == 200


def test_streams(client: httpx.Client) -> None:
    assert client.get("/stream").text == "".join(f"line {number}\n" for number in range(100))


def test_coroutine_views(client: httpx.Client) -> None:
    assert client.get("/async").text == "from a coroutine"


def test_files(client: httpx.Client) -> None:
    source = (SITES / "django_site" / "urls.py").read_bytes()
    response = client.get("/file")
    assert response.content == source
    assert response.headers["content-length"] == str(len(source))
    assert 'filename="urls.py"' in response.headers["content-disposition"]


def test_paths_queries_and_peers(client: httpx.Client, site: Server) -> None:
    said = client.get("/where/caf%C3%A9%20au%20lait?q=a%26b&r=%C3%A9").json()
    assert said == {
        "path": "/where/café au lait",
        "info": "/where/café au lait",
        "secure": False,
        "host": f"127.0.0.1:{site.port}",
        "peer": "127.0.0.1",
        "query": {"q": "a&b", "r": "é"},
    }


def test_untrusted_forwarding_is_no_fact(client: httpx.Client) -> None:
    said = client.get("/where", headers={"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https"}).json()
    assert (said["peer"], said["secure"]) == ("127.0.0.1", False)


def test_a_trusted_proxy_is_believed(server: Servers, interface: str) -> None:
    site = server(f"django_site.{interface}", "--trusted-proxies", "127.0.0.0/8", chdir=SITES)
    headers = {"X-Forwarded-For": "198.51.100.7, 192.0.2.1, 127.0.0.9", "X-Forwarded-Proto": "https"}
    said = httpx.get(f"{site.url}/where", headers=headers).json()
    assert (said["peer"], said["secure"]) == ("192.0.2.1", True)


def test_mounted_at_a_path(server: Servers, interface: str) -> None:
    site = server(f"django_site.{interface}", "--root-path", "/shop", chdir=SITES)
    said = httpx.get(f"{site.url}/shop/where").json()
    assert (said["path"], said["info"]) == ("/shop/where", "/where")


def test_the_example_greets(server: Servers, interface: str) -> None:
    site = server(f"mysite.{interface}", chdir=EXAMPLE)
    with httpx.Client(base_url=site.url, timeout=PATIENCE_S) as client:
        page = client.get("/").text
        assert f"over {interface.upper()} to 127.0.0.1" in page
        token = page.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
        assert (
            "Hello, Zoë &amp; co."
            in client.post("/greet/", data={"csrfmiddlewaretoken": token, "name": "Zoë & co"}).text
        )
