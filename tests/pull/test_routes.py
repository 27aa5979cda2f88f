"""Which app gets a request, seen at the queues."""

import pytest

from drawbar.pull.queue import AppQueue
from drawbar.pull.routes import Route, RouteTable
from tests.support.fronts import FrontSite

ROUTES = {
    "main": [Route("example.com"), Route("example.com", "/shop/old")],
    "shop": [Route("EXAMPLE.com.", "/shop/"), Route("*.shops.test")],
    "deep": [Route("*.one.shops.test", "/deep")],
    "any": [Route(None, "/any")],
}


@pytest.mark.parametrize(
    ("host", "target", "app"),
    [
        ("example.com", "/", "main"),
        ("Example.COM:8080", "/shopping", "main"),
        ("example.com", "/shop", "shop"),
        ("example.com", "/shop/cart?x", "shop"),
        ("example.com", "/shop/old/1", "main"),
        ("example.com", "/%73hop", "main"),
        ("example.com", "http://one.shops.test/shop", "shop"),
        ("one.shops.test", "/", "shop"),
        ("two.one.shops.test", "/any", "shop"),
        ("three.two.one.shops.test", "/", "shop"),
        ("three.two.one.shops.test:80", "/deep", "deep"),
        ("one.shops.test", "/deep", "shop"),
        (".shops.test", "/", None),
        ("a." * 121 + "shops.test", "/", "shop"),
        ("a." * 122 + "shops.test", "/any", "any"),
        ("oneshops.test", "/", None),
        ("shops.test", "/", None),
        ("[::1]:80", "/any/1", "any"),
        ("[::1]", "/", None),
        ("", "/any", "any"),
    ],
)
def test_the_most_exact_host_wins_and_then_the_longest_prefix(host: str, target: str, app: str | None) -> None:
    with FrontSite(routes=[Route("nowhere.test")]) as site:
        queues = {name: AppQueue(name) for name in ROUTES}
        for name, routes in ROUTES.items():
            site.front.add_app(name, queues[name], routes)
        client = site.connect()
        client.send(f"GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert [name for name, queue in queues.items() if queue.queued] == ([app] if app else [])
        if app is None:
            assert client.response().status == 404
        client.close()


def test_a_server_hears_under_which_prefix_it_is_found() -> None:
    with FrontSite(routes=[Route(None, "/blog/")]) as site:
        client, worker = site.connect(), site.worker()
        client.send(b"GET /blog/post HTTP/1.1\r\nHost: test\r\n\r\n")
        head = worker.serve()
        assert head.startswith(b"GET /blog/post HTTP/1.1\r\n")
        assert b"\r\nX-Forwarded-Prefix: /blog\r\n" in head
        assert client.response().status == 200


def test_two_apps_cannot_be_at_one_place() -> None:
    table = RouteTable()
    table.add(Route("a.test", "/x"), "one")
    table.add(Route(None, "/x"), "two")
    with pytest.raises(ValueError, match=r"two apps at A\.test, /x/"):
        table.add(Route("A.test", "/x/"), "three")


@pytest.mark.parametrize("wrong", [{"prefix": "x"}, {"priority": 4}, {"priority": -1}])
def test_a_route_that_leads_nowhere_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"a prefix begins with a slash|a priority is 0 to 3"):
        Route(None, **wrong)  # type: ignore[arg-type]
