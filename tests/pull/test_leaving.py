"""A front that stops, and its workers."""

import select
import socket
from collections.abc import Iterator

import pytest

from drawbar.pull.api import Api
from drawbar.pull.leaving import LOOK_MS, Leaving, surplus
from tests.support.fronts import GET, OK, FrontSite, Worker


@pytest.mark.parametrize(
    ("idle", "queued", "clients", "running", "expected"),
    [
        (8, 0, 60, 4, 7),  # one stays for the last requests
        (8, 0, 4, 4, 8),  # every client waits for its answer
        (8, 0, 0, 0, 8),
        (0, 0, 60, 4, 0),
        (1, 0, 60, 4, 0),
        (3, 5, 60, 4, 0),  # a pause: there is work for all of them
    ],
)
def test_what_is_of_no_use_any_more(idle: int, queued: int, clients: int, running: int, expected: int) -> None:
    assert surplus(idle, queued, clients, running) == expected


@pytest.fixture
def site() -> Iterator[FrontSite]:
    with FrontSite() as made:
        yield made


def leave(site: FrontSite) -> Leaving:
    """Stops the front. What is returned must be held: its alarm rings on."""
    leaving = Leaving(site.front, Api(site.front, site.reactor), site.reactor)
    site.reactor.drain()
    leaving.begin()
    site.settle()
    return leaving


def look_again(site: FrontSite) -> None:
    """Twice, as a connection may be about to close at the first."""
    for _ in range(2):
        site.advance(LOOK_MS / 1000)


def has_request(worker: Worker) -> bool:
    """Whether bytes have come; the end of the stream is none."""
    readable = select.select([worker.socket], [], [], 0)[0]
    return bool(readable) and bool(worker.socket.recv(1, socket.MSG_PEEK))


def test_without_clients_all_workers_are_let_go(site: FrontSite) -> None:
    workers = [site.worker(), site.worker()]
    leave(site)
    for worker in workers:
        assert worker.read_to_end() == b""
    assert not site.front.attached


def test_one_idle_worker_stays_for_the_last_requests_of_clients(site: FrontSite) -> None:
    client = site.connect()
    workers = [site.worker(), site.worker()]
    client.send(GET)
    # The room that was offered last is the first to be taken.
    workers[1].serve()
    assert client.response("GET").body == b"ok"
    leaving = leave(site)
    assert len(site.front.attached) == 1
    client.send(GET)
    site.settle()
    (kept,) = [worker for worker in workers if has_request(worker)]
    kept.serve(OK)
    response = client.response("GET")
    assert response.body == b"ok"
    assert response.header("connection") == "close"
    client.end()
    look_again(site)
    assert kept.read_to_end() == b""
    assert not site.front.attached
    del leaving


def test_a_worker_with_a_request_is_let_go_when_it_has_answered(site: FrontSite) -> None:
    client = site.connect()
    worker, idle = site.worker(), site.worker()
    client.send(GET)
    idle, worker = worker, idle
    worker.request()
    leaving = leave(site)
    # Nobody else can ask: the other one is of no use.
    assert idle.read_to_end() == b""
    worker.send(OK)
    assert client.response("GET").body == b"ok"
    client.end()
    look_again(site)
    assert worker.read_to_end() == b""
    del leaving
