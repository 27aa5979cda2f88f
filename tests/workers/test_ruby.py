"""Sinatra, on whatever Rack comes with it."""

from pathlib import Path

import pytest

from tests.workers.conftest import Client, Worker, Workers, need
from tests.workers.fronts import AnyFront
from tests.workers.runtimes import SITES, WORKERS


@pytest.fixture
def site(worker: Workers, front: AnyFront, tmp_path: Path) -> Worker:
    """A Sinatra application on four slots."""
    need("ruby", "/usr/share/doc/ruby-sinatra")
    config = str(SITES / "ruby/sinatra.ru")
    command = [
        "ruby",
        "-W:no-deprecated",
        str(WORKERS / "ruby/worker.rb"),
        "--from",
        front.url,
        "--app",
        "site",
        config,
    ]
    return worker(command)


@pytest.mark.usefixtures("site")
def test_sinatra_is_served(ask: Client) -> None:
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
