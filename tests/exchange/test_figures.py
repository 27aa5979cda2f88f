"""What is counted of exchanges, and which are listed while they are in flight: one call at a time, in place.

How it is with threads and tasks stands in tests/executors/test_figures.py.
"""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from drawbar.net.figures import InFlight
from drawbar.net.scoreboard import Scoreboard
from tests.support.inprocess import Site

GET = b"GET %s HTTP/1.1\r\nHost: test\r\n\r\n"


class App:
    """Answers as the path says, and notes what was in flight when it was called.

    `during`: called meanwhile. /500: a server's error. /raise: raises. /stream: in pieces. /close: looks again in the
    close() of its result.
    """

    def __init__(self, during: Callable[[], Any] | None = None) -> None:
        self.site: Site | None = None
        self.seen: list[list[InFlight]] = []
        self.busy: list[tuple[int, int]] = []
        self.leader: list[str] = []
        self.during = during

    def look(self) -> None:
        assert self.site is not None
        cell = self.site.reactor.cell
        self.seen.append(cell.in_flight())
        self.busy.append((cell.busy, cell.waiting))
        self.leader.append(cell.leader)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        self.look()
        if self.during is not None:
            self.during()
        path = environ["PATH_INFO"]
        if path == "/raise":
            raise LookupError(path)
        status = path[1:] if path[1:].isdigit() else "200"
        start_response(f"{status} Answer", [])
        if path == "/stream":
            return (piece for piece in (b"one", b"two"))
        if path == "/close":
            return Closing(self.look)
        return [b"hello"]


class Closing:
    """An iterable with a close()."""

    def __init__(self, close: Callable[[], None]) -> None:
        self.close = close

    def __iter__(self) -> Any:
        return iter([b"hello"])


def serve(app: App, **options: Any) -> Site:
    site = Site(app, **options)
    app.site = site
    return site


def requests(site: Site) -> tuple[int, ...]:
    return site.reactor.cell.counters().requests


def idle(site: Site) -> bool:
    """Nothing is in flight any more, by any of the figures."""
    cell = site.reactor.cell
    return (cell.busy, cell.waiting, cell.in_flight()) == (0, 0, [])


def test_a_request_is_listed_while_its_application_runs() -> None:
    app = App()
    with serve(app) as site:
        client = site.connect()
        client.send(GET % b"/somewhere?x=1")
        assert client.response().status == 200
        [[entry]] = app.seen
        assert entry.text == "GET /somewhere?x=1"
        assert entry.state == "running"
        assert entry.thread == threading.get_ident()
        assert entry.peer == client.socket.getsockname()
        assert 0 < entry.started_ns <= entry.called_ns
        assert not entry.raw
        assert app.busy == [(1, 0)]
        assert app.leader == ["calls"]
        assert site.reactor.cell.leader == "moves"
        assert idle(site)


def test_requests_are_counted_by_status_class() -> None:
    with serve(App()) as site:
        for path in ("/200", "/201", "/302", "/404", "/404", "/500", "/799"):
            site.get(path)
        assert requests(site) == (0, 0, 2, 1, 2, 2)
        assert site.reactor.cell.requests == 7


def test_each_request_is_one_observation_of_latency_and_queue_time() -> None:
    with serve(App()) as site:
        for _ in range(3):
            site.get()
        counters = site.reactor.cell.counters()
        assert counters.latency.observations == counters.queued.observations == 3
        # Nothing was before them.
        assert counters.latency.sum_s > counters.queued.sum_s == 0


def test_a_pipelined_request_waits_for_those_before_it() -> None:
    app = App()
    with serve(app) as site:
        client = site.connect()
        client.send(GET % b"/1" + GET % b"/2" + GET % b"/3")
        for _ in range(3):
            client.response()
        first, second, third = (entries[0] for entries in app.seen)
        # They came together, and each call begins when the one before has ended.
        assert first.started_ns == second.started_ns == third.started_ns
        assert first.called_ns < second.called_ns < third.called_ns
        assert len({first.serial, second.serial, third.serial}) == 3
        assert site.reactor.cell.requests == 3
        assert idle(site)


def test_what_runs_after_the_answer_is_still_in_flight() -> None:
    app = App()
    with serve(app) as site:
        site.get("/close")
        before, after = app.seen
        assert [entry.serial for entry in after] == [entry.serial for entry in before]
        assert app.busy == [(1, 0), (1, 0)]
        assert idle(site)


def test_a_streamed_answer_is_one_request() -> None:
    with serve(App()) as site:
        assert site.get("/stream").body == b"onetwo"
        assert requests(site) == (0, 0, 1, 0, 0, 0)
        assert idle(site)


def test_head_is_a_request_like_any_other() -> None:
    with serve(App()) as site:
        assert site.request(b"HEAD / HTTP/1.1\r\nHost: test\r\n\r\n").body == b""
        assert requests(site) == (0, 0, 1, 0, 0, 0)


def test_an_application_that_raises_counts_as_its_500() -> None:
    with serve(App()) as site:
        assert site.get("/raise").status == 500
        assert requests(site) == (0, 0, 0, 0, 0, 1)
        assert idle(site)


def test_a_refusal_counts_without_having_been_in_flight() -> None:
    app = App()
    with serve(app) as site:
        client = site.connect()
        client.send(b"GET / HTTP/1.1\r\nHost : test\r\n\r\n")
        assert client.response().status == 400
        counters = site.reactor.cell.counters()
        assert (counters.requests, counters.refused) == ((0, 0, 0, 0, 1, 0), 1)
        assert counters.latency.observations == 0
        assert app.seen == []
        assert idle(site)


def test_a_body_that_does_not_come_in_time_is_a_refusal() -> None:
    with serve(App(), policy={"body_timeout": 5}) as site:
        client = site.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhe")
        assert idle(site)
        site.advance(6)
        assert client.response().status == 408
        assert site.reactor.cell.counters().refused == 1


def test_a_request_is_in_flight_once_its_body_is_here() -> None:
    app = App()
    with serve(app) as site:
        client = site.connect()
        client.send(b"POST /up HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhe")
        assert idle(site)
        began = site.reactor.now_ns
        client.send(b"llo")
        assert client.response("POST").status == 200
        assert app.seen[0][0].text == "POST /up"
        assert app.seen[0][0].started_ns > began


def test_long_targets_are_cut() -> None:
    app = App()
    with serve(app) as site:
        site.get("/" + "x" * 200)
        assert app.seen[0][0].text == "GET /" + "x" * 75


def test_a_unix_socket_has_no_peer(tmp_path: Path) -> None:
    app = App()
    with serve(app, unix=tmp_path / "socket") as site:
        site.get()
        assert app.seen[0][0].peer is None


def test_bytes_and_connections() -> None:
    with serve(App()) as site:
        client = site.connect()
        site.settle()
        cell = site.reactor.cell
        assert (cell.connections, cell.accepted) == (1, 1)
        request = GET % b"/"
        client.send(request)
        answer = client.available()
        assert answer.endswith(b"hello")
        counters = cell.counters()
        assert (counters.bytes_in, counters.bytes_out) == (len(request), len(answer))
        client.close()
        assert (cell.connections, cell.accepted) == (0, 1)


def test_a_connection_without_a_request_is_not_in_flight() -> None:
    with serve(App()) as site:
        client = site.connect()
        client.send(b"GET / HT")
        assert idle(site)
        assert site.reactor.cell.connections == 1


def test_the_reactor_shows_that_it_moves() -> None:
    with serve(App()) as site:
        before = site.reactor.cell.beat_ns
        site.turn()
        assert site.reactor.cell.beat_ns > before


def test_figures_go_to_the_cell_the_reactor_was_given() -> None:
    board = Scoreboard.create(2)
    cell = board.cell(board.claim(0, 1))
    with serve(App()) as site:
        client = site.connect()
        site.settle()
        site.reactor.set_cell(cell)
        assert cell.connections == 1
        client.send(GET % b"/")
        client.response()
        assert board.totals().requests[2] == 1
        site.reactor.drain()
        assert cell.phase == "draining"
    board.close()


def test_a_forked_child_counts_for_nobody() -> None:
    board = Scoreboard.create(1)
    cell = board.cell(board.claim(0, 1))

    def fork() -> None:
        assert app.site is not None
        app.during = None
        pid = os.fork()
        if pid == 0:
            app.site.reactor.abandon()
            # As if the application left by the way it came, and the child went on.
            return
        assert os.waitpid(pid, 0)[1] == 0

    app = App(fork)
    parent = os.getpid()
    with serve(app) as site:
        site.reactor.set_cell(cell)
        client = site.connect()
        try:
            client.send(GET % b"/")
        finally:
            if os.getpid() != parent:
                os._exit(0)
        assert client.response().status == 200
        assert board.totals().requests == (0, 0, 1, 0, 0, 0)
        assert (cell.connections, cell.busy, cell.waiting, cell.in_flight()) == (1, 0, 0, [])
        # The free list is as it was: the next two are told apart.
        site.get("/a")
        site.get("/b")
        assert board.totals().requests[2] == 3
    board.close()


@pytest.mark.parametrize("log", [False, True])
def test_a_log_line_has_its_duration_either_way(log: bool) -> None:
    with serve(App(), log=log) as site:
        site.get()
        assert [exchange.duration_ns > 0 for exchange in site.completed] == [True] * log
