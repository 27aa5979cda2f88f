"""A front and workers of its own: real processes on both sides of the queue."""

import json
import os
import re
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosedOK
from websockets.frames import CloseCode
from websockets.sync.client import connect as websocket

from tests.conftest import Connect
from tests.server.conftest import SITES, Fifo
from tests.support.raw import RawClient
from tests.support.server import PATIENCE_S, Server, Servers

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
TOKEN = "0123456789abcdef0123"

Start = Callable[..., Server]


@pytest.fixture
def front(server: Servers) -> Start:
    """Starts a front on ports the kernel chose."""

    def start(*options: str, **keywords: Any) -> Server:
        return server(None, "--api", "127.0.0.1:0", *options, command="serve", **keywords)

    return start


@pytest.fixture
def worker(server: Servers) -> Start:
    """Starts a worker of the plain site for a front, and returns when all its slots are attached."""

    def start(of: Server, target: str = "plain:app", *options: str) -> Server:
        found = server(target, "--from", of.api, *options, command="work", bind=None, chdir=SITES)
        found.log.wait_for("attached to")
        return found

    return start


def ask_api(connect_to: Server, path: str, *fields: str, method: str = "GET") -> tuple[int, Any]:
    """One request to the front's API: status, and the JSON that came."""
    host, port = connect_to.api.removeprefix("http://").split(":")
    client = RawClient((host, int(port)))
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", *fields, "", ""]
    client.send("\r\n".join(lines).encode())
    response = client.response(method)
    client.close()
    kind = response.header("content-type") or ""
    return response.status, json.loads(response.body) if "json" in kind else response.body


def test_a_request_goes_through(front: Start, worker: Start, connect: Connect) -> None:
    site = front()
    worker(site)
    assert connect(site).request(GET).body == b"ok"
    status, report = ask_api(site, "/api/v2/status")
    assert status == 200
    assert report["apps"]["app"]["counters"]["answered"] == 1


def test_the_front_is_a_process_of_its_name(front: Start) -> None:
    site = front()
    (child,) = [
        pid
        for pid in Path(f"/proc/{site.process.pid}/task/{site.process.pid}/children").read_text().split()
        if Path(f"/proc/{pid}/comm").read_text() == "drawbar-front\n"
    ]
    assert b"drawbar: front" in Path(f"/proc/{child}/cmdline").read_bytes()


def test_requests_wait_for_the_first_worker(front: Start, worker: Start, connect: Connect) -> None:
    site = front()
    client = connect(site)
    client.send(GET)
    worker(site)
    assert client.response("GET").body == b"ok"


def test_a_worker_that_is_killed_costs_no_get(front: Start, worker: Start, connect: Connect, fifo: Fifo) -> None:
    site = front()
    first = worker(site, "plain:app", "--threads", "1")
    client = connect(site)
    client.send(f"GET /hold{fifo.path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    fifo.release()
    assert client.response("GET").status == 200
    client.send(f"GET /hold{fifo.path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    pid = int(Path(f"/proc/{first.process.pid}/task/{first.process.pid}/children").read_text().split()[0])
    released = threading.Thread(target=fifo.release)
    # The call reads the gate: open(2) of it returns when both sides are there.
    os.kill(pid, signal.SIGKILL)
    first.log.wait_for("died: killed by SIGKILL")
    released.start()
    assert client.response("GET").status == 200
    released.join()


def test_a_reload_of_the_front_loses_nothing(front: Start, worker: Start, connect: Connect) -> None:
    site = front()
    worker(site)
    kept = connect(site)
    assert kept.request(GET).body == b"ok"
    site.process.send_signal(signal.SIGHUP)
    site.log.wait_for("reloaded")
    site.log.wait_for("front is ready")
    assert connect(site).request(GET).body == b"ok"


def test_an_upgrade_of_the_front_loses_nothing(front: Start, worker: Start, connect: Connect, tmp_path: Path) -> None:
    site = front("--pid-file", str(tmp_path / "pid"))
    worker(site)
    assert connect(site).request(GET).body == b"ok"
    site.process.send_signal(signal.SIGUSR2)
    site.log.wait_for_many("front on", 2)
    assert connect(site).request(GET).body == b"ok"
    assert site.process.wait(PATIENCE_S) == 0
    assert connect(site).request(GET).body == b"ok"
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGTERM)
    assert site.wait() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=["stop", "reload"])
def test_a_websocket_through_a_front_that_leaves_is_closed_by_its_worker(
    front: Start, worker: Start, number: signal.Signals
) -> None:
    site = front()
    worker(site, "lasting:app")
    with websocket(f"ws://{site.host}:{site.port}/") as kept:
        site.process.send_signal(number)
        with pytest.raises(ConnectionClosedOK):
            kept.recv(PATIENCE_S)
        assert kept.close_code == CloseCode.GOING_AWAY


def test_apps_are_told_apart_by_host_and_prefix(front: Start, worker: Start, connect: Connect) -> None:
    site = front("--app", "blog=blog.test/", "--app", "shop=/shop")
    worker(site, "plain:app", "--app", "blog")
    worker(site, "behind:app", "--app", "shop")
    assert connect(site).request(b"GET / HTTP/1.1\r\nHost: blog.test\r\n\r\n").body == b"ok"
    seen = json.loads(connect(site).request(b"GET /shop/cart HTTP/1.1\r\nHost: x.test\r\n\r\n").body)
    assert "/shop" in seen
    assert "/cart" in seen
    assert seen[-1] == str(site.port)
    assert connect(site).request(b"GET / HTTP/1.1\r\nHost: x.test\r\n\r\n").status == 404


def test_tokens_are_asked_for(front: Start, worker: Start, connect: Connect, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text(f"{TOKEN} app\n")
    site = front("--api-token-file", str(tokens))
    assert ask_api(site, "/api/v2/status")[0] == 401
    assert ask_api(site, "/api/v2/status", f"Authorization: Bearer {TOKEN}")[0] == 200
    mine = tmp_path / "token"
    mine.write_text(TOKEN)
    worker(site, "plain:app", "--token-file", str(mine))
    assert connect(site).request(GET).body == b"ok"


def test_probes_answer_while_nobody_works(front: Start) -> None:
    site = front()
    assert ask_api(site, "/livez") == (200, b"ok\n")
    assert ask_api(site, "/readyz")[0] == 503


def test_readiness_fails_first_when_the_front_stops(front: Start, worker: Start, connect: Connect) -> None:
    site = front("--drain-delay", "60")
    worker(site)
    assert ask_api(site, "/readyz") == (200, b"ok\n")
    site.process.send_signal(signal.SIGTERM)
    site.log.wait_for("stopping")
    status, told = ask_api(site, "/readyz")
    assert status == 503
    assert told["detail"] == "this server is stopping"
    assert ask_api(site, "/livez") == (200, b"ok\n")
    assert connect(site).request(GET).body == b"ok"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--api", "0.0.0.0:0"), "can be reached from other machines"),
        (("--api-token-file", "/nowhere/tokens"), "/nowhere/tokens cannot be read: No such file or directory"),
        (("--workers", "2"), "one place; write drawbar run TARGET --split --workers 2, or workers = 2 in [apps.NAME]"),
        (("--app", "a b"), "'a b' is not a name"),
        (("--app", "front=/x"), "the front itself is called front"),
        (("--app", "a=/x", "--app", "b=/x"), "a and b both claim /x"),
    ],
)
def test_mistakes_are_told_in_a_line(server: Servers, options: tuple[str, ...], message: str) -> None:
    api = () if "--api" in options else ("--api", "127.0.0.1:0")
    site = server(None, *api, *options, command="serve", ready=False)
    assert site.wait() != 0
    (line,) = [line for line in site.log.lines if "error" in line][:1]
    assert message in line
    assert not re.search("Traceback", site.log.text)
