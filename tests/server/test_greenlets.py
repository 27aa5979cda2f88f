"""Greenlets: one thread, many calls that wait; nothing the server does for one call holds up the others."""

import os
import select
import time
from pathlib import Path

import pytest

from tests.conftest import Connect
from tests.server.conftest import SITES, Serve
from tests.support.server import PATIENCE_S, Servers

MODEL = ("--concurrency", "greenlets")
# As little of a response as can be is buffered for a client that does not read.
UNBUFFERED = (
    "--limit-output-high-bytes", "64k", "--limit-output-low-bytes", "1k", "--limit-response-spill-bytes", "0",
)  # fmt: skip
BAD = b"GET / HTTP/1.1\r\nHost : a\r\n\r\n"


def get(path: str, *fields: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: a", *fields, "", ""]).encode()


def test_calls_that_wait_wait_together(server: Servers, connect: Connect) -> None:
    site = server("models:app", *MODEL, chdir=SITES)
    assert "1 worker, greenlets (pid" in site.log.text
    clients = [connect(site) for _ in range(200)]
    started = time.monotonic()
    for client in clients:
        client.send(get("/sleep/0.1"))
    answers = [client.response() for client in clients]
    took = time.monotonic() - started
    assert {answer.status for answer in answers} == {200}
    # One after the other it would be 20 s.
    assert took < 10
    assert max(int(answer.body) for answer in answers) > 100


def test_no_more_calls_run_than_there_may(server: Servers, connect: Connect) -> None:
    site = server("models:app", *MODEL, "--max-concurrency", "5", chdir=SITES)
    assert "1 worker, greenlets, 5 at once (pid" in site.log.text
    clients = [connect(site) for _ in range(30)]
    for client in clients:
        client.send(get("/sleep/0.01"))
    answers = [client.response() for client in clients]
    assert {answer.status for answer in answers} == {200}
    assert max(int(answer.body) for answer in answers) == 5


def test_environ_says_that_calls_run_beside_each_other(shared: Serve, connect: Connect) -> None:
    assert connect(shared("models:app", *MODEL)).request(get("/says")).body == b"[True, False, False]"


def test_a_body_that_comes_slowly_holds_nobody_up(server: Servers, connect: Connect) -> None:
    site = server("models:app", *MODEL, "--stream-input", chdir=SITES)
    slow, other = connect(site), connect(site)
    slow.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n123")
    for piece in (b"456", b"789"):
        for _ in range(3):
            assert other.request(get("/")).body == b"ok"
        slow.send(piece)
    assert slow.response().body == b"9 9"


def test_a_body_asked_for_late_is_sent_then(shared: Serve, connect: Connect) -> None:
    site = shared("models:app", *MODEL)
    client, other = connect(site), connect(site)
    client.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
    assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
    assert other.request(get("/")).body == b"ok"
    client.send(b"abcd")
    assert client.response().body == b"4 d"


def test_a_body_that_does_not_come_ends_by_its_timeout(server: Servers, connect: Connect) -> None:
    site = server("models:app", *MODEL, "--stream-input", "--body-timeout", "0.2", chdir=SITES)
    client, other = connect(site), connect(site)
    client.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n123")
    assert client.response("POST").status == 408
    assert other.request(get("/")).body == b"ok"


def test_a_client_that_leaves_in_its_body_ends_its_call(server: Servers, connect: Connect) -> None:
    site = server("models:app", *MODEL, "--stream-input", chdir=SITES)
    client, other = connect(site), connect(site)
    client.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n123")
    assert other.request(get("/")).body == b"ok"
    client.reset()
    for _ in range(3):
        assert other.request(get("/")).body == b"ok"


def test_a_client_that_reads_slowly_holds_nobody_up(server: Servers, connect: Connect) -> None:
    site = server("models:app", *MODEL, *UNBUFFERED, chdir=SITES)
    slow, other = connect(site), connect(site)
    slow.send(get("/drip/200"))
    head = slow.read_until(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    for _ in range(3):
        assert other.request(get("/")).body == b"ok"
    slow.received = head + slow.received
    assert len(slow.response().body) == 200 * 100_000


@pytest.mark.parametrize("leaves", [False, True], ids=["stays", "leaves"])
def test_a_client_that_does_not_read_is_let_go(server: Servers, connect: Connect, leaves: bool) -> None:
    site = server("models:app", *MODEL, *UNBUFFERED, "--send-timeout", "0.3", chdir=SITES)
    slow, other = connect(site), connect(site)
    slow.send(get("/drip/500"))
    slow.read_until(b"\r\n\r\n")
    if leaves:
        slow.reset()
    else:
        # Without reading, only a reset is noticed.
        looks = select.poll()
        looks.register(slow.socket, 0)
        assert looks.poll(PATIENCE_S * 1000)
    assert other.request(get("/")).body == b"ok"


def test_calls_that_run_at_the_end_are_finished(server: Servers, connect: Connect) -> None:
    site = server("models:app", *MODEL, "--max-concurrency", "2", chdir=SITES)
    clients = [connect(site) for _ in range(6)]
    for client in clients:
        client.send(get("/sleep/0.2"))
    # Who was through the handshake before was accepted, and so were the others.
    refused = connect(site)
    assert refused.request(BAD).status == 400
    refused.close()
    site.process.terminate()
    for client in clients:
        assert client.response().status == 200
        client.close()
    assert site.wait() == 0


def test_gevent_that_is_missing_is_named(server: Servers, tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['gevent'] = None\n")
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])}
    site = server("models:app", *MODEL, chdir=SITES, env=env, ready=False)
    site.log.wait_for("app.concurrency: gevent is not installed; pip install 'drawbar")
    assert site.wait() != 0


def test_an_asgi_application_is_refused(server: Servers) -> None:
    site = server("models:asgi", *MODEL, chdir=SITES, ready=False)
    site.log.wait_for("app.concurrency: greenlets cannot call an application of ASGI; write tasks, or leave it auto")
    assert site.wait() != 0
