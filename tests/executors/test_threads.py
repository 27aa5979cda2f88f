"""Leader and followers: who calls the application, who reads meanwhile, and how it all ends.

Every call is held by a gate the test opens, so nothing here depends on how long anything takes.
"""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from drawbar.executors.threads import ThreadsExecutor
from drawbar.net.inspect import connections, is_exclusive
from drawbar.net.reactor import Reactor
from tests.support.raw import RawClient
from tests.support.server import PATIENCE_S
from tests.support.threaded import Gate, Threaded, get

LARGE = 8_000_000
BAD = b"GET / HTTP/1.1\r\nHost : test\r\n\r\n"
POST = b"POST %s HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n%s"


class App:
    """Answers with its path; what it does besides, the first part of the path says.

    /hold/...: waits, then answers. /raise/...: waits, then raises. /exit/...: waits, then raises SystemExit.
    /close/...: answers, then waits in close(). /echo: answers with its body, read piece by piece. /who: answers with
    its thread. `most` is the largest number of calls that ran at once.
    """

    def __init__(self) -> None:
        self.gate = Gate()
        self.closing = Gate()
        self.most = 0
        self._running = 0
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        with self._lock:
            self._running += 1
            self.most = max(self.most, self._running)
        try:
            return self._answer(environ, start_response)
        finally:
            with self._lock:
                self._running -= 1

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Any:
        path: str = environ["PATH_INFO"]
        kind = path.split("/")[1]
        if kind in ("hold", "raise", "exit"):
            self.gate.wait()
        if kind == "raise":
            raise LookupError(path)
        if kind == "exit":
            raise SystemExit(path)
        start_response("200 OK", [("Content-Type", "text/plain")])
        if kind == "close":
            return Closing(path.encode(), self.closing)
        if kind == "who":
            return [str(threading.get_ident()).encode()]
        if kind == "echo":
            return [b"".join(iter(lambda: environ["wsgi.input"].read(1_000), b""))]
        return [path.encode()]


class Closing:
    """A response whose close() waits at a gate."""

    def __init__(self, body: bytes, gate: Gate) -> None:
        self.body = body
        self.gate = gate

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[bytes]:
        return iter([self.body])

    def close(self) -> None:
        self.gate.wait()


def serve(app: App, maximum: int = 4, **options: Any) -> Threaded:
    """A server of `app`, whose gates open at the end."""
    site = Threaded(app, maximum, **options)
    site.gates += [app.gate, app.closing]
    return site


@pytest.fixture
def app() -> App:
    return App()


@pytest.fixture
def site(app: App) -> Iterator[Threaded]:
    with serve(app) as made:
        yield made


def hold(site: Threaded, app: App, path: str = "/hold/1") -> RawClient:
    """A client whose call is running, with another thread leading."""
    client = site.connect()
    before = app.gate.entered
    client.send(get(path))
    app.gate.wait_entered(before + 1)
    site.synchronise()
    return client


def saturate(site: Threaded, app: App, calls: int) -> list[RawClient]:
    """Clients with that many held calls, running or waiting for a slot."""
    clients = []
    for number in range(calls):
        client = site.connect()
        client.send(get(f"/hold/{number}"))
        clients.append(client)
    app.gate.wait_entered(min(calls, site.executor.maximum))
    site.synchronise()
    return clients


# -- takeover


def test_others_are_answered_while_the_leader_is_inside_a_call(site: Threaded, app: App) -> None:
    held = hold(site, app)
    for number in range(20):
        path = f"/quick/{number}"
        assert site.get(path) == path.encode()
    app.gate.open()
    assert held.response().body == b"/hold/1"


def test_the_thread_that_lost_the_lead_answers_its_own_request_and_its_connection_goes_on(
    site: Threaded, app: App
) -> None:
    held = hold(site, app)
    assert site.executor.running == 1
    app.gate.open()
    assert held.response().body == b"/hold/1"
    for number in range(3):
        assert held.request(get(f"/next/{number}")).body == b"/next/%d" % number


@pytest.mark.parametrize("pieces", [1, 2, 7], ids=["whole", "two-pieces", "seven-pieces"])
def test_a_request_that_came_meanwhile_is_answered_after_it(site: Threaded, app: App, pieces: int) -> None:
    held = hold(site, app)
    request = get("/meanwhile/1") + get("/meanwhile/2")
    size = -(-len(request) // pieces)
    for start in range(0, len(request), size):
        held.send(request[start : start + size])
        site.synchronise()
    app.gate.open()
    assert [held.response().body for _ in range(3)] == [b"/hold/1", b"/meanwhile/1", b"/meanwhile/2"]


def test_half_a_request_that_came_meanwhile_is_finished_after_it(site: Threaded, app: App) -> None:
    held = hold(site, app)
    request = get("/late")
    held.send(request[:10])
    site.synchronise()
    app.gate.open()
    assert held.response().body == b"/hold/1"
    held.send(request[10:])
    assert held.response().body == b"/late"


def test_a_client_that_half_closed_meanwhile_gets_its_answer(site: Threaded, app: App) -> None:
    held = hold(site, app)
    held.end()
    site.synchronise()
    app.gate.open()
    assert held.response().body == b"/hold/1"
    assert held.read_to_end() == b""


def test_answers_held_back_for_a_pipelined_request_leave_when_it_takes_long(site: Threaded, app: App) -> None:
    client = site.connect()
    client.send(get("/first") + get("/second") + get("/hold/1") + get("/fourth"))
    assert [client.response().body for _ in range(2)] == [b"/first", b"/second"]
    app.gate.wait_entered()
    assert site.get("/other") == b"/other"
    app.gate.open()
    assert [client.response().body for _ in range(2)] == [b"/hold/1", b"/fourth"]


def test_what_an_application_does_after_its_answer_keeps_neither_it_nor_the_next_request(
    site: Threaded, app: App
) -> None:
    client = site.connect()
    client.send(get("/close/1") + get("/after"))
    assert [client.response().body for _ in range(2)] == [b"/close/1", b"/after"]
    assert app.closing.entered == 1


def test_an_answer_completed_after_the_takeover_leaves_at_once(app: App) -> None:
    def late(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"] != "/late":
            return app(environ, start_response)
        app.gate.wait()
        start_response("200 OK", [])
        return Closing(b"late", app.closing)

    with Threaded(late) as site:
        site.gates += [app.gate, app.closing]
        client = site.connect()
        client.send(get("/late") + get("/after"))
        app.gate.wait_entered()
        site.synchronise()
        app.gate.open()
        # Its close() runs on, and another request was behind it.
        assert [client.response().body for _ in range(2)] == [b"late", b"/after"]
        app.closing.wait_entered()


def test_the_head_of_a_held_request_stays_what_it_was(app: App) -> None:
    seen: list[tuple[str, str]] = []

    def log(exchange: Any, error: BaseException) -> None:
        seen.append((exchange.target, exchange.header(b"x-mark")))

    with serve(app, policy={"on_app_error": log}) as site:
        client = site.connect()
        client.send(get("/raise/it?now", "X-Mark: here"))
        app.gate.wait_entered()
        site.get("/another/one/of/the/same/length/or/longer/than/that")
        app.gate.open()
        assert client.response().status == 500
    assert seen == [("/raise/it?now", "here")]


# -- everybody else, meanwhile


@pytest.mark.parametrize("maximum", [1, 2, 5])
def test_no_more_calls_run_than_there_are_slots_and_reading_goes_on(app: App, maximum: int) -> None:
    with serve(app, maximum) as site:
        idle = site.connect()
        idle.request(get("/before"))
        clients = saturate(site, app, maximum + 3)
        assert site.executor.running == app.gate.entered == maximum
        assert site.executor.waiting == 3
        assert site.executor.threads == maximum + 1
        bad = site.connect()
        assert bad.request(BAD).status == 400
        slow = site.connect()
        slow.send(b"GET / HT")
        site.synchronise()
        site.advance(1_000)
        assert slow.response().status == 408
        assert idle.read_to_end() == b""
        assert site.executor.running == app.gate.entered == maximum
        app.gate.open()
        for number, client in enumerate(clients):
            assert client.response().body == b"/hold/%d" % number
        assert app.most == maximum
        assert site.executor.threads <= maximum + 1


def test_quick_calls_that_found_no_slot_come_before_slow_ones(app: App) -> None:
    order: list[str] = []

    def noting(environ: dict[str, Any], start_response: Any) -> Any:
        order.append(environ["PATH_INFO"])
        return app(environ, start_response)

    with Threaded(noting, 1) as site:
        site.gates += [app.gate]
        held = hold(site, app)
        slow = site.connect()
        slow.send(get("/hold/2"))
        site.synchronise()
        quick = site.connect()
        quick.send(get("/quick"))
        site.synchronise()
        assert site.executor.waiting == 2
        app.gate.open()
        assert [client.response().body for client in (held, quick, slow)] == [b"/hold/1", b"/quick", b"/hold/2"]
    assert order == ["/hold/1", "/quick", "/hold/2"]


def test_one_at_a_time_leaves_one_at_a_time(app: App) -> None:
    with serve(app, 2) as site:
        clients = saturate(site, app, 6)
        for done in range(6):
            assert site.executor.running == min(2, 6 - done)
            app.gate.let_one_pass()
            app.gate.wait_entered(min(6, done + 3))
            clients.append(site.connect())
            assert clients[-1].request(BAD).status == 400
        assert [client.response().status for client in clients[:6]] == [200] * 6


# -- routes


def is_called_by_the_leader(site: Threaded) -> bool:
    before = site.leader()
    called = int(site.get("/who"))
    # Whoever called it in place may have been relieved since.
    return called in (before, site.leader())


def test_a_route_that_took_long_is_queued_until_it_is_quick_again(app: App) -> None:
    def sometimes(environ: dict[str, Any], start_response: Any) -> Any:
        if "slow" in environ["QUERY_STRING"]:
            app.gate.wait()
        return app(environ, start_response)

    with Threaded(sometimes) as site:
        site.gates += [app.gate]
        client = site.connect()
        client.send(get("/who?slow"))
        app.gate.wait_entered()
        site.synchronise()
        app.gate.open()
        client.response()
        site.synchronise()
        leader = site.leader()
        assert int(site.get("/who")) != leader
        # How many quick calls make up for a slow one, and whether each was quick on this machine, is not the point.
        for _ in range(10_000):
            if is_called_by_the_leader(site):
                return
    raise AssertionError("it is queued for ever")


# -- threads


def test_one_client_needs_no_more_than_a_few_threads(app: App) -> None:
    with serve(app, 16) as site:
        site.synchronise()
        assert site.executor.threads == 1
        client = site.connect()
        for _ in range(200):
            client.request(get("/quick"))
        # One leads, one watches; one may be finishing a call and one be on its way to the next if the machine is slow.
        assert site.executor.threads <= 4


def test_threads_grow_with_the_calls_that_run(app: App) -> None:
    with serve(app, 8) as site:
        for calls in range(1, 9):
            client = site.connect()
            client.send(get(f"/hold/{calls}"))
            app.gate.wait_entered(calls)
            site.synchronise()
            assert calls + 1 <= site.executor.threads <= calls + 3
        assert site.executor.threads == 9 == len(site.threads())


@pytest.mark.parametrize(("minimum", "maximum"), [(0, 4), (5, 4), (-1, -1)])
def test_impossible_numbers_of_threads_are_refused(minimum: int, maximum: int) -> None:
    with pytest.raises(ValueError, match=rf"1 <= minimum <= maximum, not {minimum}:{maximum}"):
        ThreadsExecutor(Reactor(), minimum, maximum)


def test_a_machine_that_refuses_more_threads_is_served_with_those_there_are(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with serve(app, 4) as site:
        held = hold(site, app)
        monkeypatch.setattr(threading.Thread, "start", refuse)
        other = site.connect()
        other.send(get("/hold/2"))
        site.synchronise()
        assert site.executor.waiting == 1
        assert {str(error) for error in site.errors} == {"can't start new thread"}
        app.gate.open()
        assert [client.response().body for client in (held, other)] == [b"/hold/1", b"/hold/2"]
        assert site.get("/quick") == b"/quick"
        site.errors.clear()


# -- ends


def test_a_drain_waits_for_calls_and_then_ends_every_thread(app: App) -> None:
    with serve(app, 3) as site:
        idle = site.connect()
        idle.request(get("/before"))
        clients = saturate(site, app, 5)
        site.drain()
        site.synchronise()
        assert site.thread.is_alive()
        assert site.executor.running == 3
        app.gate.open()
        for number, client in enumerate(clients):
            response = client.response()
            assert response.body == b"/hold/%d" % number
            assert response.header("connection") == "close"
            client.close()
        idle.close()
        site.join()
        assert site.executor.threads == 0
        assert app.gate.entered == 5


@pytest.mark.parametrize("calls", [1, 2], ids=["relieved", "pulled"])
def test_a_drain_ends_with_a_call_whose_client_has_left(app: App, calls: int) -> None:
    with serve(app) as site:
        for client in saturate(site, app, calls):
            client.reset()
        site.drain()
        site.synchronise()
        assert site.reactor.connections == 0
        assert site.thread.is_alive()
        app.gate.open()
        site.join()


def test_stopping_lets_calls_finish_and_ends_every_thread(app: App) -> None:
    with serve(app, 3) as site:
        saturate(site, app, 3)
        threads = site.threads()
        assert len(threads) == 4
        site.reactor.stop()
        app.gate.open()
        site.join()
        assert not any(thread.is_alive() for thread in threads)


def test_threads_asleep_end_with_the_others(app: App) -> None:
    with serve(app, 5) as site:
        clients = saturate(site, app, 5)
        app.gate.open()
        for client in clients:
            client.response()
        site.synchronise()
        site.reactor.stop()
        site.join()


# -- what applications do


@pytest.mark.parametrize("error", ["raise", "exit"])
def test_an_application_may_raise_in_every_role(app: App, error: str) -> None:
    with serve(app) as site:
        relieved = hold(site, app, f"/{error}/relieved")
        pulled = hold(site, app, f"/{error}/pulled")
        app.gate.open()
        inline = site.connect()
        inline.send(get(f"/{error}"))
        for client in (relieved, pulled, inline):
            assert client.response().status == 500
            assert client.request(get("/next")).body == b"/next"
    kind = LookupError if error == "raise" else SystemExit
    assert sorted(map(str, site.failed)) == [f"/{error}", f"/{error}/pulled", f"/{error}/relieved"]
    assert {type(failure) for failure in site.failed} == {kind}


def test_a_close_that_raises_after_the_takeover_costs_nobody_anything(app: App) -> None:
    class Broken(Closing):
        def close(self) -> None:
            super().close()
            raise LookupError("close")

    def broken(environ: dict[str, Any], start_response: Any) -> Any:
        start_response("200 OK", [])
        return Broken(b"sent", app.closing)

    with Threaded(broken) as site:
        site.gates += [app.closing]
        client = site.connect()
        assert client.request(get("/")).body == b"sent"
        site.synchronise()
        app.closing.open()
        assert client.request(get("/")).body == b"sent"
    assert {str(error) for error in site.failed} == {"close"}


def test_a_failure_that_cannot_be_told_ends_the_connection(app: App) -> None:
    def broken(exchange: Any, error: BaseException) -> None:
        raise OSError("the log is full")

    with serve(app, policy={"on_app_error": broken}) as site:
        for path in ("/raise/1", "/raise/2"):
            client = hold(site, app, path)
            app.gate.let_one_pass()
            with pytest.raises((EOFError, ConnectionResetError)):
                client.response()
        assert site.get("/next") == b"/next"
        site.synchronise()
        assert {str(error) for error in site.errors} == {"the log is full"}
        site.errors.clear()


# -- clients that leave


@pytest.mark.parametrize("leave", [RawClient.close, RawClient.reset], ids=["end", "reset"])
def test_a_client_may_leave_while_its_call_runs_or_waits(app: App, leave: Callable[[RawClient], None]) -> None:
    with serve(app, 2) as site:
        for client in saturate(site, app, 4):
            leave(client)
        site.synchronise()
        app.gate.open()
        assert site.get("/next") == b"/next"
    # The end of a client's requests is not the end of its interest; a reset is, and then nobody calls for it.
    assert app.gate.entered == (4 if leave is RawClient.close else 2)
    assert site.executor.waiting == 0
    assert site.failed == []


def test_a_drain_lets_go_of_waiting_calls_whose_clients_have_left(app: App) -> None:
    ended: list[tuple[str, bool]] = []

    def log(exchange: Any) -> None:
        ended.append((exchange.target, exchange.complete))

    with serve(app, 1, policy={"on_complete": log}) as site:
        running, *waiting = saturate(site, app, 3)
        for client in waiting:
            client.reset()
        running.reset()
        site.drain()
        site.synchronise()
        assert site.reactor.connections == 0
        assert site.executor.waiting == 2
        assert site.thread.is_alive()
        app.gate.open()
        site.join()
    assert app.gate.entered == 1
    assert sorted(ended) == [("/hold/0", False), ("/hold/1", False), ("/hold/2", False)]


# -- bodies


def test_an_application_that_asks_for_a_body_gets_it_while_others_lead(site: Threaded) -> None:
    client = site.connect()
    client.send(b"POST /echo HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")
    assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
    for piece in (b"one", b"two", b"end"):
        assert site.get("/other") == b"/other"
        client.send(piece)
    assert client.response("POST").body == b"onetwoend"


@pytest.mark.parametrize("tail", [b"", get("/next")], ids=["alone", "pipelined"])
def test_a_streamed_body_is_read_by_the_thread_that_wants_it(app: App, tail: bytes) -> None:
    with serve(app, stream_input=True) as site:
        client = site.connect()
        client.send(b"POST /echo HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n")
        for number in range(5):
            assert site.get("/other") == b"/other"
            client.send(b"400\r\n" + b"%d" % number * 0x400 + b"\r\n")
        client.send(b"0\r\n\r\n" + tail)
        assert client.response("POST").body == b"".join(b"%d" % number * 0x400 for number in range(5))
        if not tail:
            client.send(get("/next"))
        assert client.response().body == b"/next"


@pytest.mark.parametrize("leave", [RawClient.close, RawClient.reset], ids=["end", "reset"])
def test_a_client_may_leave_in_the_middle_of_a_body(app: App, leave: Callable[[RawClient], None]) -> None:
    ended = threading.Event()

    def reading(environ: dict[str, Any], start_response: Any) -> Any:
        try:
            return app(environ, start_response)
        except OSError:
            ended.set()
            raise

    with Threaded(reading, stream_input=True) as site:
        client = site.connect()
        client.send(POST % (b"/echo", 10, b"half "))
        assert site.get("/other") == b"/other"
        leave(client)
        assert ended.wait(PATIENCE_S)
    assert site.failed == []


def test_a_connection_closed_by_the_leader_wakes_the_thread_that_reads_its_body() -> None:
    ended = threading.Event()
    written = threading.Event()

    def reading(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/other":
            start_response("200 OK", [])
            return [b"other"]
        write = start_response("200 OK", [])
        write(b"x" * LARGE)
        written.set()
        try:
            environ["wsgi.input"].read()
        finally:
            ended.set()
        return []

    with Threaded(reading, stream_input=True, policy={"body_timeout": 0, "send_timeout": 60}) as site:
        client = site.connect()
        client.send(POST % (b"/", 10, b"half "))
        assert written.wait(PATIENCE_S)
        assert site.get("/other") == b"other"
        assert not ended.is_set()
        assert site.reactor.connections == 2
        # It reads nothing of its answer; the other one may be idle for longer.
        site.advance(61)
        assert site.reactor.connections == 1
        assert ended.wait(PATIENCE_S)
        # The descriptor was let go of in the end, once: a second close() would take another connection's.
        assert all(site.get("/other") == b"other" for _ in range(5))


# -- large responses


def test_a_thread_is_free_once_its_response_is_buffered(app: App, tmp_path: Path) -> None:
    def large(environ: dict[str, Any], start_response: Any) -> Any:
        if environ["PATH_INFO"] != "/large":
            return app(environ, start_response)
        app.gate.wait()
        start_response("200 OK", [("Content-Length", str(LARGE))])
        return Closing(b"x" * LARGE, app.closing)

    policy = {"output_high_bytes": 100_000, "output_low_bytes": 50_000}
    with Threaded(large, 2, policy=policy, send_buffer=50_000, temp_dir=str(tmp_path)) as site:
        site.gates += [app.gate, app.closing]
        app.closing.open()
        clients = [site.connect() for _ in range(2)]
        for client in clients:
            client.send(get("/large"))
        app.gate.wait_entered(2)
        site.synchronise()
        app.gate.open()
        app.closing.wait_entered(2)
        # Nobody has read a byte, and both slots are free.
        assert site.get("/quick") == b"/quick"
        for view in site.on_leader(lambda: connections(site.reactor)):
            assert view.memory <= 200_000
        for client in clients:
            assert client.response().body == b"x" * LARGE
            assert client.request(get("/next")).body == b"/next"


# -- beside other processes


def waits(site: Threaded) -> bool:
    """A connection is left for other processes, of which the test is one: it is taken, and served by nobody."""
    site.connect()
    site.synchronise()
    try:
        taken, _ = site.socket.accept()
    except BlockingIOError:
        return False
    taken.close()
    return True


def test_with_every_call_running_connections_are_left_to_other_processes(app: App) -> None:
    with serve(app, maximum=2, shared=True) as site:
        first = hold(site, app)
        assert not waits(site)
        second = hold(site, app, "/hold/2")
        assert waits(site)
        app.gate.let_one_pass()
        app.gate.let_one_pass()
        assert (first.response().body, second.response().body) == (b"/hold/1", b"/hold/2")
        assert site.get("/again") == b"/again"


def test_a_connection_left_in_the_queue_is_taken_when_a_call_ends(app: App) -> None:
    with serve(app, maximum=2, shared=True) as site:
        held = saturate(site, app, 2)
        late = site.connect()
        late.send(get("/late"))
        site.synchronise()
        app.gate.let_one_pass()
        assert late.response().body == b"/late"
        app.gate.open()
        assert [client.response().status for client in held] == [200, 200]


def test_with_calls_on_other_threads_a_process_is_not_woken_in_the_place_of_idle_ones(app: App) -> None:
    with serve(app, maximum=3, shared=True) as site:

        def look() -> list[bool]:
            return site.on_leader(lambda: is_exclusive(site.reactor))

        assert look() == [True]
        held = hold(site, app)
        assert look() == [False]
        app.gate.let_one_pass()
        assert held.response().body == b"/hold/1"
        while site.executor.running:
            site.synchronise()
        # The leader sees it when it moves.
        site.synchronise()
        assert look() == [True]


def test_alone_a_process_accepts_while_every_call_runs(app: App) -> None:
    with serve(app, maximum=2) as site:
        saturate(site, app, 2)
        assert not waits(site)
