"""The response side of HTTP/1: framing, flow, and how connections end."""

import gc
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from drawbar.net.inspect import connections
from tests.support.inprocess import Client, Site

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
CLOSE = b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"
HTTP_1_0 = b"GET / HTTP/1.0\r\n\r\n"
LARGE = 5_000_000

App = Callable[[dict[str, Any], Any], Any]


def answer(status: str, headers: list[tuple[str, str]], *body: bytes, as_list: bool = True) -> App:
    """An app that always says the same; as_list=False hides from the server how long it is."""

    def app(environ: dict[str, Any], start_response: Any) -> Any:
        start_response(status, headers)
        return list(body) if as_list else iter(body)

    return app


def ok(*body: bytes, as_list: bool = True) -> App:
    return answer("200 OK", [], *body, as_list=as_list)


def large(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [bytes(LARGE)]


def open_files() -> int:
    # Those of earlier tests' reactors, which nobody refers to any more, must not vanish between two counts.
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


# -- framing


def test_a_body_of_known_length_says_it() -> None:
    for body in ([], [b""], [b"abc"], [b"ab", b"c"], [b"", b"abc", b""]):
        with Site(ok(*body)) as site:
            response = site.get()
            assert (response.header("content-length"), response.header("transfer-encoding")) == (
                str(len(b"".join(body))),
                None,
            )
            assert response.body == b"".join(body)


def test_a_body_of_unknown_length_is_chunked_and_the_connection_stays() -> None:
    with Site(ok(b"ab", b"", b"c" * 100_000, as_list=False)) as site:
        client = site.connect()
        for _ in range(2):
            client.send(GET)
            response = client.response()
            assert (response.header("transfer-encoding"), response.body) == ("chunked", b"ab" + b"c" * 100_000)


def test_for_http_1_0_a_body_of_unknown_length_ends_with_the_connection() -> None:
    with Site(ok(b"ab", b"c", as_list=False)) as site:
        client = site.connect()
        client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        data = client.read_to_end()
        assert data.endswith(b"\r\nConnection: close\r\n\r\nabc")
        assert b"Transfer-Encoding" not in data


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_a_status_without_a_body_has_none_and_no_length(status: str) -> None:
    for body in ([], [b""]):
        with Site(answer(status, [], *body)) as site:
            client = site.connect()
            client.send(GET)
            data = client.read_until(b"\r\n\r\n")
            assert not re.search(rb"content-length|transfer-encoding", data, re.IGNORECASE)
            client.send(GET)
            assert client.response().status == int(status[:3])


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_a_body_where_none_may_be_is_refused(status: str) -> None:
    for as_list in (True, False):
        with Site(answer(status, [], b"body", as_list=as_list)) as site:
            assert site.get().status == 500
            assert f"a response with status {status[:3]} has no body" in str(site.failed.pop())


def test_304_may_say_how_long_the_body_would_be_and_204_may_not() -> None:
    with Site(answer("304 Not Modified", [("Content-Length", "17")])) as site:
        client = site.connect()
        client.send(GET)
        assert b"Content-Length: 17\r\n" in client.read_until(b"\r\n\r\n")
    with Site(answer("204 No Content", [("Content-Length", "0")])) as site:
        client = site.connect()
        client.send(GET)
        assert b"Content-Length" not in client.read_until(b"\r\n\r\n")


def test_head_is_answered_with_the_length_and_without_the_body() -> None:
    for app, length in ((ok(b"abc"), b"3"), (answer("200 OK", [("Content-Length", "7")], as_list=False), b"7")):
        with Site(app) as site:
            client = site.connect()
            client.send(b"HEAD / HTTP/1.1\r\nHost: test\r\n\r\n")
            assert b"Content-Length: " + length in client.read_until(b"\r\n\r\n")
            assert client.available() == b""


def test_a_body_longer_than_declared_never_goes_out() -> None:
    for as_list in (True, False):
        with Site(answer("200 OK", [("Content-Length", "3")], b"abcd", as_list=as_list)) as site:
            client = site.connect()
            client.send(GET)
            assert client.response().status == 500
            assert "longer than its Content-Length: 3 declared, 4 sent" in str(site.failed.pop())
            client.send(GET)
            assert client.response().status == 500, "the connection survives: nothing of the body was sent"
            site.failed.clear()


def test_a_body_that_turns_out_too_long_is_broken_off() -> None:
    with Site(answer("200 OK", [("Content-Length", "3")], b"ab", b"cd", as_list=False)) as site:
        client = site.connect()
        client.send(GET)
        assert client.read_to_end().endswith(b"\r\n\r\nab")
        assert len(site.failed) == 1


def test_a_body_shorter_than_declared_is_no_clean_end() -> None:
    with Site(answer("200 OK", [("Content-Length", "5")], b"abc")) as site:
        assert site.get().status == 500
        assert "shorter than its Content-Length: 5 declared, 3 sent" in str(site.failed.pop())
    with Site(answer("200 OK", [("Content-Length", "5")], b"ab", b"c", as_list=False)) as site:
        client = site.connect()
        client.send(GET + GET)
        assert client.read_to_end().endswith(b"\r\n\r\nabc"), "and the second request is not answered"


def fails_after(*body: bytes, headers: list[tuple[str, str]] | None = None) -> App:
    def app(environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", headers or [])
        yield from body
        raise RuntimeError("half way")

    return app


def test_an_app_that_fails_before_its_head_is_out_costs_no_connection() -> None:
    with Site(fails_after()) as site:
        client = site.connect()
        for _ in range(2):
            client.send(GET)
            response = client.response()
            assert (response.status, response.body) == (500, b"Internal Server Error\n")
        assert [str(error) for error in site.failed] == ["half way"] * 2
        assert site.failed_requests == ["GET /"] * 2


def test_an_app_that_fails_in_a_chunked_body_never_ends_it() -> None:
    with Site(fails_after(b"abc")) as site:
        client = site.connect()
        client.send(GET)
        assert client.read_to_end().endswith(b"\r\n\r\n3\r\nabc\r\n")


def test_an_app_that_fails_in_a_body_that_ends_by_closing_resets_the_connection() -> None:
    with Site(fails_after(b"abc")) as site:
        client = site.connect()
        client.send(HTTP_1_0)
        while not client.ended:
            client.poll()
            site.turn()
        assert client.ended == "reset", "an end would look like the whole body"


def test_an_app_that_fails_short_of_its_length_ends_the_connection_there() -> None:
    with Site(fails_after(b"abc", headers=[("Content-Length", "10")])) as site:
        client = site.connect()
        client.send(GET)
        assert client.read_to_end().endswith(b"\r\n\r\nabc")


# -- heads


@pytest.mark.parametrize(
    ("field", "why"),
    [
        (("X", "a\r\nSet-Cookie: b"), "control character"),
        (("X", "a\nb"), "control character"),
        (("X", "a\x00b"), "control character"),
        (("X\r\nY", "a"), "not a token"),
        (("X Y", "a"), "not a token"),
        (("X:", "a"), "not a token"),
        (("", "a"), "not a token"),
        (("Content-Length", "+5"), "Content-Length must be a decimal number"),
        (("Content-Length", ""), "Content-Length must be a decimal number"),
        (("Content-Length", "9" * 30), "Content-Length must be a decimal number"),
        (("Transfer-Encoding", "gzip"), "Transfer-Encoding is the server's to set"),
    ],
)
def test_a_field_that_would_break_framing_is_refused(field: tuple[str, str], why: str) -> None:
    with Site(answer("200 OK", [("X-First", "1"), field], b"hello")) as site:
        response = site.get()
        assert response.status == 500
        assert response.header("x-first") is None
        assert why in str(site.failed.pop())


def test_an_app_that_hides_the_refusal_of_a_field_does_not_get_half_a_head_out() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        try:
            start_response("200 OK", [("X-First", "1"), ("X", "a\r\nb")])
        except Exception:
            return [b"as if nothing had happened"]
        return []

    with Site(app) as site:
        response = site.get()
        assert (response.status, response.header("x-first")) == (500, None)


def test_two_lengths_that_differ_are_refused_and_two_that_agree_are_one() -> None:
    with Site(answer("200 OK", [("Content-Length", "1"), ("content-length", "2")], b"a")) as site:
        assert site.get().status == 500
        assert "two different Content-Length fields: 1 and 2" in str(site.failed.pop())
    with Site(answer("200 OK", [("Content-Length", "1"), ("content-length", "1")], b"a")) as site:
        assert site.get().header("content-length") == "1"


def test_fields_of_the_connection_are_the_servers() -> None:
    fields = [("Connection", "keep-alive, X-A"), ("Keep-Alive", "timeout=5"), ("Upgrade", "h2c"), ("TE", "trailers")]
    with Site(answer("200 OK", [*fields, ("Transfer-Encoding", "chunked"), ("X-A", "1")], b"abc")) as site:
        response = site.get()
        assert {name for name, _ in response.headers} == {"x-a", "content-length", "date", "server"}


def test_an_app_can_end_the_connection() -> None:
    with Site(answer("200 OK", [("Connection", "close")], b"abc")) as site:
        client = site.connect()
        client.send(GET)
        assert client.response().header("connection") == "close"
        assert client.read_to_end() == b""


def test_date_and_server_are_the_apps_when_it_says_them() -> None:
    with Site(answer("200 OK", [("Date", "today"), ("server", "me")])) as site:
        response = site.get()
        assert (response.header("date"), response.header("server")) == ("today", "me")
    with Site(ok(), policy={"server_header": ""}) as site:
        response = site.get()
        assert response.header("server") is None
        assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", response.header("date") or "")


# -- flow: clients that do not read


@pytest.fixture
def slow_site(tmp_path: Path) -> Iterator[Site]:
    with Site(large, send_buffer=4096, temp_dir=str(tmp_path), policy={"output_high_bytes": 100_000}) as made:
        yield made


def test_a_large_response_to_a_client_that_does_not_read_is_held_within_the_water_mark(slow_site: Site) -> None:
    before = open_files()
    client = slow_site.connect(receive_buffer=4096)
    client.send(GET)
    view = connections(slow_site.reactor)[0]
    assert view.memory <= 100_000
    assert view.spilled > LARGE - 2_000_000
    assert view.blocked
    # Two sockets and the spill file.
    assert open_files() == before + 3
    response = client.response()
    assert response.body == bytes(LARGE)
    slow_site.settle()
    assert open_files() == before + 2
    client.send(GET)
    assert client.response().body == bytes(LARGE), "and once more, with the file of its own"


def test_closing_on_a_client_that_does_not_read_lets_go_of_the_file(slow_site: Site) -> None:
    before = open_files()
    client = slow_site.connect(receive_buffer=4096)
    client.send(GET)
    client.reset()
    assert slow_site.reactor.connections == 0
    assert open_files() == before


def test_a_client_that_reads_nothing_is_let_go_in_the_time_to_send(slow_site: Site) -> None:
    client = slow_site.connect(receive_buffer=4096)
    client.send(GET)
    slow_site.advance(59)
    assert slow_site.reactor.connections == 1
    slow_site.advance(2)
    assert slow_site.reactor.connections == 0


def test_a_client_that_asks_on_without_reading_gets_no_more_answers(tmp_path: Path) -> None:
    calls: list[str] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        calls.append(environ["PATH_INFO"])
        return large(environ, start_response)

    with Site(app, send_buffer=4096, temp_dir=str(tmp_path)) as site:
        client = site.connect(receive_buffer=65_536)
        client.send(GET)
        for _ in range(5):
            client.send(GET)
            site.settle()
        assert len(calls) == 1
        view = connections(site.reactor)[0]
        assert view.waiting <= LARGE + 1000
        for _ in range(6):
            assert client.response().body == bytes(LARGE)
        assert len(calls) == 6


def test_asking_on_does_not_buy_time_for_not_reading(tmp_path: Path) -> None:
    with Site(large, send_buffer=4096, temp_dir=str(tmp_path)) as site:
        client = site.connect(receive_buffer=4096)
        client.send(GET)
        for _ in range(4):
            site.advance(20)
            if site.reactor.connections:
                client.send(GET)
        assert site.reactor.connections == 0


def test_a_response_that_cannot_be_buffered_is_broken_off(tmp_path: Path) -> None:
    with Site(large, send_buffer=4096, temp_dir=str(tmp_path / "missing")) as site:
        client = site.connect()
        client.send(GET)
        assert len(client.available()) < LARGE
        assert client.ended == "reset"
        assert "does not exist" in str(site.errors.pop())
        site.settle()
        assert [view.memory for view in connections(site.reactor)] in ([], [0])


# -- ends: the last response is never cut by a reset


def sends_on(client: Client) -> None:
    """What is unread on the server's side when it closes makes the kernel reset."""
    client.socket.send(b"x" * 50_000)


@pytest.mark.parametrize(
    "request_bytes", [b"nonsense\r\n\r\n", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999\r\n\r\n"]
)
def test_a_refusal_reaches_a_client_that_sends_on(request_bytes: bytes) -> None:
    with Site(ok(b"abc")) as site:
        client = site.connect()
        client.socket.send(request_bytes)
        sends_on(client)
        site.settle()
        sends_on(client)
        site.settle()
        assert client.read_to_end().startswith(b"HTTP/1.1 4")
        client.close()
        assert site.reactor.connections == 0


def test_a_last_response_reaches_a_client_that_pipelines_on() -> None:
    with Site(answer("200 OK", [("Connection", "close")], b"abc")) as site:
        client = site.connect()
        client.send(GET)
        client.send(GET * 100)
        client.send(GET * 100)
        assert client.read_to_end().count(b"HTTP/1.1 200") == 1


def test_a_client_that_never_stops_sending_is_let_go_in_the_end() -> None:
    with Site(ok(b"abc")) as site:
        client = site.connect()
        client.send(b"nonsense\r\n\r\n")
        for _ in range(3):
            client.send(b"x" * 1000)
            site.advance(1)
        assert site.reactor.connections == 1
        site.advance(5)
        assert site.reactor.connections == 0


def test_a_client_that_half_closes_gets_its_answers() -> None:
    with Site(ok(b"abc")) as site:
        client = site.connect()
        client.socket.send(GET * 3)
        client.end()
        assert client.read_to_end().count(b"HTTP/1.1 200") == 3
        assert site.reactor.connections == 0


def test_a_client_that_half_closes_gets_a_large_answer_whole(slow_site: Site) -> None:
    client = slow_site.connect(receive_buffer=65_536)
    client.socket.send(GET * 2)
    client.end()
    assert len(client.read_to_end()) > 2 * LARGE
    assert slow_site.reactor.connections == 0


# -- draining


def test_draining_an_idle_connection_answers_one_more_request() -> None:
    with Site(ok(b"abc")) as site:
        client = site.connect()
        client.send(GET)
        assert client.response().header("connection") is None
        site.reactor.drain()
        client.send(GET)
        assert client.response().header("connection") == "close"
        assert client.read_to_end() == b""


def test_draining_an_idle_connection_that_stays_idle_ends_it() -> None:
    with Site(ok(b"abc")) as site:
        client = site.connect()
        client.send(GET)
        assert client.response().status == 200
        site.reactor.drain()
        site.advance(0.5)
        assert client.ended == ""
        site.advance(1)
        assert client.read_to_end() == b""


def test_draining_lets_a_response_that_is_on_its_way_arrive(slow_site: Site) -> None:
    client = slow_site.connect(receive_buffer=4096)
    client.send(GET)
    slow_site.reactor.drain()
    slow_site.advance(30)
    assert client.response().body == bytes(LARGE)
    # Its head said that the connection stays, so one more request may come.
    client.send(GET)
    assert client.response().header("connection") == "close"
    assert client.read_to_end() == b""


def test_draining_during_the_call_ends_the_connection_with_its_response() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        site.reactor.drain()
        start_response("200 OK", [])
        return [b"abc"]

    with Site(app) as site:
        response = site.get()
        assert (response.header("connection"), response.body) == ("close", b"abc")


# -- what is told of a finished exchange


def test_a_finished_exchange_is_reported_with_all_a_log_wants() -> None:
    with Site(ok(b"abc"), log=True) as site:
        client = site.connect()
        client.send(b"GET /a?b HTTP/1.1\r\nHost: test\r\nReferer: there\r\n\r\n" + GET)
        assert [client.response().status for _ in range(2)] == [200, 200]
        first = site.completed[0]
        assert (first.method, first.target, first.http_version) == ("GET", "/a?b", "1.1")
        assert (first.status_code, first.body_bytes, first.complete) == (200, 3, True)
        assert (first.header(b"referer"), first.header(b"cookie")) == ("there", None)
        assert first.headers == [("Host", "test"), ("Referer", "there")]
        assert first.remote == client.socket.getsockname()
        assert first.duration_ns > 0


def test_an_exchange_broken_off_is_reported_as_incomplete() -> None:
    with Site(fails_after(b"abc"), log=True) as site:
        client = site.connect()
        client.send(GET)
        client.read_to_end()
        assert [(each.status_code, each.complete) for each in site.completed] == [(200, False)]
