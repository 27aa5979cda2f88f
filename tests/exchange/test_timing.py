"""Where the time of a request went: its three parts, and the field that tells of them."""

import re
import time
from typing import Any

import pytest

from tests.support.inprocess import Site

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
FIELD = re.compile(r"queue;dur=(\d+\.\d{3}), app;dur=(\d+\.\d{3})")


class Dawdler:
    """An application that notes how long it took at least, in nanoseconds."""

    def __init__(self) -> None:
        self.took_ns = 0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        began = time.monotonic_ns()
        start_response("200 OK", [("Server-Timing", "db;dur=1"), ("Content-Type", "text/plain")])
        while time.monotonic_ns() - began < 1_000_000:
            pass
        self.took_ns = time.monotonic_ns() - began
        return [b"hello"]


def test_a_response_says_it_only_when_told_to() -> None:
    for timing in (False, True):
        with Site(Dawdler(), policy={"server_timing": timing}) as site:
            client = site.connect()
            client.send(GET)
            told = [value for name, value in client.response().headers if name.lower() == "server-timing"]
            # What the application says stays as it is.
            assert told[0] == "db;dur=1"
            assert len(told) == 1 + timing


def test_the_app_took_as_long_as_it_did() -> None:
    app = Dawdler()
    with Site(app, policy={"server_timing": True}, log=True) as site:
        client = site.connect()
        client.send(GET)
        (told,) = [value for name, value in client.response().headers if "queue" in value]
        found = FIELD.fullmatch(told)
        assert found is not None
        assert float(found[2]) * 1e6 >= app.took_ns - 1_000
        (exchange,) = site.completed
        assert exchange.app_ns >= app.took_ns


@pytest.mark.parametrize("body", [b"", b"hi"])
def test_three_parts_are_the_whole(body: bytes) -> None:
    with Site(Dawdler(), log=True) as site:
        client = site.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % len(body))
        site.settle()
        waited = time.monotonic_ns()
        client.send(body)
        waited = time.monotonic_ns() - waited if body else 0
        assert client.response().status == 200
        (exchange,) = site.completed
        assert exchange.client_ns + exchange.queue_ns + exchange.app_ns == exchange.duration_ns
        assert (exchange.client_ns > 0) == bool(body)
