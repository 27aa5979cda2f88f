"""Lane v2: requests and responses as `message/http` and as JSON, leases, and every way to get them wrong."""

import base64
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drawbar.pull.desk import Limits
from tests.support.calls import message
from tests.support.inprocess import Client
from tests.support.pulling import Pulled, problem
from tests.support.raw import Response

NEXT = message("GET /api/v2/next")
NEXT_JSON = message("GET /api/v2/next", "Accept: application/json")
HTTP = "Content-Type: message/http; msgtype=response"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


def got(worker: Client) -> Response:
    """The request that a worker got, as the response it came in."""
    response = worker.response()
    assert response.status == 200, response
    return response


def lease(pulled: Pulled, request: bytes = NEXT) -> str:
    """The id of the next request."""
    return got(pulled.worker(request)).header("drawbar-request-id") or ""


def respond(lease_id: str, data: bytes = OK, *fields: str) -> bytes:
    """A worker's POST."""
    return message(f"POST /api/v2/requests/{lease_id}/response", *(fields or (HTTP,)), body=data)


def respond_json(lease_id: str, **members: Any) -> bytes:
    """The same as JSON."""
    body = json.dumps({"code": 200, **members}).encode()
    return respond(lease_id, body, "Content-Type: application/json")


def accepted(response: Response, lease_id: str) -> bool:
    """Whether it was taken."""
    assert (response.status, json.loads(response.body)) == (202, {"id": lease_id})
    return True


# -- requests


def test_a_request_comes_as_message_http() -> None:
    with Pulled() as pulled:
        pulled.client(message("POST /a?b", "X-One: 1", "Connection: x-two", "X-Two: 2", body=b"hello"))
        response = got(pulled.worker(NEXT))
        assert response.header("content-type") == "message/http; msgtype=request"
        assert response.header("cache-control") == "no-store"
        assert response.header("drawbar-attempt") == "1"
        assert 0 < int(response.header("drawbar-lease-ms") or 0) <= 60_000
        assert 0 < int(response.header("drawbar-deadline-ms") or 0) <= 60_000
        head, _, body = response.body.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        assert (lines[0], body) == (b"POST /a?b HTTP/1.1", b"hello")
        assert b"X-One: 1" in lines
        assert b"Content-Length: 5" in lines
        assert not any(line.startswith((b"X-Two", b"Connection")) for line in lines)


def test_a_request_comes_as_json_to_those_who_accept_nothing_else() -> None:
    with Pulled() as pulled:
        pulled.client(message("POST /a?b", "X-One: 1", "X-One: 2", body=b"hello"))
        response = got(pulled.worker(NEXT_JSON))
        assert response.header("content-type") == "application/json"
        members = json.loads(response.body)
        assert members["identifier"] == response.header("drawbar-request-id")
        assert members["environment"]["HTTP_X_ONE"] == ["1", "2"]
        assert members["environment"]["PATH_INFO"] == "/a"
        assert base64.b64decode(members["body"]) == b"hello"
    with Pulled() as pulled:
        pulled.client()
        both = pulled.worker(message("GET /api/v2/next", "Accept: application/json, message/http"))
        assert got(both).header("content-type") == "message/http; msgtype=request"


@pytest.mark.parametrize("size", [65_536, 65_537, 3_000_000])
def test_a_large_request_is_streamed_from_where_it_lies(size: int) -> None:
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    with Pulled() as pulled:
        pulled.client(message("PUT /", body=body))
        assert got(pulled.worker(NEXT)).body.partition(b"\r\n\r\n")[2] == body


def test_a_large_request_comes_whole_to_the_second_worker_too() -> None:
    with Pulled({"shop": {"lease_ms": 1_000}}) as pulled:
        pulled.client(message("PUT /", body=b"x" * 200_000))
        lease(pulled)
        pulled.advance(1.2)
        response = got(pulled.worker(NEXT))
        assert response.header("drawbar-attempt") == "2"
        assert response.body.endswith(b"\r\n\r\n" + b"x" * 200_000)


def test_a_lease_as_long_as_the_deadline_saves_no_request() -> None:
    with Pulled({"shop": {"lease_ms": 20_000, "deadline_ms": 20_000}}) as pulled:
        client = pulled.client(message("GET /"))
        lease(pulled)
        pulled.advance(20.3)
        assert client.response().status == 504
        assert pulled.call("GET /api/v2/next?app=shop&wait=0").status == 204


def test_half_a_body_is_not_given_out() -> None:
    with Pulled(stream_input=True) as pulled:
        whole = pulled.client(message("POST /", body=b"hello"))
        assert got(pulled.worker(NEXT)).body.endswith(b"hello")
        assert whole.available() == b""
        half = pulled.client(message("POST /", "Content-Length: 5") + b"hel")
        assert pulled.call("GET /api/v2/next").status == 204
        assert half.response("POST").status == 502


@pytest.mark.parametrize(("wait", "seconds"), [("", 30), ("&wait=60", 60), ("&wait=0.5", 0.5)])
def test_without_a_request_a_worker_is_told_so_in_time(wait: str, seconds: float) -> None:
    with Pulled() as pulled:
        worker = pulled.worker(message(f"GET /api/v2/next?app=shop{wait}"))
        pulled.advance(seconds - 0.1)
        assert worker.available() == b""
        pulled.advance(0.2)
        assert worker.response().status == 204


def test_who_does_not_want_to_wait_does_not() -> None:
    with Pulled() as pulled:
        assert pulled.call("GET /api/v2/next?wait=0").status == 204
        pulled.client()
        assert pulled.call("GET /api/v2/next?wait=0").status == 200


@pytest.mark.parametrize(
    ("query", "what"),
    [
        ("wait=-1", "wait="),
        ("wait=60.001", "wait="),
        ("wait=abc", "wait="),
        ("wait=", "wait="),
        ("wait=1e1", "wait="),
        ("wait=nan", "wait="),
        ("wait=1&wait=2", "twice"),
        ("weight=1", "'weight' is unknown"),
        ("label=" + "x" * 101, "label="),
        ("label=a%0Ab", "label="),
        ("worker=%00", "worker="),
    ],
)
def test_a_question_that_cannot_be_meant_is_refused(query: str, what: str) -> None:
    with Pulled() as pulled:
        members = problem(pulled.call(f"GET /api/v2/next?{query}"), 400, "bad-request")
        assert what in members["detail"]
        assert members["expected"]


def test_no_more_workers_wait_than_may() -> None:
    with Pulled(limits=Limits(polls=2)) as pulled:
        first, second = pulled.worker(NEXT), pulled.worker(NEXT)
        response = pulled.call("GET /api/v2/next")
        problem(response, 503, "too-many-polls")
        assert response.header("retry-after") == "1"
        pulled.client()
        assert {first.available()[:12], second.available()[:12]} == {b"HTTP/1.1 200", b""}
        assert pulled.worker(NEXT).available() == b""


def test_a_worker_of_a_retired_label_is_sent_away() -> None:
    with Pulled() as pulled:
        assert pulled.call("GET /api/v2/next?label=v7&wait=0").status == 204
        pulled.queue.retire("v7")
        problem(pulled.call("GET /api/v2/next?label=v7"), 409, "retired")


# -- responses


def test_a_response_comes_as_message_http() -> None:
    with Pulled() as pulled:
        client = pulled.client()
        lease_id = lease(pulled)
        data = b"HTTP/1.1 404 Gone Fishing\r\nX-A: 1\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\nnot here"
        assert accepted(pulled.door.request(respond(lease_id, data)), lease_id)
        response = client.response()
        assert (response.status, response.reason, response.body) == (404, "Gone Fishing", b"not here")
        assert [value for name, value in response.headers if name == "set-cookie"] == ["a", "b"]
        assert response.header("content-length") == "8"


def test_a_response_comes_as_json() -> None:
    with Pulled() as pulled:
        client = pulled.client()
        lease_id = lease(pulled, NEXT_JSON)
        data = respond_json(lease_id, code=201, headers={"X-A": ["1", "2"]}, body="aGk=")
        assert accepted(pulled.door.request(data), lease_id)
        response = client.response()
        assert (response.status, response.body) == (201, b"hi")


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        b"HTTP/1.0 200 OK\r\n\r\nhi",
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi\r\n",
        b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nhi",
    ],
)
@pytest.mark.parametrize("step", [1, 7, 1_000])
def test_a_response_may_be_framed_in_any_way_and_come_in_any_pieces(data: bytes, step: int) -> None:
    with Pulled() as pulled:
        client = pulled.client()
        lease_id = lease(pulled)
        worker = pulled.worker()
        whole = respond(lease_id, data)
        head = whole.index(b"\r\n\r\n") + 4
        worker.send(whole[:head])
        for at in range(head, len(whole), step):
            worker.send(whole[at : at + step])
        assert accepted(worker.response("POST"), lease_id)
        assert client.response().body == b"hi"


def test_a_response_goes_to_its_client_as_it_comes() -> None:
    with Pulled() as pulled:
        client = pulled.client()
        lease_id = lease(pulled)
        worker = pulled.worker(
            message(f"POST /api/v2/requests/{lease_id}/response", HTTP, "Transfer-Encoding: chunked")
        )
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n"
        worker.send(b"%x\r\n%b\r\n" % (len(head), head))
        assert client.read_until(b"data: 1\n\n")
        pulled.advance(50)
        worker.send(b"9\r\ndata: 2\n\n\r\n")
        assert client.read_until(b"data: 2\n\n")
        # Its lease and its deadline are over by now, and nothing of it matters once the client has some.
        pulled.advance(50)
        worker.send(b"9\r\ndata: 3\n\n\r\n0\r\n\r\n")
        assert client.read_until(b"0\r\n\r\n")
        assert accepted(worker.response("POST"), lease_id)


def test_trailers_reach_a_client_that_takes_them() -> None:
    with Pulled() as pulled:
        client = pulled.client(message("GET /", "TE: trailers", "Connection: TE"))
        lease_id = lease(pulled)
        data = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 7\r\n\r\n"
        assert accepted(pulled.door.request(respond(lease_id, data)), lease_id)
        assert client.response().trailers == [("x-sum", "7")]


def test_head_has_the_length_of_what_get_would_give_and_no_body() -> None:
    with Pulled() as pulled:
        client = pulled.client(message("HEAD /"))
        lease_id = lease(pulled)
        data = b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"
        assert accepted(pulled.door.request(respond(lease_id, data)), lease_id)
        assert client.response("HEAD").header("content-length") == "500"


def test_a_slow_client_makes_its_worker_wait_and_nobody_else() -> None:
    size = 30_000_000
    with Pulled(limits=Limits(output_bytes=100_000)) as pulled:
        client = pulled.client(receive_buffer=65_536)
        lease_id = lease(pulled)
        worker = pulled.worker()
        data = respond(lease_id, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
        view = memoryview(data)
        while True:
            pulled.settle()
            try:
                view = view[worker.socket.send(view[:1_000_000]) :]
            except BlockingIOError:
                break
        assert len(view) > 5_000_000
        other = pulled.client()
        assert pulled.door.request(respond(lease(pulled))).status == 202
        assert other.response().status == 200
        # Past every clock there is: the connection is the sign of life.
        got = 0
        while view or got < size:
            if view:
                with suppress(BlockingIOError):
                    view = view[worker.socket.send(view[:1_000_000]) :]
            got += len(client.available())
        assert accepted(worker.response("POST"), lease_id)


BROKEN = [
    (b"", "ended before"),
    (b"HTTP/1.1 200 OK\r\n", "before the head was complete"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi", "closed"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", "closed"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", ""),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nhi", ""),
    (b"HTTP/1.1 200 OK\r\nA b: c\r\n\r\n", ""),
    (b"HTTP/1.1 200 OK\r\nA: b\x00c\r\n\r\n", ""),
    (b"HTTP/1.1 200 OK\nA: b\n\n", ""),
    (b"HTTP/2 200 OK\r\n\r\n", ""),
    (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", ""),
    (b"HTTP/1.1 99 Low\r\n\r\n", ""),
    (b"hello", "before the head was complete"),
    (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "101"),
    (b"HTTP/1.1 100 Continue\r\n\r\n", "ended before"),
    (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 40_000 + b"\r\n\r\n", ""),
    (b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 101 + b"\r\n", ""),
]


@pytest.mark.parametrize(("data", "why"), BROKEN, ids=range(len(BROKEN)))
def test_a_message_that_is_no_response_is_named_and_its_client_gets_502(data: bytes, why: str) -> None:
    with Pulled() as pulled:
        client = pulled.client()
        lease_id = lease(pulled)
        members = problem(pulled.door.request(respond(lease_id, data)), 422, "invalid-response")
        assert why in members["detail"]
        assert members["expected"]
        if data.endswith((b"\r\nhi", b"\r\nhi\r\n")) and why:
            # Some of it was on its way: no client takes it for whole.
            assert not client.read_to_end().endswith((b"0\r\n\r\n", b"hello"))
        else:
            assert client.response().status == 502
        assert pulled.queue.leased == 0
        assert pulled.door.request(respond(lease_id)).status in (404, 410)


@pytest.mark.parametrize("surplus", [b"!", b"\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"])
@pytest.mark.parametrize("cut", [False, True], ids=["at once", "later"])
def test_a_message_that_goes_on_behind_its_response_is_named(surplus: bytes, cut: bool) -> None:
    with Pulled() as pulled:
        client = pulled.client()
        lease_id = lease(pulled)
        whole = respond(lease_id, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi" + surplus)
        worker = pulled.worker(whole[: len(whole) - len(surplus) * cut])
        worker.send(surplus * cut)
        members = problem(worker.response("POST"), 422, "invalid-response")
        assert "goes on behind the end" in members["detail"]
        response = client.response()
        # What its client has, it has.
        assert (response.status, response.body) == (200, b"hi") or (not cut and response.status == 502)
        assert pulled.queue.leased == 0


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"code": "x"}, "the code is 'x'"),
        ({"header": {}}, "unknown field `header`"),
        ({"headers": {"A b": "c"}}, "A b"),
        ({"headers": {"A": "b\nc"}}, "A"),
        ({"headers": {"Content-Length": "3"}, "body": "aGk="}, "Content-Length"),
        ({"body": "?"}, "Base64"),
        ({"code": 204, "body": "aGk="}, "no body"),
    ],
    ids=str,
)
def test_json_that_is_no_response_is_named_and_its_client_gets_502(members: dict[str, Any], why: str) -> None:
    with Pulled() as pulled:
        client = pulled.client()
        told = problem(pulled.door.request(respond_json(lease(pulled), **members)), 422, "invalid-response")
        assert why in told["detail"]
        assert client.response().status == 502


def test_too_much_json_is_refused_and_its_client_gets_502() -> None:
    with Pulled(limits=Limits(body_bytes=1_000)) as pulled:
        for chunked in (False, True):
            client = pulled.client()
            lease_id = lease(pulled)
            data = respond_json(lease_id, body="A" * 2_000)
            if chunked:
                head, _, body = data.partition(b"\r\n\r\n")
                head = b"\r\n".join(line for line in head.split(b"\r\n") if not line.startswith(b"Content-Length"))
                data = head + b"\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
            problem(pulled.door.request(data), 413, "too-large")
            assert client.response().status == 502


@pytest.mark.parametrize(
    "fields", [("X: y",), ("Content-Type: text/plain",), ("Content-Type: message/http; msgtype=request",)]
)
def test_an_unknown_media_type_is_refused_and_can_be_put_right(fields: tuple[str, ...]) -> None:
    with Pulled() as pulled:
        client = pulled.client()
        lease_id = lease(pulled)
        problem(pulled.door.request(respond(lease_id, OK, *fields)), 415, "media-type")
        assert accepted(pulled.door.request(respond(lease_id)), lease_id)
        assert client.response().status == 200


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("how", ["close", "reset", "end", "silence"])
def test_half_a_response_is_no_response(begun: bool, how: str) -> None:
    with Pulled() as pulled:
        client = pulled.client(message("POST /", body=b""))
        lease_id = lease(pulled)
        worker = pulled.worker()
        data = respond(lease_id, b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf.....")
        worker.send(data[:-5] if begun else data[:-30])
        if how == "silence":
            pulled.advance(59)
            assert worker.available() == b""
            pulled.advance(2)
        else:
            getattr(worker, how)()
        if how in ("end", "silence"):
            problem(worker.response("POST"), 408 if how == "silence" else 400, "broken-body")
        if begun:
            assert client.read_to_end().endswith(b"half")
        else:
            # One that fell silent is past the request's own deadline.
            assert client.response("POST").status in (502, 504)
        assert (pulled.queue.leased, pulled.queue.queued) == (0, 0)


def test_two_responses_at_once_are_one_too_many() -> None:
    with Pulled() as pulled:
        client = pulled.client()
        lease_id = lease(pulled)
        worker = pulled.worker()
        data = respond(lease_id)
        worker.send(data[:-20])
        problem(pulled.door.request(respond(lease_id)), 409, "being-answered")
        problem(pulled.call(f"POST /api/v2/requests/{lease_id}/release"), 409, "being-answered")
        worker.send(data[-20:])
        assert accepted(worker.response("POST"), lease_id)
        assert client.response().status == 200


PIECES = [
    b"HTTP/1.1 200 OK\r\n",
    b"HTTP/1.1 103 Early\r\n\r\n",
    b"Content-Length: 3\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Connection: close\r\n",
    b"A: b\r\n",
    b"\r\n",
    b"3\r\nabc\r\n",
    b"0\r\n",
    b"abc",
]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from(PIECES) | st.binary(max_size=4), max_size=10).map(b"".join),
    st.integers(1, 40),
    st.sampled_from(["", "close", "reset", "end"]),
)
def test_whatever_a_worker_sends_its_client_gets_an_end_and_the_next_is_served(
    data: bytes, step: int, leaves: str
) -> None:
    with Pulled() as pulled:
        client = pulled.client()
        whole = respond(lease(pulled), data)
        worker = pulled.worker()
        sent = whole[: len(whole) - (len(data) + 1) // 2] if leaves else whole
        for at in range(0, len(sent), step):
            worker.send(sent[at : at + step])
        if leaves:
            getattr(worker, leaves)()
        if leaves in ("", "end"):
            assert worker.response("POST").status in (202, 400, 422)
        received = client.available()
        assert received.startswith(b"HTTP/1.1 ")
        assert pulled.queue.leased == 0
        other = pulled.client()
        assert pulled.door.request(respond(lease(pulled))).status == 202
        assert other.response().body == b"hi"


# -- leases


def test_an_id_that_was_never_given_is_unknown() -> None:
    with Pulled() as pulled:
        for what in ("response", "renew", "release"):
            for lease_id in ("0" * 32, "x", "%2e%2e", "0" * 80):
                response = pulled.call(f"POST /api/v2/requests/{lease_id}/{what}", HTTP, body=OK)
                problem(response, 404, "unknown-request")
        problem(pulled.call("POST /api/v2/requests/" + "0" * 81 + "/renew"), 404, "no-such-path")


def test_a_lost_lease_is_told_from_an_unknown_one() -> None:
    with Pulled({"shop": {"lease_ms": 10_000}}) as pulled:
        client = pulled.client()
        first = lease(pulled)
        pulled.advance(10.2)
        for what in ("response", "renew", "release"):
            members = problem(pulled.call(f"POST /api/v2/requests/{first}/{what}", HTTP, body=OK), 409, "lease-lost")
            assert members["expected"]
        second = lease(pulled)
        assert second != first
        problem(pulled.door.request(respond(first)), 409, "lease-lost")
        assert accepted(pulled.door.request(respond(second)), second)
        assert client.response().body == b"hi"


def test_a_request_that_may_not_run_twice_is_502_when_its_lease_is_lost() -> None:
    with Pulled({"shop": {"lease_ms": 1_000}}) as pulled:
        client = pulled.client(message("POST /", body=b"x"))
        lease(pulled)
        pulled.advance(1.2)
        assert client.response("POST").status == 502
        assert pulled.call("GET /api/v2/next?wait=0").status == 204


def test_a_lease_is_renewed() -> None:
    with Pulled({"shop": {"lease_ms": 10_000, "deadline_ms": 50_000}}) as pulled:
        client = pulled.client()
        lease_id = lease(pulled)
        for _ in range(3):
            pulled.advance(9)
            response = pulled.call(f"POST /api/v2/requests/{lease_id}/renew")
            assert (response.status, response.header("drawbar-lease-ms")) == (200, "10000")
            members = json.loads(response.body)
            assert (members["id"], members["lease_ms"], members["attempt"]) == (lease_id, 10_000, 1)
        assert members["deadline_ms"] <= 50_000 - 27_000
        assert accepted(pulled.door.request(respond(lease_id)), lease_id)
        assert client.response().status == 200


def test_a_released_request_is_the_next_and_its_attempt_does_not_count() -> None:
    with Pulled() as pulled:
        pulled.client(message("GET /first"))
        pulled.client(message("GET /second"))
        lease_id = lease(pulled)
        response = pulled.call(f"POST /api/v2/requests/{lease_id}/release")
        assert (response.status, json.loads(response.body)) == (200, {"id": lease_id, "queued": True})
        again = got(pulled.worker(NEXT))
        assert again.body.startswith(b"GET /first ")
        assert again.header("drawbar-attempt") == "1"
        assert again.header("drawbar-request-id") != lease_id
        problem(pulled.call(f"POST /api/v2/requests/{lease_id}/release"), 409, "lease-lost")


def test_what_may_not_run_twice_goes_back_only_when_it_was_not_begun() -> None:
    with Pulled() as pulled:
        client = pulled.client(message("POST /", body=b"x"))
        response = pulled.call(f"POST /api/v2/requests/{lease(pulled)}/release?begun=no")
        assert json.loads(response.body)["queued"] is True
        assert client.available() == b""
        response = pulled.call(f"POST /api/v2/requests/{lease(pulled)}/release")
        assert json.loads(response.body)["queued"] is False
        assert client.response("POST").status == 502
        problem(pulled.call(f"POST /api/v2/requests/{'0' * 32}/release?begun=perhaps"), 400, "bad-request")


@pytest.mark.parametrize("form", [respond, respond_json])
def test_a_client_that_left_is_told_to_its_worker(form: Any) -> None:
    with Pulled() as pulled:
        client = pulled.client()
        lease_id = lease(pulled)
        client.close()
        problem(pulled.door.request(form(lease_id)), 410, "client-gone")
        for what in ("renew", "release"):
            problem(pulled.call(f"POST /api/v2/requests/{lease_id}/{what}"), 410, "client-gone")


def test_a_client_that_leaves_amid_its_response_is_told_to_its_worker() -> None:
    with Pulled() as pulled:
        client = pulled.client()
        lease_id = lease(pulled)
        worker = pulled.worker()
        data = respond(lease_id, b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        worker.send(data[:-2])
        assert client.read_until(b"hel")
        client.close()
        worker.send(data[-2:])
        problem(worker.response("POST"), 410, "client-gone")


def test_a_client_that_leaves_while_json_comes_is_told_to_its_worker() -> None:
    with Pulled() as pulled:
        client = pulled.client()
        lease_id = lease(pulled)
        worker = pulled.worker()
        data = respond_json(lease_id, body="aGk=")
        worker.send(data[:-2])
        client.close()
        worker.send(data[-2:])
        problem(worker.response("POST"), 410, "client-gone")


def test_a_worker_that_never_reads_its_request_loses_it_with_its_lease() -> None:
    with Pulled({"shop": {"lease_ms": 10_000}}) as pulled:
        client = pulled.client(message("PUT /", body=b"x" * 20_000_000))
        pulled.worker(NEXT, receive_buffer=4_096)
        assert pulled.queue.leased == 1
        pulled.advance(10.2)
        response = got(pulled.worker(NEXT))
        assert len(response.body) > 20_000_000
        assert pulled.door.request(respond(response.header("drawbar-request-id") or "")).status == 202
        assert client.response("PUT").status == 200
