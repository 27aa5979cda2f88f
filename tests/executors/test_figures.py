"""What is counted of calls that wait, change threads, or are tasks. Gates hold them, so nothing depends on time."""

import asyncio
import threading
from typing import Any

import pytest

from drawbar.executors.tasks import TasksExecutor
from drawbar.net.reactor import Reactor
from drawbar.net.scoreboard import Cell
from tests.support.asgi import AsgiServer, Mail
from tests.support.frames import head
from tests.support.threaded import Gate, Threaded, get

Message = dict[str, Any]


def idle(cell: Cell) -> bool:
    """Nothing is in flight any more, by any of the figures."""
    return (cell.busy, cell.waiting, cell.in_flight()) == (0, 0, [])


class Holding:
    """A WSGI application: waits where its path says so, before its answer or after it."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.closing = Gate()
        self.threads: list[int] = []

    def __call__(self, environ: Message, start_response: Any) -> Any:
        self.threads.append(threading.get_ident())
        if environ["PATH_INFO"].startswith("/hold"):
            self.gate.wait()
        start_response("200 OK", [])
        return _Answer(self.closing) if environ["PATH_INFO"] == "/close" else [b"answer"]


class _Answer:
    def __init__(self, gate: Gate) -> None:
        self.close = gate.wait

    def __iter__(self) -> Any:
        return iter([b"answer"])


def serve(app: Holding, maximum: int = 4) -> Threaded:
    server = Threaded(app, maximum)
    server.gates += [app.gate, app.closing]
    return server


def test_a_call_whose_leader_was_relieved_goes_on_in_flight() -> None:
    app = Holding()
    with serve(app) as server:
        client = server.connect()
        client.send(get("/hold"))
        app.gate.wait_entered()
        server.synchronise()
        cell = server.reactor.cell
        [entry] = cell.in_flight()
        assert (entry.text, entry.thread) == ("GET /hold", app.threads[0])
        assert (cell.busy, cell.waiting) == (1, 0)
        # Somebody else leads by now, and is in no call.
        assert cell.leader != "calls"
        app.gate.open()
        assert client.response().status == 200
        server.synchronise()
        assert cell.requests == 1


def test_calls_past_the_maximum_wait() -> None:
    app = Holding()
    with serve(app, maximum=1) as server:
        clients = [server.connect() for _ in range(3)]
        clients[0].send(get("/hold/1"))
        app.gate.wait_entered()
        for client in clients[1:]:
            client.send(get("/hold/2"))
        server.synchronise()
        cell = server.reactor.cell
        assert (cell.busy, cell.waiting) == (1, 2)
        assert [(entry.called_ns > 0, entry.thread > 0) for entry in cell.in_flight()] == [
            (True, True),
            (False, False),
            (False, False),
        ]
        queued = cell.counters().queued
        assert queued.observations == 1
        app.gate.open()
        for client in clients:
            assert client.response().status == 200
    assert idle(cell)
    assert cell.counters().queued.observations == cell.counters().latency.observations == 3
    # They waited for the gate at least as long as we looked.
    assert cell.counters().queued.sum_s > queued.sum_s


def test_work_after_the_answer_is_in_flight_and_its_latency_is_known() -> None:
    app = Holding()
    with serve(app) as server:
        client = server.connect()
        assert client.request(get("/close")).body == b"answer"
        app.closing.wait_entered()
        cell = server.reactor.cell
        assert (cell.busy, len(cell.in_flight())) == (1, 1)
        assert cell.counters().latency.observations == 1
    assert idle(cell)


def test_a_client_that_left_before_its_answer_had_begun_has_no_status() -> None:
    app = Holding()
    with serve(app) as server:
        client = server.connect()
        client.send(get("/hold"))
        app.gate.wait_entered()
        server.synchronise()
        client.reset()
        server.synchronise()
    cell = server.reactor.cell
    assert cell.counters().requests == (1, 0, 0, 0, 0, 0)
    assert idle(cell)


def test_threads_are_told_by_how_many_calls_there_may_be() -> None:
    app = Holding()
    with serve(app, maximum=2) as server:
        # Before any but the leader has started.
        assert server.reactor.cell.threads == 2
        clients = [server.connect() for _ in range(2)]
        for client in clients:
            client.send(get("/hold"))
        app.gate.wait_entered(2)
        assert (server.reactor.cell.busy, server.reactor.cell.threads, server.executor.threads) == (2, 2, 3)
        app.gate.open()
        for client in clients:
            assert client.response().status == 200
    assert server.executor.threads == 0


# -- tasks


class Waiting:
    """An ASGI application that answers, or begins to, and goes on when it is told to."""

    def __init__(self) -> None:
        self.inside: Mail[Any] = Mail()

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            self.inside.put(None)
            await receive()
            return
        event = asyncio.Event()
        await send({"type": "http.response.start", "status": 200})
        if scope["path"] == "/background":
            await send({"type": "http.response.body", "body": b"answer"})
            self.inside.put(event)
            await event.wait()
            return
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        self.inside.put(event)
        await event.wait()
        await send({"type": "http.response.body", "body": b"two"})


def test_a_task_is_in_flight_while_it_waits() -> None:
    app = Waiting()
    with AsgiServer(app) as server:
        client = server.connect()
        client.send(get("/stream"))
        event = app.inside.get()
        cell = server.reactor.cell
        [entry] = server.do(cell.in_flight)
        assert (entry.text, entry.raw) == ("GET /stream", False)
        assert 0 < entry.started_ns <= entry.called_ns
        assert server.do(lambda: (cell.busy, cell.waiting)) == (1, 0)
        assert cell.requests == 0
        server.do(event.set)
        assert client.response().body == b"onetwo"
        server.completed.get()
        assert server.do(lambda: idle(cell))
        assert cell.counters().requests[2] == 1
        assert cell.counters().latency.observations == cell.counters().queued.observations == 1


def test_a_background_task_is_in_flight_after_its_answer() -> None:
    app = Waiting()
    with AsgiServer(app) as server:
        client = server.connect()
        assert client.request(get("/background")).body == b"answer"
        event = app.inside.get()
        cell = server.reactor.cell
        assert (cell.requests, cell.busy, len(cell.in_flight())) == (1, 1, 1)
        server.do(event.set)
        server.do(lambda: None)
        server.do(lambda: None)
        assert server.do(lambda: idle(cell))


@pytest.mark.parametrize("maximum", [0, 3])
def test_tasks_have_places_in_place_of_threads(maximum: int) -> None:
    reactor = Reactor()
    loop = asyncio.new_event_loop()
    TasksExecutor(loop, maximum, reactor)
    loop.close()
    assert reactor.cell.threads == maximum
    reactor.close()


def test_a_websocket_is_one_request_from_its_beginning() -> None:
    app = Waiting()
    with AsgiServer(app) as server:
        client = server.connect()
        client.send(head(target="/chat"))
        client.read_until(b"\r\n\r\n")
        app.inside.get()
        cell = server.reactor.cell
        [entry] = cell.in_flight()
        assert (entry.text, entry.raw) == ("GET /chat", True)
        assert cell.counters().requests == (0, 1, 0, 0, 0, 0)
        client.close()
        server.completed.get()
        # Once more, so that the task has come to its end.
        server.do(lambda: None)
        server.do(lambda: None)
        assert server.do(lambda: idle(cell))
        assert cell.counters().requests == (0, 1, 0, 0, 0, 0)
        assert cell.counters().latency.observations == 0
