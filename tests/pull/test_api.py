"""The API: paths, methods, tokens, probes, status, the attach lane, and how it stops."""

import json
import socket
from pathlib import Path

import pytest

from drawbar.exchange.http1 import Http1Connector
from drawbar.net.listener import listen
from drawbar.pull.api import policy
from drawbar.pull.desk import Limits
from drawbar.pull.tokens import parse
from tests.support.calls import message
from tests.support.pulling import Pulled, problem

SHOP, BLOG, ALL = "shop-token-0123456789", "blog-token-0123456789", "all-tokens-0123456789"
TOKENS = parse(f"{SHOP} shop\n{BLOG} blog\n{ALL}\n", "tokens")
APPS: dict[str, dict[str, int]] = {"shop": {}, "blog": {}}
UPGRADE = ("Connection: Upgrade", "Upgrade: PTTH/1.0")


def bearer(token: str) -> str:
    """The field."""
    return f"Authorization: Bearer {token}"


def test_there_are_no_other_paths() -> None:
    with Pulled() as pulled:
        for path in (
            "/",
            "/api",
            "/api/v1",
            "/api/v3/next",
            "/api/v2/next/",
            "/api/v2/requests//renew",
            "/API/V2/NEXT",
        ):
            members = problem(pulled.call(f"GET {path}"), 404, "no-such-path")
            assert "/api/v2/next" in members["paths"]


@pytest.mark.parametrize(
    ("start", "allowed"),
    [
        ("PUT /api/v1/request", "GET, POST"),
        ("GET /api/v1/response", "POST"),
        ("POST /api/v2/next", "GET"),
        ("HEAD /api/v2/next", "GET"),
        ("DELETE /api/v2/status", "GET, HEAD"),
        ("POST /livez", "GET, HEAD"),
        ("GET /api/v2/requests/x/renew", "POST"),
        ("BREW /api/v2/attach", "GET"),
    ],
)
def test_a_path_takes_its_methods_alone(start: str, allowed: str) -> None:
    with Pulled() as pulled:
        response = pulled.door.connect()
        response.send(message(start))
        answer = response.response(start.split()[0])
        assert (answer.status, answer.header("allow")) == (405, allowed)


# -- tokens


@pytest.mark.parametrize(
    "start",
    [
        "GET /api/v1/request",
        "POST /api/v1/response",
        "GET /api/v2/next",
        "GET /api/v2/attach",
        "GET /api/v2/status",
        "GET /api/v2/openapi.json",
        "POST /api/v2/requests/x/response",
        "GET /nowhere",
    ],
)
@pytest.mark.parametrize("field", ["X: y", bearer("wrong-token-0123456789"), f"Authorization: Basic {SHOP}"])
def test_without_a_token_nothing_is_told(start: str, field: str) -> None:
    with Pulled(APPS, tokens=TOKENS) as pulled:
        response = pulled.call(start, field)
        members = problem(response, 401, "no-token")
        assert response.header("www-authenticate") == 'Bearer realm="drawbar"'
        assert "shop" not in json.dumps(members)


def test_a_body_of_somebody_without_a_token_is_not_read() -> None:
    with Pulled(tokens=TOKENS) as pulled:
        worker = pulled.worker(message("POST /api/v1/response", "Content-Length: 900000", "Expect: 100-continue"))
        response = worker.response("POST")
        assert (response.status, response.informational) == (401, [])


def test_a_token_is_for_its_apps() -> None:
    with Pulled(APPS, tokens=TOKENS) as pulled:
        members = problem(pulled.call("GET /api/v2/next?app=blog", bearer(SHOP)), 403, "not-granted")
        assert members["apps"] == ["shop"]
        problem(pulled.call("GET /api/v2/next?app=other", bearer(SHOP)), 403, "not-granted")
        problem(pulled.call("GET /api/v2/attach?app=blog", bearer(SHOP), *UPGRADE), 403, "not-granted")
        problem(pulled.call("GET /api/v2/status?app=blog", bearer(SHOP)), 403, "not-granted")
        members = problem(pulled.call("GET /api/v2/next?app=other", bearer(ALL)), 404, "unknown-app")
        assert members["apps"] == ["shop", "blog"]
        # Who has a token for one app need not name it.
        assert pulled.call("GET /api/v2/next?wait=0", bearer(SHOP)).status == 204
        problem(pulled.call("GET /api/v2/next?wait=0", bearer(ALL)), 400, "bad-request")


def test_a_lease_is_not_for_the_token_of_another_app() -> None:
    with Pulled(APPS, tokens=TOKENS) as pulled:
        client = pulled.client(message("GET /shop"))
        lease = pulled.call("GET /api/v2/next", bearer(SHOP)).header("drawbar-request-id") or ""
        for what in ("response", "renew", "release"):
            start = f"POST /api/v2/requests/{lease}/{what}"
            problem(pulled.call(start, bearer(BLOG), body=b""), 403, "not-granted")
        given = json.dumps({"identifier": f"{{{lease}}}", "code": 200, "headers": {}, "body": ""}).encode()
        assert pulled.call("POST /api/v1/response", bearer(BLOG), body=given).status == 404
        assert client.available() == b""
        body = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        start = f"POST /api/v2/requests/{lease}/response"
        assert pulled.call(start, bearer(SHOP), "Content-Type: message/http", body=body).status == 202
        assert client.response().status == 200


def test_tokens_can_be_replaced() -> None:
    with Pulled(tokens=TOKENS) as pulled:
        assert pulled.call("GET /api/v2/status", bearer(ALL)).status == 200
        pulled.api.tokens = parse("another-token-0123456789", "tokens")
        assert pulled.call("GET /api/v2/status", bearer(ALL)).status == 401


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        (["Origin: https://evil.example"], 403),
        (["Origin: null"], 403),
        (["Sec-Fetch-Site: cross-site"], 403),
        (["Sec-Fetch-Site: same-origin"], 403),
        (["Sec-Fetch-Site: none"], 200),
        ([], 200),
    ],
)
def test_a_page_in_a_browser_is_no_worker(fields: list[str], status: int) -> None:
    with Pulled() as pulled:
        assert pulled.call("GET /api/v2/status", *fields).status == status
    with Pulled(tokens=TOKENS) as pulled:
        assert pulled.call("GET /api/v2/status", *fields, bearer(ALL)).status == 200


@pytest.mark.parametrize(
    ("host", "is_served"),
    [
        *(
            (host, True)
            for host in ("localhost", "LocalHost:4242", "127.0.0.1:4242", "127.8.9.1", "[::1]:4242", "[::1]")
        ),
        *(
            (host, False)
            for host in ("evil.example", "evil.example:4242", "127.0.0.1.evil.example", "10.0.0.1", "[::2]:1")
        ),
    ],
)
def test_a_page_under_a_name_that_leads_here_is_no_worker(host: str, is_served: bool) -> None:
    with Pulled() as pulled:
        client = pulled.client(message("GET /"))
        answer = pulled.call("GET /api/v2/next?wait=0", f"Host: {host}")
        if is_served:
            assert answer.status == 200
        else:
            members = problem(answer, 421, "wrong-host")
            assert host in members["detail"]
            assert "localhost" in members["expected"]
            assert pulled.queue.queued == 1
            assert pulled.call("GET /livez", f"Host: {host}").status == 200
        client.socket.close()
    with Pulled(tokens=TOKENS) as pulled:
        assert pulled.call("GET /api/v2/status", f"Host: {host}", bearer(ALL)).status == 200


def test_who_reaches_a_unix_socket_may_call_it_as_he_likes(tmp_path: Path) -> None:
    with Pulled() as pulled, socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as worker:
        listener.bind(str(tmp_path / "api"))
        listener.listen()
        listener.setblocking(False)
        listen(
            pulled.reactor,
            listener,
            Http1Connector(policy(), pulled.api.handler, "http", (str(tmp_path / "api"), None)),
            exclusive=False,
        )
        worker.connect(str(tmp_path / "api"))
        worker.sendall(message("GET /api/v2/status", "Host: evil.example"))
        pulled.settle()
        assert worker.recv(4_096).startswith(b"HTTP/1.1 200 OK\r\n")


# -- probes


def test_the_server_is_live_whatever_happens() -> None:
    with Pulled(tokens=TOKENS) as pulled:
        response = pulled.call("GET /livez")
        assert (response.status, response.body) == (200, b"ok\n")
        worker = pulled.door.connect()
        worker.send(message("HEAD /livez"))
        assert worker.response("HEAD").body == b""


def test_probes_answer_with_every_slot_busy_and_the_queue_full() -> None:
    with Pulled({"shop": {"length": 5}}) as pulled:
        clients = [pulled.client() for _ in range(8)]
        leases = [pulled.call("GET /api/v2/next") for _ in range(2)]
        clients += [pulled.client() for _ in range(2)]
        assert [client.available()[9:12] for client in clients].count(b"503") == 3
        assert pulled.queue.queued == 5
        assert len(leases) == pulled.queue.leased == 2
        assert pulled.call("GET /livez").status == 200
        assert pulled.call("GET /readyz").status == 200


def test_a_server_is_ready_while_its_queue_moves() -> None:
    with Pulled() as pulled:
        members = problem(pulled.call("GET /readyz"), 503, "not-ready")
        assert members["apps"] == {"shop": "no worker is there"}
        assert pulled.call("GET /api/v2/next?wait=0").status == 204
        assert pulled.call("GET /readyz").status == 200
        pulled.advance(10.1)
        assert pulled.call("GET /readyz").status == 503
        pulled.client()
        # Nobody has looked yet for how long nothing has moved.
        assert pulled.call("GET /readyz").status == 200
        pulled.advance(5.1)
        members = problem(pulled.call("GET /readyz"), 503, "not-ready")
        assert members["apps"] == {"shop": "1 requests wait, and none was taken or answered for 5 s"}
        assert pulled.call("GET /api/v2/next").status == 200
        assert pulled.call("GET /readyz").status == 200
        pulled.advance(30)
        assert pulled.call("GET /readyz").status == 200


def test_an_app_that_is_started_on_demand_needs_no_worker_to_be_ready() -> None:
    with Pulled(on_demand={"shop"}) as pulled:
        assert pulled.call("GET /readyz").status == 200
        pulled.client()
        assert pulled.call("GET /readyz").status == 200
        pulled.advance(5.1)
        assert pulled.call("GET /readyz").status == 503


def test_a_paused_app_stays_ready_and_a_stopped_one_is_not() -> None:
    with Pulled() as pulled:
        pulled.client()
        pulled.queue.pause(pulled.front.now_ms)
        pulled.advance(20)
        assert pulled.call("GET /readyz").status == 200
        pulled.queue.stop("back soon", pulled.front.now_ms)
        members = problem(pulled.call("GET /readyz"), 503, "not-ready")
        assert members["apps"] == {"shop": "it is stopped"}


def test_a_probe_without_a_token_names_no_app() -> None:
    with Pulled(APPS, tokens=TOKENS) as pulled:
        assert "apps" not in problem(pulled.call("GET /readyz"), 503, "not-ready")
        members = problem(pulled.call("GET /readyz", bearer(SHOP)), 503, "not-ready")
        assert list(members["apps"]) == ["shop"]
        pulled.call("GET /api/v2/next?wait=0", bearer(SHOP))
        assert pulled.call("GET /readyz?app=shop").status == 200
        assert pulled.call("GET /readyz?app=blog").status == 503
        problem(pulled.call("GET /readyz?app=other"), 404, "unknown-app")
        problem(pulled.call("GET /readyz?ap=shop"), 400, "bad-request")


# -- status


def test_status_tells_of_queues_workers_and_requests() -> None:
    with Pulled({"shop": {"lease_ms": 10_000}}) as pulled:
        waiting = pulled.worker(message("GET /api/v2/next?label=v7&worker=one"))
        pulled.client(message("GET /slow?x"))
        assert waiting.response().status == 200
        pulled.advance(2)
        pulled.client(message("GET /queued"))
        pulled.advance(1)
        response = pulled.call("GET /api/v2/status")
        assert response.header("cache-control") == "no-store"
        report = json.loads(response.body)
        assert (report["polls"], report["draining"]) == (0, False)
        assert report["histograms"]["latency"]["count"] == 0
        app = report["apps"]["shop"]
        assert (app["queued"], app["leased"], app["idle"], app["gate"], app["ready"]) == (1, 1, 0, "open", True)
        assert 900 <= app["oldest_ms"] <= 1_200
        assert app["counters"]["accepted"] == 2
        assert app["limits"]["lease_ms"] == 10_000
        (worker,) = app["workers"]
        assert 2_900 <= worker.pop("seen_ms_ago") <= 3_200
        assert worker == {"worker": "one", "label": "v7", "lane": "v2", "idle": 0, "leased": 1, "given": 1}
        (label,) = app["labels"]
        assert (label["label"], label["leased"], label["given"]) == ("v7", 1, 1)
        (request,) = app["requests"]
        assert (request["request"], request["attempt"], request["worker"]) == ("GET /slow?x", 1, "one")
        assert 2_900 <= request["age_ms"] <= 3_200
        (held,) = app["waiting"]
        assert (held["request"], held["attempts"]) == ("GET /queued", 0)
        assert 900 <= held["age_ms"] <= 1_200
        assert app["histograms"]["app"]["count"] == 0


def test_status_lists_no_more_than_it_is_asked_for() -> None:
    with Pulled() as pulled:
        for number in range(3):
            pulled.call(f"GET /api/v2/next?wait=0&worker=w{number}")
        for number in range(3):
            pulled.client(message(f"GET /{number}"))
        for most, expected in ((2, 2), (0, 0), (1_000, 3)):
            (app,) = json.loads(pulled.call(f"GET /api/v2/status?most={most}").body)["apps"].values()
            assert (len(app["workers"]), app["workers_in_all"], len(app["waiting"])) == (expected, 3, expected)
        for wrong in ("x", "-1", "1001", ""):
            problem(pulled.call(f"GET /api/v2/status?most={wrong}"), 400, "bad-request")


def test_status_is_of_the_apps_that_a_token_is_for() -> None:
    with Pulled(APPS, tokens=TOKENS) as pulled:
        assert list(json.loads(pulled.call("GET /api/v2/status", bearer(SHOP)).body)["apps"]) == ["shop"]
        assert "histograms" not in json.loads(pulled.call("GET /api/v2/status", bearer(SHOP)).body)
        assert list(json.loads(pulled.call("GET /api/v2/status", bearer(ALL)).body)["apps"]) == ["shop", "blog"]
        assert list(json.loads(pulled.call("GET /api/v2/status?app=blog", bearer(ALL)).body)["apps"]) == ["blog"]


def test_workers_that_do_not_come_any_more_are_forgotten() -> None:
    with Pulled() as pulled:
        pulled.call("GET /api/v2/next?wait=0&worker=one")
        pulled.advance(301)
        pulled.call("GET /api/v2/next?wait=0&worker=two")
        workers = json.loads(pulled.call("GET /api/v2/status").body)["apps"]["shop"]["workers"]
        assert [worker["worker"] for worker in workers] == ["two"]


# -- the attach lane


def test_a_worker_attaches() -> None:
    with Pulled(tokens=TOKENS) as pulled:
        worker = pulled.worker(message("GET /api/v2/attach?app=shop&label=v7&worker=w1", bearer(SHOP), *UPGRADE))
        assert worker.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
        client = pulled.client(message("GET /x"))
        assert worker.read_until(b"\r\n\r\n").startswith(b"GET /x HTTP/1.1\r\n")
        (told,) = json.loads(pulled.call("GET /api/v2/status", bearer(ALL)).body)["apps"]["shop"]["workers"]
        assert told == {"worker": "w1", "label": "v7", "lane": "attach", "idle": 0, "leased": 1, "seen_ms_ago": 0}
        worker.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        assert client.response().body == b"hi"
        assert pulled.call("GET /readyz").status == 200


@pytest.mark.parametrize("fields", [(), UPGRADE[:1], UPGRADE[1:], ("Connection: Upgrade", "Upgrade: websocket")])
def test_attaching_needs_its_upgrade(fields: tuple[str, ...]) -> None:
    with Pulled() as pulled:
        response = pulled.call("GET /api/v2/attach", *fields)
        problem(response, 426, "upgrade-required")
        assert response.header("upgrade") == "PTTH/1.0"


def test_attaching_takes_no_body() -> None:
    with Pulled() as pulled:
        worker = pulled.worker(message("GET /api/v2/attach", *UPGRADE, "Content-Length: 4") + b"ab")
        problem(worker.response(), 400, "bad-request")
        assert pulled.errors == []


def test_attached_connections_are_bounded() -> None:
    with Pulled({"shop": {}, "blog": {}}, limits=Limits(attached=2)) as pulled:
        attach = message("GET /api/v2/attach?app=shop", *UPGRADE)
        first, second = pulled.worker(attach), pulled.worker(attach)
        for worker in (first, second):
            assert worker.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
        refused = pulled.call("GET /api/v2/attach?app=blog", *UPGRADE)
        problem(refused, 503, "too-many-attached")
        assert refused.header("retry-after") == "1"
        first.socket.close()
        pulled.settle()
        assert pulled.worker(attach).read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")


def test_a_worker_of_a_retired_label_does_not_attach() -> None:
    with Pulled() as pulled:
        pulled.call("GET /api/v2/next?label=v7&wait=0")
        pulled.queue.retire("v7")
        problem(pulled.call("GET /api/v2/attach?label=v7", *UPGRADE), 409, "retired")


# -- the document, and the end


def test_the_document_is_served() -> None:
    with Pulled() as pulled:
        document = json.loads(pulled.call("GET /api/v2/openapi.json").body)
        assert document["openapi"] == "3.1.0"
        served = {path for path in document["paths"] if not path.startswith("/api/v2/requests")}
        assert served == {*pulled.api._routes, *pulled.api._probes}


def test_a_server_that_stops_sends_its_workers_away() -> None:
    with Pulled() as pulled:
        waiting = pulled.worker(message("GET /api/v2/next"))
        old = pulled.worker(message("GET /api/v1/request"))
        pulled.api.drain()
        assert waiting.response().status == 204
        assert old.response().status == 404
        # What waits is still given out.
        client = pulled.client()
        assert pulled.call("GET /api/v2/next").status == 200
        assert pulled.call("GET /api/v2/next").status == 204
        problem(pulled.call("GET /readyz"), 503, "not-ready")
        problem(pulled.call("GET /api/v2/attach", *UPGRADE), 503, "not-ready")
        assert client.available() == b""


def test_a_server_that_is_about_to_stop_is_not_ready_and_serves_on() -> None:
    leaving: list[bool] = []
    with Pulled(is_leaving=lambda: bool(leaving)) as pulled:
        worker = pulled.worker(message("GET /api/v2/attach", *UPGRADE))
        assert worker.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
        assert pulled.call("GET /readyz").status == 200
        leaving.append(True)
        problem(pulled.call("GET /readyz"), 503, "not-ready")
        assert pulled.call("GET /livez").status == 200
        assert pulled.call("GET /api/v2/next?wait=0").status == 204


def test_what_fails_here_is_reported_and_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    with Pulled() as pulled:
        monkeypatch.setattr(pulled.api._status, "report", lambda apps, most: 1 / 0)
        members = problem(pulled.call("GET /api/v2/status"), 500, "failed")
        assert "log" in members["detail"]
        assert [type(error) for error in pulled.errors] == [ZeroDivisionError]
        pulled.errors.clear()
