"""The example of several applications, as it is started."""

from pathlib import Path

from tests.support.raw import RawClient
from tests.support.server import Server, Servers
from tests.workers.conftest import need

EXAMPLE = Path(__file__).parents[2] / "examples" / "several"
GUIDE = Path(__file__).parents[2] / "docs" / "several-applications.md"


def ask(site: Server, path: str) -> str:
    with RawClient((site.host, site.port)) as client:
        response = client.request(f"GET {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode())
    assert response.status == 200, response.body
    return response.body.decode()


def test_a_blog_a_shop_and_news_in_ruby(server: Servers) -> None:
    need("ruby", "/usr/share/doc/ruby-rack")
    site = server(None, cwd=EXAMPLE)
    assert "for blog (2 workers), shop (0 workers), news (1 worker)" in site.log.text
    assert ask(site, "/").startswith("The Drawbar Gazette, written by process ")
    assert ask(site, "/shop/cart").startswith("/cart of the shop at /shop, process ")
    assert ask(site, "/news/today").startswith("Ruby ")
    site.log.wait_for("shop: 1 worker from now on, as requests wait")


def test_the_guide_shows_it_as_it_is() -> None:
    assert (EXAMPLE / "drawbar.toml").read_text().split("\n", 1)[1] in GUIDE.read_text()
