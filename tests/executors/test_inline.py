"""One call at a time, where its request was read."""

import threading

import pytest

from drawbar.executors.inline import InlineExecutor
from drawbar.executors.inspect import ProbeJob, submit
from tests.support.inprocess import Site


def test_a_job_runs_before_submit_returns_on_the_same_thread() -> None:
    seen: list[int] = []
    assert submit(InlineExecutor(), ProbeJob(lambda: seen.append(threading.get_ident()))) == 0
    assert seen == [threading.get_ident()]


def test_what_a_job_raises_is_its_submitters() -> None:
    def broken() -> None:
        raise LookupError("broken")

    with pytest.raises(LookupError, match="broken"):
        submit(InlineExecutor(), ProbeJob(broken))


def test_calls_of_one_reactor_come_one_after_the_other() -> None:
    order: list[str] = []

    def app(environ, start_response):  # type: ignore[no-untyped-def]
        order.append("in " + environ["PATH_INFO"])
        start_response("200 OK", [])
        order.append("out " + environ["PATH_INFO"])
        return [b"done"]

    with Site(app) as site:
        first, second = site.connect(), site.connect()
        first.socket.send(b"GET /a HTTP/1.1\r\nHost: test\r\n\r\nGET /b HTTP/1.1\r\nHost: test\r\n\r\n")
        second.socket.send(b"GET /c HTTP/1.1\r\nHost: test\r\n\r\n")
        site.settle()
        assert [first.response().body, first.response().body, second.response().body] == [b"done"] * 3
    assert sorted(order[::2]) == ["in /a", "in /b", "in /c"]
    assert [entry.replace("in", "out") for entry in order[::2]] == order[1::2]
