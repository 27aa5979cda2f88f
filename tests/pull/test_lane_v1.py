"""Lane v1, with requests as Prack's own clients make them."""

import base64
import json
import re
from typing import Any

import pytest

from drawbar.pull.lane_v1 import NOTHING, THANK_YOU, guid, lease_of
from tests.support.calls import message
from tests.support.inprocess import Client
from tests.support.pulling import Pulled, problem
from tests.support.raw import Response

ASK = message("GET /api/v1/request")


def respond(identifier: str, path: str = "/api/v1/response", **members: Any) -> bytes:
    """A worker's POST. A member that is None is left out."""
    given = {"identifier": identifier, "code": 200, "headers": {"Content-Type": "text/plain"}, "body": "aGk="} | members
    body = json.dumps({name: value for name, value in given.items() if value is not None}).encode()
    return message(f"POST {path}", "Content-Type: application/json", body=body)


def asked(worker: Client) -> dict[str, Any]:
    """The request that a worker has asked for."""
    response = worker.response()
    assert (response.status, response.header("content-type")) == (200, "application/json")
    given: dict[str, Any] = json.loads(response.body)
    return given


def thanked(response: Response) -> bool:
    """Whether the worker was."""
    assert (response.status, response.body) == (200, THANK_YOU)
    return True


def nothing(response: Response) -> bool:
    """Whether it was told that there is none."""
    assert (response.status, response.body) == (404, NOTHING)
    assert response.header("content-type") == "application/json"
    return True


def test_a_request_goes_to_a_worker_and_its_response_back() -> None:
    with Pulled() as pulled:
        client = pulled.client(message("POST /a/b?c=d", "Host: test", "X-One: 1", body=b"hello"))
        worker = pulled.worker(ASK)
        given = asked(worker)
        assert re.fullmatch(r"\{[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}\}", given["identifier"])
        environment = given["environment"]
        assert all(isinstance(value, str) for value in environment.values())
        expected = {
            "REQUEST_METHOD": "POST",
            "SCRIPT_NAME": "",
            "PATH_INFO": "/a/b",
            "QUERY_STRING": "c=d",
            "SERVER_NAME": "test",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "rack.url_scheme": "http",
            "CONTENT_LENGTH": "5",
            "HTTP_X_ONE": "1",
            "HTTP_HOST": "test",
        }
        assert expected.items() <= environment.items()
        assert base64.b64decode(given["body"]) == b"hello"
        worker.send(respond(given["identifier"], code=201))
        assert thanked(worker.response("POST"))
        response = client.response("POST")
        assert (response.status, response.header("content-type"), response.body) == (201, "text/plain", b"hi")


@pytest.mark.parametrize("path", ["/api/v1/request", "/api/v1/response"])
def test_responses_are_taken_on_both_paths_and_as_any_type(path: str) -> None:
    with Pulled() as pulled:
        client = pulled.client()
        worker = pulled.worker(ASK)
        body = respond(asked(worker)["identifier"], path).replace(
            b"application/json", b"application/x-www-form-urlencoded"
        )
        worker.send(body)
        assert thanked(worker.response("POST"))
        assert client.response().body == b"hi"


def test_a_worker_that_waits_gets_the_next_request_at_once() -> None:
    with Pulled() as pulled:
        worker = pulled.worker(ASK)
        assert worker.available() == b""
        client = pulled.client()
        worker.send(respond(asked(worker)["identifier"]))
        assert thanked(worker.response("POST"))
        assert client.response().body == b"hi"


def test_requests_come_in_the_order_of_their_arrival() -> None:
    with Pulled() as pulled:
        clients = [pulled.client(message(f"GET /{number}")) for number in range(5)]
        workers = [pulled.worker(ASK) for _ in range(5)]
        assert [asked(worker)["environment"]["PATH_INFO"] for worker in workers] == [f"/{n}" for n in range(5)]
        assert [client.available() for client in clients] == [b""] * 5


def test_without_a_request_a_worker_is_told_so_after_five_seconds() -> None:
    with Pulled() as pulled:
        worker = pulled.worker(ASK)
        pulled.advance(4.9)
        assert worker.available() == b""
        pulled.advance(0.2)
        assert nothing(worker.response())
        # And may ask again on the same connection.
        worker.send(ASK)
        pulled.client()
        assert asked(worker)


def test_a_worker_that_left_while_it_waited_gets_no_request() -> None:
    with Pulled() as pulled:
        for leave in ("close", "end", "reset"):
            getattr(pulled.worker(ASK), leave)()
        assert pulled.queue.idle == 0
        client = pulled.client()
        assert pulled.queue.queued == 1
        worker = pulled.worker(ASK)
        assert thanked(pulled.door.request(respond(asked(worker)["identifier"])))
        assert client.response().status == 200


def test_sixty_seconds_from_accept_without_an_answer_the_client_gets_504() -> None:
    with Pulled() as pulled:
        client = pulled.client(message("POST /", body=b""))
        pulled.advance(20)
        identifier = asked(pulled.worker(ASK))["identifier"]
        pulled.advance(39)
        assert client.available() == b""
        pulled.advance(1.2)
        assert client.response("POST").status == 504
        assert nothing(pulled.door.request(respond(identifier)))


def test_a_second_response_is_one_too_many() -> None:
    with Pulled() as pulled:
        client = pulled.client()
        identifier = asked(pulled.worker(ASK))["identifier"]
        assert thanked(pulled.door.request(respond(identifier)))
        assert client.response().status == 200
        assert nothing(pulled.door.request(respond(identifier)))


def test_who_lost_the_lease_does_not_answer_for_who_has_it_now() -> None:
    with Pulled({"shop": {"lease_ms": 10_000}}) as pulled:
        client = pulled.client()
        first = asked(pulled.worker(ASK))["identifier"]
        pulled.advance(10.2)
        second = asked(pulled.worker(ASK))["identifier"]
        assert first != second
        assert nothing(pulled.door.request(respond(first, body="bm8=")))
        assert client.available() == b""
        assert thanked(pulled.door.request(respond(second)))
        assert client.response().body == b"hi"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'{"identifier": 5}', b'{"identifier": ""}', b"\xff\xfe", b'{"code": 200}'],
)
def test_what_cannot_be_read_is_for_no_request(body: bytes) -> None:
    with Pulled() as pulled:
        assert nothing(pulled.call("POST /api/v1/response", body=body))


@pytest.mark.parametrize(
    "identifier", ["x", "{}", "{00000000-0000-0000-0000-000000000000}", "../..", "{0-0}", "\x00", "é" * 1_000]
)
def test_an_identifier_that_was_never_given_is_for_no_request(identifier: str) -> None:
    with Pulled() as pulled:
        pulled.client()
        asked(pulled.worker(ASK))
        assert nothing(pulled.door.request(respond(identifier)))
        assert pulled.queue.leased == 1


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({"code": "many"}, "the code is 'many'"),
        ({"code": None}, "the code is null"),
        ({"code": 99}, "the code is 99"),
        ({"headers": "none"}, "headers is a string"),
        ({"headers": {"A b": "c"}}, "A b"),
        ({"headers": {"A": "b\rc"}}, "A"),
        ({"headers": {"Content-Length": "5"}}, "Content-Length"),
        ({"headers": {"Content-Length": "x"}}, "Content-Length"),
        ({"headers": {"Transfer-Encoding": "gzip"}}, ""),
        ({"body": "?"}, "Base64"),
        ({"body": None}, "the body is null"),
        ({"code": 204}, "no body"),
    ],
    ids=str,
)
def test_a_worker_is_thanked_for_nonsense_and_the_client_gets_502(members: dict[str, Any], why: str) -> None:
    with Pulled() as pulled:
        client = pulled.client()
        identifier = asked(pulled.worker(ASK))["identifier"]
        assert thanked(pulled.door.request(respond(identifier, **members)))
        response = client.response()
        if why:
            assert (response.status, b"Backend error" in response.body) == (502, True)
            assert [(app, why in told) for app, told in pulled.bad] == [("shop", True)]
        # And the next one is served as ever.
        other = pulled.client()
        thanked(pulled.door.request(respond(asked(pulled.worker(ASK))["identifier"])))
        assert other.response().status == 200


def test_hop_by_hop_fields_are_dropped_and_a_true_length_is_kept() -> None:
    headers = {"Connection": "close, x-secret", "Keep-Alive": "5", "Content-Length": "2", "Set-Cookie": ["a=1", "b=2"]}
    with Pulled() as pulled:
        client = pulled.client()
        assert thanked(pulled.door.request(respond(asked(pulled.worker(ASK))["identifier"], headers=headers)))
        response = client.response()
        assert [value for name, value in response.headers if name == "set-cookie"] == ["a=1", "b=2"]
        assert (response.header("content-length"), response.header("connection")) == ("2", None)
        client.send(message("GET /again"))
        assert pulled.queue.queued == 1


def test_a_client_that_left_is_not_given_to_a_worker_and_its_response_to_nobody() -> None:
    with Pulled() as pulled:
        pulled.client().close()
        assert (pulled.queue.queued, pulled.queue.abandoned) == (0, 1)
        client = pulled.client()
        identifier = asked(pulled.worker(ASK))["identifier"]
        client.close()
        assert nothing(pulled.door.request(respond(identifier)))


def test_a_body_too_long_for_json_is_refused_to_its_client() -> None:
    from drawbar.pull.desk import Limits

    with Pulled(limits=Limits(body_bytes=100)) as pulled:
        worker = pulled.worker(ASK)
        client = pulled.client(message("POST /", body=b"x" * 101))
        assert client.response("POST").status == 413
        assert nothing(worker.response())
        problem(pulled.call("POST /api/v1/response", body=b"x" * 101), 413, "too-large")


def test_several_apps_are_told_apart_by_name() -> None:
    with Pulled({"shop": {}, "blog": {}}) as pulled:
        client = pulled.client(message("GET /blog/x"))
        members = problem(pulled.call("GET /api/v1/request"), 400, "bad-request")
        assert members["apps"] == ["shop", "blog"]
        worker = pulled.worker(message("GET /api/v1/request?app=blog"))
        assert asked(worker)["environment"]["PATH_INFO"] == "/blog/x"
        assert client.available() == b""


def test_a_worker_with_a_large_body_that_comes_slowly_holds_up_nobody() -> None:
    with Pulled() as pulled:
        client = pulled.client()
        identifier = asked(pulled.worker(ASK))["identifier"]
        slow = pulled.worker()
        data = respond(identifier, body=base64.encodebytes(b"x" * 200_000).decode())
        slow.send(data[:100_000])
        other = pulled.client()
        assert thanked(pulled.door.request(respond(asked(pulled.worker(ASK))["identifier"])))
        assert other.response().status == 200
        slow.send(data[100_000:])
        assert thanked(slow.response("POST"))
        assert client.response().body == b"x" * 200_000


@pytest.mark.parametrize("serial", ["", "-2", "-117"])
def test_identifiers_stand_for_leases(serial: str) -> None:
    lease = "00112233445566778899aabbccddeeff" + serial
    assert guid(lease) == "{00112233-4455-6677-8899-AABBCCDDEEFF" + serial + "}"
    assert lease_of(guid(lease)) == lease
    assert lease_of(guid(lease).lower()) == lease
