"""The front: what clients get while workers come, go, are late, or are not there."""

from collections.abc import Callable
from typing import Any

import pytest

from drawbar.exchange.errors import AppError, ClientDisconnected
from drawbar.pull.entry import Entry, Room
from drawbar.pull.front import Delivery
from drawbar.pull.queue import AppQueue
from drawbar.pull.routes import Route
from tests.support.fronts import GET, OK, FrontSite, field
from tests.support.inprocess import Client

POST = b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\nhi"
HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"


def method(name: str) -> bytes:
    return f"{name} / HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\nhi".encode()


# -- waiting


def test_a_request_waits_until_there_is_room() -> None:
    with FrontSite() as site:
        client = site.connect()
        client.send(GET)
        assert client.available() == b""
        assert site.queue.queued == 1
        site.worker().serve()
        assert client.response().body == b"ok"


def test_a_full_queue_refuses_and_goes_on() -> None:
    with FrontSite(queue={"length": 1}, retry_after=7) as site:
        first, second = site.connect(), site.connect()
        first.send(GET)
        second.send(GET)
        response = second.response()
        assert (response.status, response.header("retry-after")) == (503, "7")
        assert response.header("connection") is None
        worker = site.worker()
        worker.serve()
        assert first.response().status == 200
        second.send(GET)
        worker.serve()
        assert second.response().status == 200


def test_bytes_that_wait_are_bounded_too() -> None:
    with FrontSite(queue={"bytes": 1_000}) as site:
        client = site.connect()
        client.send(b"GET /%s HTTP/1.1\r\nHost: test\r\n\r\n" % (b"x" * 1_000))
        assert client.response().status == 503
        assert site.queue.refused_bytes == 1


def test_a_stopped_app_says_why() -> None:
    with FrontSite() as site:
        site.queue.stop("back at noon", site.front.now_ms)
        client = site.connect()
        client.send(GET)
        response = client.response()
        assert (response.status, response.header("retry-after")) == (503, "1")
        assert b"back at noon" in response.body


def test_a_paused_app_keeps_its_requests() -> None:
    with FrontSite() as site:
        site.queue.pause(site.front.now_ms)
        worker, client = site.worker(), site.connect()
        client.send(GET)
        assert worker.available() == b""
        site.queue.resume(site.front.now_ms)
        site.front.dispatch(site.queue)
        worker.serve()
        assert client.response().status == 200


def test_who_waits_too_long_is_told_so() -> None:
    with FrontSite(queue={"queue_ms": 3_000}) as site:
        client = site.connect()
        client.send(GET)
        site.advance(2)
        late = site.connect()
        late.send(GET)
        site.advance(1.2)
        response = client.response()
        assert (response.status, response.header("retry-after")) == (503, "1")
        site.worker().serve()
        assert late.response().status == 200


def test_past_the_deadline_the_client_is_told_and_the_worker_closed() -> None:
    with FrontSite(queue={"deadline_ms": 3_000}) as site:
        worker, client = site.worker(), site.connect()
        client.send(GET)
        worker.request()
        site.advance(3.2)
        assert client.response().status == 504
        assert worker.read_to_end() == b""
        assert site.queue.past_deadline == 1
        # And waits for others no less.
        client.send(GET)
        site.advance(3.2)
        assert client.response().status == 504


def test_a_response_that_has_begun_has_no_deadline() -> None:
    with FrontSite(queue={"deadline_ms": 3_000}) as site:
        worker, client = site.worker(), site.connect()
        client.send(GET)
        worker.request()
        worker.send(HALF)
        site.advance(60)
        worker.send(b" whole")
        assert client.response().body == b"half whole"


def test_many_that_are_due_at_once_are_all_told() -> None:
    with FrontSite(queue={"queue_ms": 1_000, "length": 1_000}, policy={"keepalive_timeout": 0}) as site:
        clients = []
        for _ in range(300):
            clients.append(site.connect())
            clients[-1].send(GET)
        site.advance(1.2)
        assert {client.response().status for client in clients} == {503}


# -- priorities


def test_routes_say_who_comes_first() -> None:
    with FrontSite(routes=[Route(), Route(None, "/pay", priority=0)]) as site:
        clients = [site.connect() for _ in range(3)]
        for client, path in zip(clients, (b"/1", b"/2", b"/pay"), strict=True):
            client.send(b"GET %s HTTP/1.1\r\nHost: test\r\n\r\n" % path)
        worker = site.worker()
        assert [worker.serve().split(b" ")[1] for _ in range(3)] == [b"/pay", b"/1", b"/2"]
        assert [client.response().status for client in clients] == [200] * 3


# -- workers that die


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 O", b"HTTP/1.1 100 Continue\r\n\r\n"])
@pytest.mark.parametrize("name", ["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"])
def test_what_is_safe_to_run_again_runs_again(name: str, said: bytes) -> None:
    with FrontSite() as site:
        dies, client = site.worker(), site.connect()
        client.send(method(name))
        dies.request()
        dies.send(said)
        dies.close()
        other = site.worker()
        head = other.request()
        assert field(head, "Drawbar-Attempt") == "2"
        # With its body.
        assert other.body(2) == b"hi"
        other.send(OK if name != "HEAD" else OK[:-2])
        assert client.response(name).status == 200


@pytest.mark.parametrize("name", ["POST", "PATCH", "BREW"])
def test_what_is_not_runs_once(name: str) -> None:
    with FrontSite() as site:
        dies, other, client = site.worker(), site.worker(), site.connect()
        client.send(method(name))
        [busy] = [worker for worker in (dies, other) if worker.available()]
        busy.close()
        assert client.response(name).status == 502
        assert site.queue.broken == 1
        assert [worker.available() for worker in (dies, other) if worker is not busy] == [b""]


def test_unless_its_route_says_so() -> None:
    with FrontSite(routes=[Route(repeatable=True)]) as site:
        dies, client = site.worker(), site.connect()
        client.send(POST)
        dies.request()
        dies.close()
        site.worker().serve()
        assert client.response("POST").status == 200


def test_an_operator_hears_what_was_lost_by_whom() -> None:
    lost: list[Any] = []
    with FrontSite(on_lost=lambda delivery, *what: lost.append((delivery.target, *what))) as site:
        client = site.connect()
        for sent in (GET, POST):
            worker = site.worker("v7")
            client.send(sent)
            worker.request()
            worker.close()
            if sent is GET:
                site.worker().serve()
                assert client.response().status == 200
                site.queue.retire("v1")
        assert client.response("POST").status == 502
    why = "the server closed the connection without a response"
    told = [(target, label, said, again) for target, _, label, said, again in lost]
    assert told == [("/", "v7", why, True), ("/", "v7", why, False)]


def test_attempts_come_to_an_end() -> None:
    with FrontSite(queue={"attempts": 3}) as site:
        client = site.connect()
        client.send(GET)
        for attempt in ("1", "2", "3"):
            worker = site.worker()
            assert field(worker.request(), "Drawbar-Attempt") == attempt
            worker.close()
        assert client.response().status == 502


def test_what_reached_the_client_is_never_run_again() -> None:
    with FrontSite() as site:
        worker, client = site.worker(), site.connect()
        client.send(GET)
        worker.request()
        worker.send(b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n")
        worker.close()
        assert client.response().status == 502
        worker = site.worker()
        client.send(GET)
        worker.request()
        worker.send(HALF)
        worker.close()
        assert client.read_to_end().endswith(b"\r\n\r\nhalf")
        assert site.queue.queued == 0


def test_a_staged_head_leaves_no_trace_in_the_answer_of_the_next_attempt() -> None:
    with FrontSite() as site:
        worker, client = site.worker(), site.connect()
        client.send(GET)
        # One read has the head and the nonsense.
        worker.serve(b"HTTP/1.1 201 First\r\nX-First: 1\r\nTransfer-Encoding: chunked\r\n\r\nnonsense")
        site.worker().serve()
        response = client.response()
        assert (response.status, response.header("x-first"), response.body) == (200, None, b"ok")


def test_a_streamed_body_that_was_given_away_is_not_run_again() -> None:
    with FrontSite(stream_input=True) as site:
        worker, client = site.worker(), site.connect()
        client.send(b"PUT / HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nab")
        worker.request()
        assert worker.body(2) == b"ab"
        worker.close()
        assert client.response("PUT").status == 502


def test_each_app_says_whether_its_bodies_stream() -> None:
    with FrontSite() as site:
        site.front.add_app("files", AppQueue("files"), [Route(None, "/files")], stream_input=True)
        files, usual = site.worker(app="files"), site.worker()
        streamed, buffered = site.connect(), site.connect()
        half = b" HTTP/1.1\r\nHost: test\r\nContent-Length: 4\r\n\r\nab"
        buffered.send(b"PUT /" + half)
        streamed.send(b"PUT /files/1" + half)
        files.request()
        assert files.body(2) == b"ab"
        assert site.queue.accepted == 0
        buffered.send(b"cd")
        usual.request()
        assert usual.body(4) == b"abcd"


def test_what_is_no_apps_is_refused_before_its_body_has_come() -> None:
    with FrontSite(routes=[Route(None, "/shop")]) as site:
        client = site.connect()
        client.send(b"PUT /blog HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n")
        assert client.response("PUT").status == 404


def test_after_its_answer_a_worker_may_die() -> None:
    with FrontSite() as site:
        worker, client = site.worker(), site.connect()
        client.send(POST)
        worker.serve()
        worker.close()
        assert client.response("POST").status == 200
        assert site.completed == [(200, True)]


# -- clients that leave


@pytest.mark.parametrize("leave", [lambda client: client.close(), lambda client: client.end()])
def test_a_client_that_leaves_while_it_waits_takes_its_request_with_it(leave: Callable[[Any], None]) -> None:
    with FrontSite() as site:
        client = site.connect()
        client.send(POST)
        leave(client)
        assert (site.queue.queued, site.queue.abandoned) == (0, 1)
        worker = site.worker()
        assert worker.available() == b""
        assert site.queue.idle == 1


@pytest.mark.parametrize("answer", [b"", HALF])
def test_a_worker_hears_that_its_client_left(answer: bytes) -> None:
    with FrontSite() as site:
        worker, client = site.worker(), site.connect()
        client.send(POST)
        worker.request()
        worker.send(answer)
        client.close()
        site.settle()
        assert worker.read_to_end() == b"hi"
        assert (site.queue.leased, site.queue.idle, site.queue.abandoned) == (0, 0, 1)


def test_a_client_that_closed_its_side_may_be_answered_all_the_same() -> None:
    with FrontSite(answer_half_closed=True) as site:
        client = site.connect()
        client.send(GET)
        client.end()
        site.worker().serve()
        assert client.read_to_end().endswith(b"\r\n\r\nok")


def test_a_client_that_leaves_during_a_response_that_waits_for_it() -> None:
    with FrontSite(send_buffer=8_192, policy={"response_spill_bytes": 50_000}) as site:
        worker, client = site.worker(), site.connect(receive_buffer=4_096)
        client.send(GET)
        worker.request()
        worker.socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            site.settle()
            try:
                worker.socket.send(b"x" * 10_000)
            except BlockingIOError:
                break
        client.reset()
        site.settle()
        assert (site.queue.leased, site.queue.abandoned) == (0, 1)


def test_two_that_are_lost_at_once_find_the_next_worker_in_order() -> None:
    with FrontSite() as site:
        workers = [site.worker() for _ in range(2)]
        clients = [site.connect() for _ in range(2)]
        for number, client in enumerate(clients):
            client.send(b"GET /%d HTTP/1.1\r\nHost: test\r\n\r\n" % number)
        for worker in workers:
            worker.socket.close()
        site.settle()
        assert site.queue.queued == 2
        other = site.worker()
        for _ in clients:
            other.serve()
        assert [client.response().status for client in clients] == [200, 200]


# -- lanes in Python


class Lane(Room):
    """Keeps what it is given."""

    def __init__(self, timed: bool = False) -> None:
        super().__init__("v1", "lane", timed=timed)
        self.given: list[Any] = []

    def deliver(self, entry: Entry) -> None:
        self.given.append(entry.payload)


def lane(site: FrontSite, sent: bytes = GET, timed: bool = False) -> tuple[Any, Client]:
    room = Lane(timed)
    site.queue.add_room(room)
    client = site.connect()
    client.send(sent)
    [delivery] = room.given
    assert isinstance(delivery, Delivery)
    return delivery, client


def test_a_lane_sees_the_request_as_other_workers_do() -> None:
    with FrontSite() as site:
        delivery, client = lane(site, POST.replace(b"/ ", b"/a?b "))
        assert (delivery.app, delivery.method, delivery.target, delivery.http_version) == ("app", "POST", "/a?b", "1.1")
        assert (delivery.scheme, delivery.remote[0], delivery.body_size) == ("http", "127.0.0.1", 2)
        assert delivery.head.startswith(b"POST /a?b HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n")
        assert delivery.head.endswith(b"\r\n\r\n")
        assert (b"Drawbar-Attempt", b"1") in delivery.fields
        for _ in range(2):
            assert delivery.open_body().read() == b"hi"
        delivery.begin(201, None, [(b"X-A", b"1"), (b"Connection", b"close"), (b"Transfer-Encoding", b"chunked")])
        delivery.write(b"made", last=True)
        response = client.response("POST")
        assert (response.status, response.body, response.header("x-a")) == (201, b"made", "1")
        assert response.header("connection") is None
        assert (delivery.over, delivery.entry, site.queue.answered) == (True, None, 1)
        with pytest.raises(ClientDisconnected):
            delivery.write(b"more")


def test_a_lane_streams_with_trailers() -> None:
    with FrontSite() as site:
        delivery, client = lane(site, GET.replace(b"\r\n\r\n", b"\r\nTE: trailers\r\nConnection: TE\r\n\r\n"))
        delivery.begin(200, b"Fine", [])
        delivery.write(b"")
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 200 Fine\r\n")
        delivery.write(b"ab")
        delivery.trailer(b"X-Sum", b"7")
        delivery.finish()
        assert client.read_until(b"7\r\n\r\n") == b"2\r\nab\r\n0\r\nX-Sum: 7\r\n\r\n"


@pytest.mark.parametrize(
    ("status", "reason", "fields"),
    [
        *((99, None, []), (150, None, []), (200, b"a\nb", []), (200, None, [(b"a b", b"")])),
        *((200, None, [(b"a", b"b\r\nc: d")]), (200, None, [(b"Content-Length", b"x")])),
    ],
)
def test_what_a_lane_cannot_send_it_hears(status: int, reason: bytes | None, fields: list[tuple[bytes, bytes]]) -> None:
    with FrontSite() as site:
        delivery, client = lane(site)
        with pytest.raises(AppError):
            delivery.begin(status, reason, fields)
        delivery.fail(502, "the worker's response is invalid")
        assert client.response().status == 502
        assert site.queue.answered == 1


def test_a_body_that_contradicts_its_head_is_broken_off() -> None:
    with FrontSite() as site:
        delivery, client = lane(site)
        delivery.begin(200, None, [(b"Content-Length", b"3")])
        delivery.write(b"ab")
        with pytest.raises(AppError):
            delivery.write(b"cd")
        delivery.fail(502, "too long")
        assert client.read_to_end().endswith(b"\r\n\r\nab")


def test_a_lane_hears_that_its_client_left_or_was_told_and_not_of_its_own_doing() -> None:
    told: list[str] = []
    with FrontSite(queue={"deadline_ms": 3_000}) as site:
        delivery, client = lane(site)
        delivery.on_gone = lambda: told.append("left")
        client.close()
        assert (told, delivery.is_gone) == (["left"], True)
        delivery, client = lane(site)
        delivery.on_gone = lambda: told.append("late")
        site.advance(3.2)
        assert client.response().status == 504
        assert told == ["left", "late"]
        delivery, client = lane(site)
        delivery.on_gone = lambda: told.append("never")
        delivery.abort()
        client.available()
        assert client.ended == "reset"
        assert told == ["left", "late"]


@pytest.mark.parametrize(("sent", "again"), [(GET, True), (POST, False)])
def test_a_lane_that_loses_a_request_is_told_what_became_of_it(sent: bytes, again: bool) -> None:
    with FrontSite() as site:
        delivery, client = lane(site, sent)
        assert site.front.lose(delivery, "its worker is gone") is again
        if again:
            assert site.worker().serve().startswith(b"GET / ")
        response = client.response(sent.split(b" ")[0].decode())
        assert response.status == (200 if again else 502)
        assert again or b"its worker is gone" in response.body


@pytest.mark.parametrize("unrun", [True, False])
def test_a_lane_may_give_a_request_back(unrun: bool) -> None:
    with FrontSite() as site:
        delivery, client = lane(site, POST)
        delivery.open_body().read()
        assert site.front.release(delivery, unrun) is unrun
        if unrun:
            worker = site.worker()
            assert field(worker.request(), "Drawbar-Attempt") == "1"
            assert worker.body(2) == b"hi"
            worker.send(OK)
        assert client.response("POST").status == (200 if unrun else 502)


def test_a_lease_that_runs_out_is_lost() -> None:
    with FrontSite(queue={"lease_ms": 2_000}) as site:
        delivery, client = lane(site, timed=True)
        site.advance(2.2)
        assert delivery.entry.room is None
        site.worker().serve()
        assert client.response().status == 200


@pytest.mark.parametrize(("deadline_ms", "status"), [(60_000, 502), (2_000, 504)])
def test_a_lease_that_runs_out_of_what_may_not_run_again(deadline_ms: int, status: int) -> None:
    with FrontSite(queue={"lease_ms": 2_000, "deadline_ms": deadline_ms}) as site:
        _, client = lane(site, method("POST"), timed=True)
        site.advance(2.2)
        answer = client.response("POST")
        assert answer.status == status
        assert (b"within its lease" in answer.body) is (status == 502)


def test_a_lane_that_sends_much_hears_when_its_client_has_read() -> None:
    with FrontSite(send_buffer=8_192) as site:
        room = Lane()
        site.queue.add_room(room)
        client = site.connect(receive_buffer=4_096)
        client.send(GET)
        [delivery] = room.given
        drained: list[int] = []
        delivery.begin(200, None, [(b"Content-Length", b"1000000")])
        delivery.on_drained = lambda: drained.append(1)
        delivery.write(b"x" * 1_000_000)
        assert delivery.waiting > 500_000
        client.read_until(b"\r\n\r\n")
        got = 0
        while got < 900_000:
            got += len(client.available())
        while got < 1_000_000:
            got += len(client.available())
        assert (drained, delivery.waiting) == ([1], 0)
        delivery.finish()
        assert site.queue.answered == 1


def test_a_room_that_breaks_costs_its_request_an_attempt_and_no_more() -> None:
    class Broken(Lane):
        def deliver(self, entry: Entry) -> None:
            raise ValueError("no worker here")

    with FrontSite() as site:
        site.queue.add_room(Broken())
        client = site.connect()
        client.send(GET)
        assert [str(error) for error in site.errors] == ["no worker here"]
        site.errors.clear()
        site.worker().serve()
        assert client.response().status == 200


def test_who_served_is_known_when_a_request_completes() -> None:
    told: list[Any] = []
    with FrontSite() as site:

        def note(exchange: Any) -> None:
            delivery = site.front.delivery_of(exchange)
            assert delivery is not None
            assert delivery.entry is not None
            assert delivery.entry.room is not None
            told.append((exchange.status_code, delivery.entry.attempts, delivery.entry.room.label))

        site.on_complete = note
        client = site.connect()
        client.send(GET)
        site.worker("old").close()
        site.worker("new").serve()
        assert client.response().status == 200
        assert told == [(200, 2, "new")]
