"""The request side of HTTP/1: what a client sends, in whatever pieces, and what it is answered."""

from collections.abc import Iterator
from typing import Any

import pytest

from drawbar.net.inspect import connections
from tests.support.inprocess import Client, Site

GET = b"GET /%d HTTP/1.1\r\nHost: test\r\n\r\n"


def echo(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answers with what it was asked."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['REQUEST_METHOD']} {environ['PATH_INFO']} ".encode("latin-1") + environ["wsgi.input"].read()]


def ignore_body(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [environ["PATH_INFO"].encode()]


@pytest.fixture
def site() -> Iterator[Site]:
    with Site(echo) as made:
        yield made


@pytest.fixture
def client(site: Site) -> Client:
    return site.connect()


def post(body: bytes, *fields: bytes, path: bytes = b"/post") -> bytes:
    return b"\r\n".join([b"POST " + path + b" HTTP/1.1", b"Host: test", *fields, b"", body])


def chunked(*chunks: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in [*chunks, b""])


# -- connections that stay and those that do not


def test_a_connection_serves_one_request_after_the_other(client: Client) -> None:
    for number in range(3):
        client.send(GET % number)
        assert client.response().body == b"GET /%d " % number


def test_pipelined_requests_are_answered_in_order_and_as_asked(client: Client) -> None:
    # Each of these heads lies in the buffer at another place, and the last one with nothing behind it.
    for count in (2, 3, 40):
        client.send(b"".join(GET % number for number in range(count)))
        assert [client.response().body for _ in range(count)] == [b"GET /%d " % number for number in range(count)]


def test_a_body_nobody_reads_ends_where_it_ends_however_head_and_body_were_cut() -> None:
    with Site(ignore_body, stream_input=True) as site:
        client = site.connect()
        # Not a byte of which could be a method's.
        request = post(b"(" * 3_000, b"Content-Length: 3000", path=b"/unread")
        for start, end in ((0, 20), (20, -3_000), (-3_000, -2_000), (-2_000, -1_000)):
            client.send(request[start:end])
        assert client.response().body == b"/unread"
        client.send(request[-1_000:] + GET % 2)
        assert client.response().body == b"/2"


def test_pipelined_bodies_do_not_run_into_each_other(client: Client) -> None:
    requests = [
        post(b"first", b"Content-Length: 5"),
        post(chunked(b"sec", b"ond"), b"Transfer-Encoding: chunked"),
        GET % 3,
    ]
    client.send(b"".join(requests))
    assert [client.response().body for _ in requests] == [b"POST /post first", b"POST /post second", b"GET /3 "]


@pytest.mark.parametrize("size", [1, 2, 7, 63, 64, 65])
def test_the_pieces_a_request_comes_in_make_no_difference(client: Client, size: int) -> None:
    data = GET % 1 + post(b"hello", b"Content-Length: 5") + post(chunked(b"wo", b"rld"), b"Transfer-Encoding: chunked")
    for at in range(0, len(data), size):
        client.send(data[at : at + size])
    assert [client.response().body for _ in range(3)] == [b"GET /1 ", b"POST /post hello", b"POST /post world"]


def test_a_client_that_asks_for_the_end_gets_it(client: Client) -> None:
    client.send(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
    assert client.response().header("connection") == "close"
    assert client.read_to_end() == b""


def test_http_1_0_ends_unless_it_asks_to_stay(site: Site) -> None:
    once = site.connect()
    once.send(b"GET / HTTP/1.0\r\n\r\n")
    assert once.read_to_end().startswith(b"HTTP/1.1 200 OK\r\n")
    again = site.connect()
    for _ in range(2):
        again.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert again.response().header("connection") == "keep-alive"


def test_after_so_many_requests_the_connection_ends() -> None:
    with Site(echo, policy={"keepalive_requests": 2}) as site:
        client = site.connect()
        client.send(GET % 1)
        assert client.response().header("connection") is None
        client.send(GET % 2)
        assert client.response().header("connection") == "close"
        assert client.read_to_end() == b""


def test_an_idle_connection_holds_no_buffer_and_one_deadline(site: Site) -> None:
    client = site.connect()
    client.send(b"GET / HT")
    client.send(b"TP/1.1\r\nHost: test\r\n\r\n" + GET % 2)
    assert [client.response().body for _ in range(2)] == [b"GET / ", b"GET /2 "]
    view = connections(site.reactor)[0]
    assert view.has_timer
    assert view.waiting == 0


def test_a_head_response_has_the_fields_and_not_the_body(client: Client) -> None:
    client.send(b"HEAD /x HTTP/1.1\r\nHost: test\r\n\r\n" + GET % 2)
    response = client.response("HEAD")
    assert (response.header("content-length"), response.body) == ("8", b"")
    assert client.response().body == b"GET /2 "


# -- bodies


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 1_000_000])
def test_a_body_of_any_size_reaches_the_app_whole(client: Client, size: int) -> None:
    body = bytes(i % 251 for i in range(1000)) * (size // 1000 + 1)
    client.send(post(body[:size], b"Content-Length: %d" % size))
    assert client.response().body == b"POST /post " + body[:size]
    client.send(post(chunked(*[body[:size]] * (size > 0)), b"Transfer-Encoding: chunked"))
    assert client.response().body == b"POST /post " + body[:size]


def test_a_large_body_is_not_held_in_memory(tmp_path: Any) -> None:
    held: list[str] = []

    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        held.append(type(environ["wsgi.input"]).__name__)
        return ignore_body(environ, start_response)

    with Site(app, policy={"body_memory_bytes": 1000}, temp_dir=str(tmp_path)) as site:
        assert site.request(post(b"x" * 1000, b"Content-Length: 1000")).status == 200
        assert site.request(post(b"x" * 1001, b"Content-Length: 1001")).status == 200
    assert held == ["BytesIO", "BufferedReader"]
    assert list(tmp_path.iterdir()) == []


def test_without_room_for_a_body_the_client_hears_503(tmp_path: Any) -> None:
    missing = str(tmp_path / "missing")
    with Site(echo, policy={"body_memory_bytes": 10}, temp_dir=missing) as site:
        assert site.request(post(b"x" * 11, b"Content-Length: 11")).status == 503
        assert missing in str(site.errors.pop())


def test_a_body_past_the_limit_is_refused_before_it_comes() -> None:
    with Site(echo, policy={"body_bytes": 10}) as site:
        client = site.connect()
        client.send(post(b"", b"Content-Length: 11"))
        assert client.response().status == 413
        assert site.request(post(b"x" * 10, b"Content-Length: 10")).status == 200
        response = site.request(post(chunked(b"x" * 6, b"y" * 5), b"Transfer-Encoding: chunked"))
        assert (response.status, response.header("connection")) == (413, "close")
        assert [status for _, status, _, _ in site.refused] == [413, 413]


def test_a_body_nobody_read_is_taken_away_and_the_connection_stays() -> None:
    with Site(ignore_body, stream_input=True) as site:
        client = site.connect()
        client.send(post(b"x" * 100, b"Content-Length: 1000"))
        assert client.response().status == 200
        client.send(b"x" * 900 + GET % 2)
        assert client.response().body == b"/2"


@pytest.mark.parametrize("framing", [b"Content-Length: 10000000", b"Transfer-Encoding: chunked"])
def test_a_body_nobody_read_that_is_too_long_ends_the_connection_without_a_reset(framing: bytes) -> None:
    with Site(ignore_body, stream_input=True) as site:
        client = site.connect()
        client.send(post(b"", framing))
        data = b"x" * 600_000
        client.send(data if b"Length" in framing else b"%x\r\n%s\r\n" % (len(data), data))
        assert client.response().status == 200
        assert client.read_to_end() == b""


# -- 100 Continue


EXPECT = (b"Expect: 100-continue", b"Content-Length: 5")


def test_100_continue_is_sent_when_the_app_reads(client: Client) -> None:
    # read() blocks, so the body must be on its way by then; one read of the server does not take it all.
    body = b"x" * 100_000
    client.socket.send(post(body, b"Expect: 100-continue", b"Content-Length: 100000"))
    response = client.response()
    assert response.informational == [(100, [])]
    assert response.body == b"POST /post " + body


def test_100_continue_is_left_out_when_the_body_is_here_already(client: Client) -> None:
    client.send(post(b"hello", *EXPECT))
    response = client.response()
    assert (response.informational, response.body) == ([], b"POST /post hello")
    assert response.header("connection") is None


def test_an_app_that_does_not_read_answers_at_once_and_ends_the_connection() -> None:
    with Site(ignore_body) as site:
        client = site.connect()
        client.send(post(b"", *EXPECT))
        response = client.response()
        assert (response.status, response.informational) == (200, [])
        # The client may or may not send its body now: only an end is unambiguous.
        assert response.header("connection") == "close"
        client.send(b"hello")
        assert client.read_to_end() == b""


def test_http_1_0_knows_no_100_continue(client: Client) -> None:
    client.send(b"POST / HTTP/1.0\r\n" + b"\r\n".join(EXPECT) + b"\r\n\r\nhello")
    assert client.read_to_end().startswith(b"HTTP/1.1 200 OK\r\n")


# -- time


def test_a_head_that_does_not_come_in_time_is_answered_408(site: Site) -> None:
    client = site.connect()
    client.send(b"GET / HTTP/1.1\r\n")
    site.advance(20)
    client.send(b"Host: a\r\n")
    # The whole head must come in time: a byte now and then buys nothing.
    site.advance(11)
    response = client.response()
    assert (response.status, response.header("connection")) == (408, "close")
    assert client.read_to_end() == b""
    assert [(status, why) for _, status, why, _ in site.refused] == [
        (408, "the head of the request did not come in time")
    ]


def test_a_body_that_stalls_is_answered_408_and_one_that_trickles_is_not(site: Site) -> None:
    client = site.connect()
    client.send(post(b"", b"Content-Length: 4"))
    for _ in range(3):
        site.advance(29)
        client.send(b"x")
    assert client.available() == b""
    site.advance(31)
    assert client.response().status == 408
    assert client.read_to_end() == b""


def test_a_new_connection_that_says_nothing_is_closed_in_the_time_of_a_head(site: Site) -> None:
    client = site.connect()
    site.advance(29)
    assert client.available() == b""
    assert client.ended == ""
    site.advance(2)
    assert client.read_to_end() == b""


def test_a_request_moves_the_deadline_of_an_idle_connection(site: Site) -> None:
    client = site.connect()
    for number in range(4):
        client.send(GET % number)
        assert client.response().status == 200
        site.advance(74)
    assert client.ended == ""
    site.advance(2)
    assert client.read_to_end() == b""


def test_time_spent_in_the_app_is_not_the_clients() -> None:
    def app(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        busy.reactor.advance(1_000_000)
        return ignore_body(environ, start_response)

    with Site(app) as busy:
        client = busy.connect()
        client.send(GET % 1)
        assert client.response().status == 200
        busy.settle()
        client.send(GET % 2)
        assert client.response().body == b"/2"


# -- refusals


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET / HTTP/1.1\nHost: a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"A: b\r\n" * 101 + b"\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nA: " + b"b" * 40_000 + b"\r\n\r\n", 431),
        (b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\nHost: a\r\nExpect: payment\r\n\r\n", 417),
        (post(b"zz\r\n", b"Transfer-Encoding: chunked"), 400),
    ],
)
def test_what_is_refused_is_answered_logged_and_ends_the_connection(
    site: Site, request_bytes: bytes, status: int
) -> None:
    client = site.connect()
    client.send(request_bytes + GET % 1)
    response = client.response()
    assert (response.status, response.header("connection")) == (status, "close")
    assert client.read_to_end() == b""
    assert [(peer, answered) for peer, answered, _, _ in site.refused] == [(client.socket.getsockname(), status)]
    assert response.body.decode().strip().endswith(site.refused[0][2])


def test_requests_ahead_of_a_refused_one_are_answered(client: Client) -> None:
    client.send(GET % 1 + GET % 2 + b"nonsense\r\n\r\n")
    assert [client.response().status for _ in range(3)] == [200, 200, 400]


def test_a_client_that_goes_in_the_middle_of_its_head_is_nobody(site: Site) -> None:
    client = site.connect()
    client.send(b"GET / HTTP/1.1\r\nHo")
    client.end()
    assert client.read_to_end() == b""
    assert site.refused == []


def test_a_client_that_ends_in_the_middle_of_its_body_hears_400(site: Site) -> None:
    client = site.connect()
    client.send(post(b"hel", b"Content-Length: 5"))
    client.end()
    assert client.response().status == 400
    assert client.read_to_end() == b""


def test_a_client_that_breaks_in_the_middle_of_its_body_is_let_go(site: Site) -> None:
    client = site.connect()
    client.send(post(b"hel", b"Content-Length: 5"))
    client.reset()
    assert site.reactor.connections == 0
