"""Requests whose application hangs: their clients are answered, their neighbours served, their stacks in the log.

Nothing here measures time. A call hangs until the test lets it go, so whatever is seen before is seen while it hangs.
"""

import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.sync.client import connect as websocket

from tests.conftest import Connect
from tests.server.conftest import SITES, WAYS, Fifo
from tests.support.raw import RawClient
from tests.support.server import Server, Servers

TIMEOUT = ("--request-timeout", "1", "--access-log", "-")
OK = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
CALLED_OFF = r"error: request GET (\S+) timed out after 1 s; the worker is replaced"
REPLACED = r"worker 1 \(pid (\d+)\) is replaced: "
# In a session of four letters each: where it hangs, and the function that its stack must name.
MOVES = [
    ("inline", "/c", "stuck_in_c"),
    ("inline", "/lock", "stuck_in_a_lock"),
    ("threads", "/c", "stuck_in_c"),
    ("threads", "/lock", "stuck_in_a_lock"),
    ("greenlets", "/lock", "stuck_in_a_lock"),
    ("asyncio", "/await", "waits_for_ever"),
    ("asyncio", "/thread", "run_in_executor"),
]
STANDS_STILL = [
    ("inline", "/gil"),
    ("threads", "/gil"),
    ("greenlets", "/c"),
    ("greenlets", "/gil"),
    ("asyncio", "/c"),
    ("asyncio", "/gil"),
]

# With a process for each request nothing hangs in the worker: see test_fork.py.
TIMED = [way for way in WAYS if way != "fork"]

Hang = Callable[..., Server]


def get(path: str, method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


def path_of(place: str, fifo: Fifo) -> str:
    """Where that place of the site hangs."""
    return place if place in ("/lock", "/await") else f"{place}{fifo.path}"


@pytest.fixture
def hanging(server: Servers) -> Hang:
    """Starts the site that hangs."""

    def start(way: str, *options: str) -> Server:
        name, *its = WAYS[way]
        return server(f"hanging:{name}", *its, *TIMEOUT, *options, chdir=SITES)

    return start


def assert_answered(client: RawClient, method: str = "GET") -> None:
    """The client has its 504, and after it the end of the connection."""
    response = client.response(method)
    assert response.status == 504
    assert response.header("connection") == "close"
    assert response.header("date") is not None
    assert response.header("content-length") == "60"
    assert response.body == (
        b"" if method == "HEAD" else b"504 Gateway Timeout\n\nthe application did not answer in time\n"
    )
    client.end()
    assert client.read_to_end() == b""


@pytest.mark.parametrize(("way", "place", "function"), MOVES)
def test_neighbours_are_served_while_a_call_hangs(
    hanging: Hang, connect: Connect, fifo: Fifo, way: str, place: str, function: str
) -> None:
    site = hanging(way)
    kept, client, neighbour = connect(site), connect(site), connect(site)
    assert kept.request(OK).status == 200
    client.send(get(path_of(place, fifo)))
    site.log.wait_for("stuck|waits")
    neighbour.send(OK)
    assert_answered(client)
    # It still hangs: with one thread for calls, its place is another's by now.
    assert neighbour.response().body == b"ok"
    assert kept.request(OK).body == b"ok"
    assert site.log.wait_for(CALLED_OFF)[1] == path_of(place, fifo)[:76]
    site.log.wait_for(rf'error:   File ".*hanging.py", line \d+, in ({function}|asgi)')
    site.log.wait_for(function)
    assert len(re.findall(CALLED_OFF, site.log.text)) == 1


@pytest.mark.parametrize(("way", "place"), STANDS_STILL)
def test_a_worker_that_stands_still_answers_and_dumps_its_threads(
    hanging: Hang, connect: Connect, fifo: Fifo, way: str, place: str
) -> None:
    site = hanging(way)
    client, neighbour = connect(site), connect(site)
    client.send(get(path_of(place, fifo)))
    site.log.wait_for("stuck")
    assert_answered(client)
    site.log.wait_for(CALLED_OFF)
    # As faulthandler writes it: nobody else can, now.
    site.log.wait_for(r'^  File ".*hanging.py", line \d+ in stuck_in_')
    neighbour.send(OK)
    fifo.release()
    assert neighbour.response().body == b"ok"
    assert len(re.findall(CALLED_OFF, site.log.text)) == 1


@pytest.mark.parametrize(("way", "place", "function"), MOVES)
def test_the_worker_is_replaced_and_the_stuck_one_ends(
    hanging: Hang, connect: Connect, fifo: Fifo, way: str, place: str, function: str
) -> None:
    site = hanging(way, "--graceful-timeout", "1000", "--log-level", "debug")
    client = connect(site)
    client.send(get(path_of(place, fifo)))
    assert_answered(client)
    pid = site.log.wait_for(REPLACED)[1]
    site.log.wait_for("worker 1 is ready")
    # By itself: draining does not wait for the call that hangs.
    site.log.wait_for(rf"debug: worker 1 \(pid {pid}\) exited with code 0")
    assert connect(site).request(OK).body == b"ok"


@pytest.mark.parametrize("way", ["inline", "threads"])
def test_stopping_does_not_wait_for_a_call_that_hangs(hanging: Hang, connect: Connect, way: str) -> None:
    site = hanging(way, "--graceful-timeout", "1000")
    client = connect(site)
    client.send(get("/lock"))
    assert_answered(client)
    site.stop()


def test_a_call_that_waits_for_its_turn_has_its_time_still(hanging: Hang, connect: Connect, fifo: Fifo) -> None:
    site = hanging("inline")
    first, second = connect(site), connect(site)
    first.send(get("/lock"))
    site.log.wait_for("stuck in a lock")
    second.send(get(f"/c{fifo.path}"))
    assert_answered(first)
    # It is called only now, and goes on to its own end.
    site.log.wait_for(f"stuck {fifo.path}")
    fifo.release()
    assert second.response().body == b"ok"


@pytest.mark.parametrize("way", TIMED)
def test_a_head_request_gets_a_head(hanging: Hang, connect: Connect, way: str) -> None:
    site = hanging(way)
    client = connect(site)
    client.send(get("/await" if way == "asyncio" else "/lock", "HEAD"))
    assert_answered(client, "HEAD")


@pytest.mark.parametrize("way", TIMED)
def test_answers_before_it_come_before_it_and_none_behind(hanging: Hang, connect: Connect, way: str) -> None:
    site = hanging(way)
    client = connect(site)
    client.send(OK + OK + get("/await" if way == "asyncio" else "/lock") + OK)
    assert client.response().body == b"ok"
    assert client.response().body == b"ok"
    assert_answered(client)


def test_early_hints_come_before_it(hanging: Hang, connect: Connect, fifo: Fifo) -> None:
    site = hanging("threads")
    client = connect(site)
    client.send(get(f"/hints{fifo.path}"))
    response = client.response()
    assert response.informational == [(103, [("link", "</a>")])]
    assert response.status == 504


def test_a_head_that_is_set_but_not_sent_gives_way(hanging: Hang, connect: Connect, fifo: Fifo) -> None:
    site = hanging("threads")
    client = connect(site)
    client.send(get(f"/late{fifo.path}"))
    assert_answered(client)


def test_a_body_that_is_still_being_read_gives_way(hanging: Hang, connect: Connect) -> None:
    site = hanging("threads", "--stream-input")
    client = connect(site)
    client.send(b"POST /reads HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345")
    site.log.wait_for("reads")
    assert client.response("POST").status == 504
    client.send(b"67890")
    client.end()
    assert client.read_to_end() == b""
    assert connect(site).request(OK).body == b"ok"


def test_an_application_that_insists_hears_that_its_client_is_gone(hanging: Hang, connect: Connect, fifo: Fifo) -> None:
    site = hanging("threads")
    client = connect(site)
    client.send(get(f"/insists{fifo.path}"))
    assert_answered(client)
    fifo.release()
    site.log.wait_for("refused: the request timed out")
    assert connect(site).request(OK).body == b"ok"
    assert "LookupError" not in site.log.text


def test_a_task_is_cancelled_and_told_that_its_client_is_gone(hanging: Hang, connect: Connect) -> None:
    site = hanging("asyncio")
    client = connect(site)
    client.send(get("/await"))
    assert_answered(client)
    site.log.wait_for("cancelled, and hears http.disconnect")
    assert connect(site).request(OK).body == b"ok"
    assert "Traceback" not in site.log.text


@pytest.mark.parametrize("way", TIMED)
def test_a_client_that_left_before_leaves_no_trace_but_the_line(
    hanging: Hang, connect: Connect, fifo: Fifo, way: str
) -> None:
    site = hanging(way)
    client = connect(site)
    client.send(get(path_of("/await" if way == "asyncio" else "/c", fifo)))
    site.log.wait_for("stuck|waits")
    client.reset()
    site.log.wait_for(CALLED_OFF)
    assert connect(site).request(OK).body == b"ok"
    if way == "greenlets":
        # Its only thread is stuck: it would have all of its grace before it is killed.
        fifo.release()


@pytest.mark.parametrize("way", TIMED)
def test_the_access_log_has_what_the_client_got(hanging: Hang, connect: Connect, way: str) -> None:
    site = hanging(way)
    path = "/await" if way == "asyncio" else "/lock"
    client = connect(site)
    client.send(get(path))
    assert_answered(client)
    site.output.wait_for(f'"GET {path} HTTP/1.1" 504 60 ')


@pytest.mark.parametrize("way", TIMED)
def test_a_response_that_has_begun_may_take_its_time(hanging: Hang, connect: Connect, fifo: Fifo, way: str) -> None:
    # Inline it would keep the other from being called.
    site = hanging("threads" if way == "inline" else way)
    slow, clock = connect(site), connect(site)
    slow.send(get(f"/once{fifo.path}"))
    slow.read_until(b"begun ")
    site.log.wait_for(f"stuck {fifo.path}")
    # Called later, and called off: by then the other's time is over as well.
    clock.send(get("/await" if way == "asyncio" else "/lock"))
    assert_answered(clock)
    site.log.wait_for(CALLED_OFF)
    fifo.release()
    assert b"and ended" in slow.read_until(b"0\r\n\r\n")
    assert len(re.findall(CALLED_OFF, site.log.text)) == 1


def test_a_websocket_may_take_its_time_and_its_handshake_may_not(hanging: Hang, connect: Connect) -> None:
    site = hanging("asyncio")
    clock = connect(site)
    with websocket(f"ws://{site.host}:{site.port}/") as kept:
        clock.send(
            b"GET /await HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )
        assert_answered(clock)
        # The worker is replaced, and says so when it has its successor; it does not break off.
        kept.send("still here")
        assert kept.recv() == "still here" or kept.close_code == 1012


def test_its_lines_go_to_the_file_that_was_open_when_it_began(server: Servers, tmp_path: Path) -> None:
    address, log = str(tmp_path / "socket"), tmp_path / "error.log"
    site = server(
        *("hanging:app", "--threads", "1:2", *TIMEOUT, "--error-log", str(log)),
        chdir=SITES,
        bind=f"unix:{address}",
        ready=False,
    )
    site.log.wait_for("loaded")
    with RawClient(address) as client, RawClient(address) as neighbour:
        client.send(get("/lock"))
        site.log.wait_for("stuck in a lock")
        old = log.rename(tmp_path / "error.old")
        site.process.send_signal(signal.SIGUSR1)
        while not (log.exists() and "logs reopened" in log.read_text()):
            assert neighbour.request(OK).status == 200
        assert_answered(client)
        # Whoever answers this has told the other's story before.
        site.output.wait_for('"GET /lock HTTP/1.1" 504 60 ')
        assert neighbour.request(OK).status == 200
    assert re.search(CALLED_OFF, old.read_text())
    assert "in stuck_in_a_lock" in old.read_text()
    assert "in stuck_in_a_lock" not in log.read_text()


def test_without_a_timeout_calls_stay_on_the_main_thread(server: Servers) -> None:
    site = server("hanging:app", "--threads", "1", chdir=SITES)
    tasks = [path.name for path in Path(f"/proc/{site.process.pid}/task").iterdir()]
    assert len(tasks) == 1
