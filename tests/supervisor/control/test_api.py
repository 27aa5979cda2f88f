"""The control API over its socket: every route, and what is wrong with a request."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.desk import Desked


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desked]:
    directory: Path = tmp_path_factory.mktemp("control")
    with Desked(control={"socket": str(directory / "c.sock")}) as running:
        yield running


def test_status_is_all_that_is_known(master: Desked) -> None:
    answer = master.ask("GET", "/status")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    status = answer.json
    assert status["version"] == "1.2.3"
    assert status["pid"] == master.pid
    assert status["ready"] is True
    assert status["reason"] is None
    assert status["listeners"] == [{"address": "http://127.0.0.1:8000", "backlog": {"waiting": 1, "limit": 2048}}]
    first, second = status["workers"]
    # The first has a process's memory, as it is the master's own process; the second is nobody.
    assert first["memory"]["rss"] >= first["memory"]["pss"] > 0
    assert first["memory"] | {"pss": 0} == status["memory"] | {"pss": 0}
    assert second["memory"] is None
    assert status["totals"]["requests"] == dict.fromkeys(("aborted", "1xx", "2xx", "3xx", "4xx", "5xx"), 0)


def test_head_is_a_get_without_its_body(master: Desked) -> None:
    answer = master.ask("HEAD", "/metrics")
    assert (answer.status, answer.text) == (200, "")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_probes(master: Desked) -> None:
    for target in ("/livez", "/readyz"):
        answer = master.ask("GET", target)
        assert (answer.status, answer.text) == (200, "ok\n")


@pytest.mark.parametrize(
    ("record", "why"),
    [
        ({"phase": "draining"}, "the server is draining"),
        ({"phase": "paused"}, "the server is paused"),
        ({"workers": []}, "no worker takes requests"),
    ],
)
def test_readiness_says_why_not(tmp_path: Path, record: dict[str, Any], why: str) -> None:
    with Desked(control={"socket": str(tmp_path / "c.sock")}, record=record) as unready:
        answer = unready.ask("GET", "/readyz")
        assert answer.status == 503
        assert answer.json["detail"] == why
        assert unready.ask("GET", "/livez").status == 200
        assert "drawbar_ready 0\n" in unready.ask("GET", "/metrics").text
        status = unready.ask("GET", "/status").json
        assert (status["ready"], status["reason"]) == (False, why)


@pytest.mark.parametrize(
    ("target", "body", "status", "told"),
    [
        ("/reload", None, 202, 'reload {"wait": false}'),
        ("/reload", {"wait": False}, 202, 'reload {"wait": false}'),
        ("/workers", {"change": 1}, 202, 'workers {"change": 1}'),
        ("/workers", {"change": -1}, 202, 'workers {"change": -1}'),
        ("/workers", {"count": 4}, 202, 'workers {"count": 4}'),
        ("/logs/reopen", {}, 200, "reopen-logs {}"),
        ("/pause", None, 200, "pause {}"),
        ("/resume", None, 200, "resume {}"),
        ("/pause", {"app": "blog"}, 200, 'pause {"app": "blog"}'),
        ("/resume", {"app": "blog"}, 200, 'resume {"app": "blog"}'),
        ("/split", {"app": "blog", "shares": {"v8": 10}}, 200, 'split {"app": "blog", "shares": {"v8": 10.0}}'),
        ("/rollback", {"app": "blog"}, 202, 'rollback {"app": "blog", "wait": false}'),
        (
            "/deploy",
            {"app": "blog", "label": "v8", "wait": True},
            200,
            'deploy {"app": "blog", "judge": true, "judged": false, "label": "v8", "wait": true}',
        ),
    ],
)
def test_commands_reach_the_master(master: Desked, target: str, body: Any, status: int, told: str) -> None:
    answer = master.ask("POST", target, body)
    assert answer.status == status
    verb = told.partition(" ")[0]
    assert answer.json == {"message": f"{verb} is done"}
    assert f"command {told}" in master.events.text


@pytest.mark.parametrize(
    ("target", "body", "status", "detail"),
    [
        ("/reload", b"{", 400, "the body is not as it should be"),
        ("/reload", b"[]", 400, "Expected `object`, got `array`"),
        ("/reload", b"\xff", 400, "the body is not as it should be"),
        ("/reload", {"waits": True}, 400, "unknown field `waits`; known members: wait"),
        ("/reload", {"wait": 1}, 400, "Expected `bool`, got `int` - at `$.wait`"),
        ("/pause", {"now": True}, 400, "known members: app"),
        ("/logs/reopen", {"now": True}, 400, "known members: none"),
        ("/stop", {"message": "soon"}, 400, 'say which one by "app"'),
        ("/stop", {"app": "blog", "now": True}, 400, '"now" is for the whole server'),
        ("/split", {"app": "blog"}, 400, "missing required field `shares`"),
        ("/split", {"app": "blog", "shares": {"v8": "10"}}, 400, "Expected `float`, got `str`"),
        ("/deploy", {"app": "blog"}, 400, "missing required field `label`"),
        ("/deploy", {"app": "blog", "label": "v8", "timeout": 0}, 400, "Expected `float` > 0"),
        ("/deploy", {"app": "a", "label": "v8", "target": "a:b", "command": ["c"]}, 400, "give one of the two"),
        ("/workers", {}, 400, 'say either {"change": 1} or {"count": 4}'),
        ("/workers", {"change": 1, "count": 2}, 400, "say either"),
        ("/workers", {"change": 0}, 400, "0 changes nothing"),
        ("/workers", {"count": -1}, 400, "-1 is no number of workers"),
        ("/workers", {"count": 1025}, 400, "from 0 to 1024"),
        ("/kill", {}, 400, "missing required field `pid`"),
        ("/kill", {"pid": 77}, 404, "no worker has process id 77"),
        ("/upgrade", None, 409, "an upgrade is under way"),
    ],
)
def test_bad_commands(master: Desked, target: str, body: Any, status: int, detail: str) -> None:
    answer = master.ask("POST", target, body)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json
    assert problem["status"] == status
    assert problem["type"] == "about:blank"
    assert detail in problem["detail"]


def test_a_body_is_bounded(master: Desked) -> None:
    assert master.ask("POST", "/reload", b" " * 100_000).status == 413


def test_an_unknown_path_is_told_the_known_ones(master: Desked) -> None:
    answer = master.ask("GET", "/metric")
    assert answer.status == 404
    assert "/metrics" in answer.json["paths"]
    assert "/logs/reopen" in answer.json["paths"]


@pytest.mark.parametrize(
    ("method", "target", "allowed"),
    [("POST", "/status", "GET, HEAD"), ("GET", "/reload", "POST"), ("PUT", "/stop", "POST")],
)
def test_a_wrong_method_is_told_the_right_ones(master: Desked, method: str, target: str, allowed: str) -> None:
    answer = master.ask(method, target)
    assert answer.status == 405
    assert answer.headers["allow"] == allowed
    assert answer.json["detail"] == f"{target} takes {allowed}, not {method}"


def test_stacks_of_one_worker(master: Desked) -> None:
    (worker,) = master.ask("GET", f"/stacks?pid={master.pid}").json["workers"]
    assert worker["pid"] == master.pid


@pytest.mark.parametrize(
    ("query", "status", "detail"),
    [
        ("pid=77", 404, "no worker has process id 77"),
        ("pid=x", 400, "pid='x' is no process id"),
        ("pid=-1", 400, "is no process id"),
        ("pid=1&pid=2", 400, "is no process id"),
    ],
)
def test_stacks_of_nobody(master: Desked, query: str, status: int, detail: str) -> None:
    answer = master.ask("GET", f"/stacks?{query}")
    assert answer.status == status
    assert detail in answer.json["detail"]


def test_config_is_the_masters(master: Desked) -> None:
    settings = master.ask("GET", "/config").json["settings"]
    assert {"key": "server.workers", "value": "2", "source": "drawbar.toml"} in settings


def test_a_command_that_is_never_answered_is_an_error_in_time(master: Desked) -> None:
    answer = master.ask("POST", "/restart")
    assert answer.status == 503
    assert answer.json["detail"] == "the master did not answer within 2 s"
