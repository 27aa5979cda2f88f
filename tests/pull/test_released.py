"""A worker that leaves while a request is on its way to it says that it was not begun: another one gets it."""

import pytest

from drawbar.pull.handshake import RELEASED
from tests.support.fronts import GET, OK, FrontSite, field

POST = b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 3\r\n\r\nabc"


@pytest.mark.parametrize("request_bytes", [GET, POST])
def test_what_was_not_begun_goes_to_another_worker(request_bytes: bytes) -> None:
    with FrontSite() as site:
        leaving = site.worker()
        client = site.connect()
        client.send(request_bytes)
        leaving.request()
        leaving.send(RELEASED)
        staying = site.worker()
        head = staying.serve(OK)
        assert field(head, "Drawbar-Attempt") == "1"
        assert client.response().body == b"ok"


def test_an_answer_that_has_begun_is_none_that_gives_back() -> None:
    with FrontSite() as site:
        worker = site.worker()
        client = site.connect()
        client.send(GET)
        worker.request()
        worker.send(b"HTTP/1.1 200 OK\r\nDrawbar-Released: 1\r\nContent-Length: 2\r\n\r\nok")
        assert client.response().status == 200


def test_an_idle_worker_that_leaves_takes_nothing_along() -> None:
    with FrontSite() as site:
        worker = site.worker()
        worker.send(RELEASED)
        site.settle()
        client = site.connect()
        client.send(GET)
        site.worker().serve(OK)
        assert client.response().status == 200
