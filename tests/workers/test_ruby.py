"""Sinatra and Rails, on whatever Rack comes with them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workers.conftest import Client, Worker, Workers, need
from tests.workers.fronts import AnyFront
from tests.workers.runtimes import RUBY_RACK3, SITES, WORKERS

Serves = Callable[[str], Worker]


@pytest.fixture
def serve(worker: Workers, front: AnyFront) -> Serves:
    """Serves one of the sites on four slots."""

    def serving(site: str) -> Worker:
        command = ["ruby", "-W0", str(WORKERS / "ruby/worker.rb"), "--from", front.url, "--app", "site"]
        return worker([*command, str(SITES / "ruby" / site)], RAILS_ENV="production")

    return serving


def test_sinatra_is_served(serve: Serves, ask: Client) -> None:
    need("ruby", "/usr/share/doc/ruby-sinatra")
    serve("sinatra.ru")
    assert ask("GET", "/hello/you").body == b"hello you, by http from 127.0.0.1 at shop.test:8080"
    fields = ("Content-Type: application/x-www-form-urlencoded", "Cookie: who=me")
    response = ask("POST", "/order", *fields, body=b"what=tea")
    assert response.body == b"tea from me"
    cookies = [value.split(";")[0] for name, value in response.headers if name == "set-cookie"]
    assert cookies == ["order=7", "seen=yes"]
    assert ask("GET", "/parts").body == b"part 0\npart 1\npart 2\n"
    assert ask("HEAD", "/hello/you").body == b""
    moved = ask("GET", "/go")
    assert (moved.status, moved.header("location")) == (302, "http://shop.test:8080/hello/you")
    assert ask("GET", "/fail").status == 500


def test_rack_3_is_what_its_tests_run_on(worker: Workers, front: AnyFront, ask: Client, tmp_path: Path) -> None:
    need(*RUBY_RACK3.needs)
    worker(RUBY_RACK3.command(tmp_path, front.url))
    assert ask("GET", "/rack").body.startswith(b"3.")


def test_rails_is_served(serve: Serves, ask: Client) -> None:
    need("ruby", "/usr/share/doc/ruby-railties")
    serve("rails.ru")
    response = ask("GET", "/hello")
    assert response.body == b"hello from http://shop.test:8080/hello to 127.0.0.1"
    cookies = [value.split("=")[0] for name, value in response.headers if name == "set-cookie"]
    assert "order" in cookies
    assert len(cookies) == 2
    fields = ("Content-Type: application/x-www-form-urlencoded",)
    assert ask("POST", "/order", *fields, body=b"what=tea").body == b'{"what":"tea"}'
    assert ask("GET", "/missing").status == 404
