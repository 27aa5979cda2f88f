"""The race between an answer and the end of its time: whoever wins, the client gets one whole answer and is told once.

How it is with whole servers, stacks and workers stands in tests/server/test_request_timeout.py.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from drawbar.exchange.sentinel import Sentinel
from drawbar.net.reactor import Reactor
from tests.support.server import PATIENCE_S
from tests.support.threaded import Gate, Threaded, get

SOON_S = 0.05
CLIENTS = 4
REQUESTS = 50


def nowhere(thread: int, task: Any) -> None:
    return None


def nobody(line: str, look: Any, told: bool, files: Any) -> None:
    return None


class Told:
    """What the log would be told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.threads: list[int] = []
        self.heard = threading.Event()

    def look(self, thread: int, task: Any) -> str:
        self.threads.append(thread)
        return "there"

    def tell(self, line: str, look: Any, told: bool, files: Any) -> None:
        assert (look, told, files) == ("there", False, None)
        self.lines.append(line)
        self.heard.set()


class Holding:
    """Waits where its path says so; notes what becomes of its answer."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.refused: list[BaseException] = []
        self.thread = 0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/hold":
            self.thread = threading.get_ident()
            self.gate.wait()
        try:
            start_response("200 OK", [("Content-Length", "6")])(b"answer")
        except OSError as error:
            self.refused.append(error)
        return []


@contextmanager
def watched(app: Any, seconds: float, told: Told, maximum: int = 4) -> Iterator[Threaded]:
    server = Threaded(app, maximum, spares_caller=True)
    sentinel = Sentinel(server.reactor, seconds, look=told.look, tell=told.tell)
    sentinel.start()
    try:
        with server:
            yield server
    finally:
        sentinel.stop()


def test_a_call_that_hangs_is_answered_told_of_and_counts_no_longer() -> None:
    app, told = Holding(), Told()
    with watched(app, SOON_S, told, maximum=1) as server:
        server.gates.append(app.gate)
        client = server.connect()
        response = client.request(get("/hold"))
        assert (response.status, response.header("connection")) == (504, "close")
        assert client.read_to_end() == b""
        client.close()
        # The client hears before the reactor does.
        assert told.heard.wait(PATIENCE_S)
        server.synchronise()
        assert told.lines == [f"request GET /hold timed out after {SOON_S} s; the worker is replaced"]
        assert told.threads == [app.thread]
        assert (server.executor.running, server.executor.written_off) == (0, 1)
        assert server.reactor.cell.counters().timed_out == 1
        # With one place for calls, it has it.
        assert server.get("/") == b"answer"
        app.gate.open()
        server.drain()
        server.join()
        assert server.executor.written_off == 0
        assert [str(error) for error in app.refused] == ["the request timed out, and its client was told so"]
        assert server.failed == []


def test_a_draining_reactor_does_not_wait_for_it() -> None:
    app, told = Holding(), Told()
    with watched(app, SOON_S, told) as server:
        server.gates.append(app.gate)
        client = server.connect()
        assert client.request(get("/hold")).status == 504
        client.close()
        server.drain()
        server.thread.join(PATIENCE_S)
        assert not server.thread.is_alive()
        assert server.executor.written_off == 1


def test_a_client_that_leaves_first_is_told_nothing_and_the_log_is() -> None:
    app, told = Holding(), Told()
    with watched(app, SOON_S, told) as server:
        server.gates.append(app.gate)
        client = server.connect()
        client.send(get("/hold"))
        app.gate.wait_entered()
        client.reset()
        assert told.heard.wait(PATIENCE_S)
        assert server.get("/") == b"answer"
    assert len(told.lines) == 1


def test_every_client_gets_one_whole_answer_whoever_wins() -> None:
    told, answers = Told(), Holding()

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        # As long as it may take: now the one is first, now the other.
        threading.Event().wait(0.01)
        return answers(environ, start_response)

    statuses: list[int] = []

    def ask(server: Threaded) -> None:
        for _ in range(REQUESTS):
            client = server.connect()
            response = client.request(get("/"))
            assert response.body == (b"answer" if response.status == 200 else TIMED_OUT)
            statuses.append(response.status)
            client.end()
            assert response.status == 200 or client.read_to_end() == b""

    with watched(app, 0.0105, told, maximum=64) as server:
        askers = [threading.Thread(target=ask, args=(server,)) for _ in range(CLIENTS)]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join()
        server.synchronise()
        counted = server.reactor.cell.counters()
    late = statuses.count(504)
    assert len(statuses) == CLIENTS * REQUESTS
    assert set(statuses) <= {200, 504}
    assert (len(told.lines), counted.timed_out) == (late, late)
    assert counted.requests[2] == statuses.count(200)
    assert len(answers.refused) <= late
    assert server.failed == []


TIMED_OUT = b"504 Gateway Timeout\n\nthe application did not answer in time\n"


def test_its_thread_ends_with_it() -> None:
    sentinel = Sentinel(Reactor(), 1000, look=nowhere, tell=nobody)
    sentinel.start()
    assert names().count("sentinel") == 1
    sentinel.stop()
    assert not sentinel.running
    assert "sentinel" not in names()
    sentinel.stop()


def names() -> list[str]:
    """Of this process's threads, as the system sees them."""
    found = []
    for path in Path("/proc/self/task").glob("*/comm"):
        # Others may end meanwhile.
        with suppress(OSError):
            found.append(path.read_text().strip())
    return found


@pytest.mark.parametrize(
    ("seconds", "server", "why"), [(0, "", "more than 0 seconds"), (1, "x" * 70, "at most 64 characters")]
)
def test_what_it_cannot_do_is_refused(seconds: float, server: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Sentinel(Reactor(), seconds, look=nowhere, tell=nobody, server_header=server)


def test_a_forked_child_has_no_sentinel() -> None:
    """Its thread is the parent's: there is none to wait for."""
    reactor = Reactor()
    sentinel = Sentinel(reactor, 1000, look=nowhere, tell=nobody)
    sentinel.start()
    pid = os.fork()
    if pid == 0:
        reactor.abandon()
        del sentinel, reactor
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    sentinel.stop()
