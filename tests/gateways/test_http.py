"""A server of HTTP/1.1 at the other end: what passes, what does not, and what becomes of a dialogue that breaks off."""

import contextlib
import re
import socket
from collections.abc import Iterator

import pytest

from drawbar.exchange.forwarded import Proxies
from drawbar.gateways.http import ServerRules
from tests.support import frames
from tests.support.fronts import GET, OK, FrontSite, Worker, field
from tests.support.inprocess import Client

POST = b"POST /form HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nhello"
ASK = b"GET /chat HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nX-Key: abc\r\n\r\n"
LARGE = bytes(range(256)) * 8_192


@pytest.fixture
def site() -> Iterator[FrontSite]:
    with FrontSite() as made:
        yield made


def request(*fields: bytes, line: bytes = b"GET / HTTP/1.1", body: bytes = b"") -> bytes:
    return b"\r\n".join([line, b"Host: test", *fields, b"", body])


def passed(site: FrontSite, sent: bytes) -> bytes:
    """The head a server gets for that request."""
    worker = site.worker()
    client = site.connect()
    client.send(sent)
    head = worker.serve()
    client.response(sent.split(b" ", 1)[0].decode())
    return head


# -- the request


def test_a_request_says_what_the_client_said_and_who_that_is(site: FrontSite) -> None:
    head = passed(site, request(b"Accept: text/html", b"X-Own: 1", line=b"GET /a/b?c=%20 HTTP/1.1"))
    assert head.startswith(b"GET /a/b?c=%20 HTTP/1.1\r\nHost: test\r\nAccept: text/html\r\nX-Own: 1\r\n")
    assert field(head, "X-Forwarded-For") == "127.0.0.1"
    assert field(head, "X-Forwarded-Proto") == "http"
    assert field(head, "X-Forwarded-Host") == "test"
    assert field(head, "X-Forwarded-Port") == str(site.public.address[1])
    assert re.fullmatch(r"t=[1-9]\d+\.\d{6}", field(head, "X-Request-Start") or "")
    assert field(head, "X-Forwarded-Prefix") is None


@pytest.mark.parametrize(
    "name",
    [
        *("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix"),
        *("X-Forwarded-Scheme", "X-Forwarded-Ssl"),
        *("Forwarded", "X_Forwarded_For", "x-forwarded_proto", "Drawbar-Request-Id", "drawbar-attempt"),
        *("X-Request-Start", "X_Request_Start", "Drawbar_Deadline_Ms", "Proxy"),
    ],
)
def test_a_strangers_word_on_what_we_know_better_never_passes(site: FrontSite, name: str) -> None:
    head = passed(site, request(f"{name}: forged".encode()))
    assert b"forged" not in head
    assert field(head, "X-Forwarded-For") == "127.0.0.1"
    assert field(head, "X-Forwarded-Host") == "test"
    assert field(head, "X-Forwarded-Port") == str(site.public.address[1])


def test_a_trusted_proxys_word_passes_and_ours_replaces_what_is_said_besides() -> None:
    trusted = Proxies(lambda address: True, ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-prefix"])
    with FrontSite(policy={"proxies": trusted}) as site:
        head = passed(
            site,
            request(
                *(b"X-Forwarded-For: 192.0.2.7", b"X-Forwarded-Proto: https", b"X-Forwarded-Prefix: /app"),
                b"X-Forwarded-Host: forged",
            ),
        )
    assert field(head, "X-Forwarded-For") == "192.0.2.7"
    assert field(head, "X-Forwarded-Proto") == "https"
    assert field(head, "X-Forwarded-Prefix") == "/app"
    assert field(head, "X-Forwarded-Host") == "test"


@pytest.mark.parametrize(
    ("said", "port"),
    [
        (b"X-Forwarded-Port: 8443\r\nX-Forwarded-Proto: https", "8443"),
        (b"X-Forwarded-Proto: https", "443"),
        (b"X-Forwarded-Port: 81", "81"),
        (b"X-Forwarded-Proto: http", "ours"),
    ],
)
def test_the_port_is_the_trusted_proxys_or_that_of_the_connection(said: bytes, port: str | None) -> None:
    trusted = Proxies(lambda address: True, ["x-forwarded-port", "x-forwarded-proto"])
    with FrontSite(policy={"proxies": trusted}) as site:
        head = passed(site, request(said))
        assert field(head, "X-Forwarded-Port") == (str(site.public.address[1]) if port == "ours" else port)


def test_what_is_for_us_alone_ends_here(site: FrontSite) -> None:
    sent = request(
        b"Connection: keep-alive, X-Mine , close", b"Keep-Alive: 5", b"TE: gzip", b"x-mine: 1", b"X-Yours: 2"
    )
    head = passed(site, sent)
    assert [field(head, name) for name in ("Connection", "Keep-Alive", "TE", "X-Mine")] == [None] * 4
    assert field(head, "X-Yours") == "2"


@pytest.mark.parametrize("name", ["Host", "Content-Length", "X-Forwarded-For", "Content-Type"])
def test_a_client_cannot_have_us_forget_what_forwarding_rests_on(site: FrontSite, name: str) -> None:
    head = passed(site, POST.replace(b"Host", f"Connection: {name}\r\nContent-Type: a/b\r\nHost".encode(), 1))
    assert field(head, name) is not None


def test_a_target_with_an_authority_becomes_a_path_and_its_host(site: FrontSite) -> None:
    head = passed(site, request(line=b"GET http://other:81/p?q HTTP/1.1"))
    assert head.startswith(b"GET /p?q HTTP/1.1\r\nHost: other:81\r\n")
    assert field(head, "X-Forwarded-Host") == "other:81"
    assert field(head, "Host") == "other:81"
    for line, origin in ((b"GET http://other?q HTTP/1.1", b"GET /?q "), (b"GET http://other HTTP/1.1", b"GET / ")):
        assert passed(site, request(line=line)).startswith(origin + b"HTTP/1.1\r\n")


def test_an_old_client_without_a_host_is_passed_on_as_one_of_today(site: FrontSite) -> None:
    head = passed(site, b"GET /old HTTP/1.0\r\n\r\n")
    assert head.startswith(b"GET /old HTTP/1.1\r\nHost: \r\n")


def test_a_body_goes_out_whole_and_with_its_length(site: FrontSite) -> None:
    worker, client = site.worker(), site.connect()
    chunked = request(
        b"Transfer-Encoding: chunked", line=b"PUT /c HTTP/1.1", body=b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
    )
    for sent, body in ((POST, b"hello"), (chunked, b"abcdefg")):
        client.send(sent)
        head = worker.request()
        assert field(head, "Content-Length") == str(len(body))
        assert field(head, "Transfer-Encoding") is None
        assert worker.body(len(body)) == body
        worker.send(OK)
        assert client.response("POST").status == 200
    client.send(request(b"Content-Length: 0", line=b"POST / HTTP/1.1"))
    assert field(worker.serve(), "Content-Length") == "0"
    assert client.response("POST").status == 200


def test_a_large_body_waits_in_a_file_for_a_slow_server() -> None:
    with FrontSite(policy={"body_memory_bytes": 1_000}, send_buffer=8_192) as site:
        worker, client = site.worker(receive_buffer=4_096), site.connect()
        client.send(request(b"Content-Length: %d" % len(LARGE), line=b"POST / HTTP/1.1", body=LARGE))
        assert field(worker.request(), "Content-Length") == str(len(LARGE))
        assert worker.body(len(LARGE)) == LARGE
        worker.send(OK)
        assert client.response("POST").body == b"ok"


def test_a_client_is_told_to_go_on_and_its_server_never_asked(site: FrontSite) -> None:
    worker, client = site.worker(), site.connect()
    client.send(request(b"Content-Length: 5", b"Expect: 100-continue", line=b"POST / HTTP/1.1"))
    assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"hello")
    assert field(worker.request(), "Expect") is None
    assert worker.body(5) == b"hello"
    worker.send(OK)
    assert client.response("POST").status == 200


# -- bodies that stream


@pytest.fixture
def streaming() -> Iterator[FrontSite]:
    with FrontSite(stream_input=True, send_buffer=8_192) as made:
        yield made


def test_a_streamed_body_passes_as_it_comes_in_chunks(streaming: FrontSite) -> None:
    worker, client = streaming.worker(), streaming.connect()
    client.send(request(b"Transfer-Encoding: chunked", line=b"POST / HTTP/1.1"))
    assert field(worker.request(), "Transfer-Encoding") == "chunked"
    client.send(b"3\r\nabc\r\n")
    assert worker.read_until(b"abc\r\n") == b"3\r\nabc\r\n"
    client.send(b"1\r\nd\r\n0\r\n\r\n")
    assert worker.read_until(b"0\r\n\r\n") == b"1\r\nd\r\n0\r\n\r\n"
    worker.send(OK)
    assert client.response("POST").status == 200


def test_a_streamed_body_of_known_length_says_it(streaming: FrontSite) -> None:
    worker, client = streaming.worker(), streaming.connect()
    client.send(request(b"Content-Length: 6", line=b"POST / HTTP/1.1"))
    head = worker.request()
    assert (field(head, "Content-Length"), field(head, "Transfer-Encoding")) == ("6", None)
    for part in (b"abc", b"def"):
        client.send(part)
        assert worker.body(3) == part
    worker.send(OK)
    assert client.response("POST").status == 200


def pour(site: FrontSite, into: socket.socket, data: bytes) -> int:
    """Sends until neither the kernel nor the front takes more; how much they took."""
    sent = 0
    while True:
        site.settle()
        try:
            sent += into.send(data[sent : sent + 65_536])
        except BlockingIOError:
            return sent


def test_a_server_that_does_not_read_stops_its_client_and_no_memory_grows(streaming: FrontSite) -> None:
    worker, client = streaming.worker(receive_buffer=4_096), streaming.connect()
    body = LARGE * 2
    client.socket.sendall(request(b"Content-Length: %d" % len(body), line=b"POST / HTTP/1.1"))
    sent = pour(streaming, client.socket, body)
    # Send-ahead, read-ahead, and the buffers of three sockets.
    assert sent < 600_000
    worker.request()
    rest = memoryview(body)[sent:]
    got = 0
    while got < len(body):
        if rest:
            with contextlib.suppress(BlockingIOError):
                rest = rest[client.socket.send(rest) :]
        piece = worker.available()
        assert piece == body[got : got + len(piece)]
        got += len(piece)
    worker.send(OK)
    assert client.response("POST").body == b"ok"


def test_a_response_may_come_before_the_request_is_sent(streaming: FrontSite) -> None:
    worker, client = streaming.worker(), streaming.connect()
    client.send(request(b"Content-Length: 6", line=b"POST / HTTP/1.1") + b"abc")
    worker.request()
    worker.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig")
    assert (client.response("POST").status, streaming.queue.idle) == (413, 0)
    # Where its next request would begin, the server could not tell.
    assert worker.read_to_end() == b"abc"


def test_a_client_that_breaks_off_its_body_takes_the_request_with_it(streaming: FrontSite) -> None:
    worker, client = streaming.worker(), streaming.connect()
    client.send(request(b"Transfer-Encoding: chunked", line=b"POST / HTTP/1.1"))
    worker.request()
    client.send(b"nonsense")
    assert client.response("POST").status == 400
    assert worker.read_to_end() == b""


# -- the response


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_a_response_passes_in_whatever_pieces_it_comes(site: FrontSite, size: int) -> None:
    worker, client = site.worker(), site.connect()
    answer = (
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
        b"HTTP/1.1 207 All Sorts\r\nX-One: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n1;ext=1\r\n,\r\n6\r\n world\r\n0\r\n\r\n"
    )
    client.send(GET)
    worker.request()
    for at in range(0, len(answer), size):
        worker.send(answer[at : at + size])
    response = client.response()
    assert (response.status, response.reason, response.body) == (207, "All Sorts", b"hello, world")
    assert response.header("x-one") == "1"
    assert response.informational == [(103, [("link", "</a>")])]
    assert site.queue.idle == 1


def test_a_chunked_response_that_is_here_whole_gets_a_length(site: FrontSite) -> None:
    response = site.exchange(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n")
    assert (response.body, response.header("content-length"), response.header("transfer-encoding")) == (
        b"abc",
        "3",
        None,
    )


def test_a_streamed_response_passes_piece_by_piece(site: FrontSite) -> None:
    worker, client = site.worker(), site.connect()
    client.send(GET)
    worker.request()
    worker.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n")
    for piece in (b"one", b"three"):
        worker.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        assert client.read_until(piece + b"\r\n") == b"%x\r\n%s\r\n" % (len(piece), piece)
    worker.send(b"0\r\n\r\n")
    assert client.read_until(b"0\r\n\r\n") == b"0\r\n\r\n"
    assert site.queue.idle == 1


def test_an_old_client_gets_what_it_understands(site: FrontSite) -> None:
    worker, client = site.worker(), site.connect()
    client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    worker.request()
    worker.send(b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
    worker.send(b"1\r\nb\r\n0\r\n\r\n")
    text = client.read_to_end()
    assert text.startswith(b"HTTP/1.1 200 OK\r\n")
    assert text.endswith(b"\r\n\r\nab")
    assert b"chunked" not in text


def test_trailers_reach_a_client_that_asks_for_them(site: FrontSite) -> None:
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-Sum: 7\r\nX-Two: b\r\n\r\n"
    worker, client = site.worker(), site.connect()
    client.send(request(b"TE: trailers", b"Connection: TE"))
    head = worker.request()
    assert (field(head, "TE"), field(head, "Connection")) == ("trailers", "TE")
    worker.send(answer[:-11])
    worker.send(answer[-11:])
    response = client.response()
    assert (response.body, response.trailers) == (b"ab", [("x-sum", "7"), ("x-two", "b")])
    client.send(GET)
    worker.request()
    worker.send(answer)
    response = client.response()
    assert (response.body, response.trailers) == (b"ab", [])


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (GET.replace(b"GET", b"HEAD"), b"HTTP/1.1 200 OK\r\nContent-Length: 700\r\n\r\n"),
        (GET.replace(b"GET", b"HEAD"), b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (GET, b"HTTP/1.1 204 No Content\r\n\r\n"),
        (GET, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 700\r\nETag: a\r\n\r\n"),
    ],
)
def test_responses_without_a_body_end_with_their_head(site: FrontSite, sent: bytes, answer: bytes) -> None:
    worker, client = site.worker(), site.connect()
    for _ in range(2):
        client.send(sent)
        worker.serve(answer)
        response = client.response(sent.split(b" ")[0].decode())
        assert (response.status, response.body) == (int(answer[9:12]), b"")
        assert response.header("content-length") == ("700" if b"700" in answer else None)


def test_a_response_that_ends_with_its_connection_is_framed_for_the_client(site: FrontSite) -> None:
    worker, client = site.worker(), site.connect()
    client.send(GET)
    worker.request()
    worker.send(b"HTTP/1.0 200 OK\r\n\r\nall of ")
    worker.send(b"it")
    worker.close()
    assert client.response().body == b"all of it"
    assert site.completed == [(200, True)]
    assert site.queue.idle == 0


def test_fields_of_the_servers_connection_end_here(site: FrontSite) -> None:
    response = site.exchange(
        b"HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nKeep-Alive: 3\r\nX-Hop: 1\r\nUpgrade: x\r\nX-End: 2\r\n"
        b"Content-Length: 2\r\n\r\nok"
    )
    names = [name for name, _ in response.headers]
    assert names == ["x-end", "content-length", "date", "server"]
    # That the server closes is no reason to close the client's connection, and the server's word for its own.
    assert site.queue.idle == 0


def test_426_says_which_protocol(site: FrontSite) -> None:
    response = site.exchange(b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: x/1\r\nContent-Length: 0\r\n\r\n")
    assert (response.header("upgrade"), response.header("connection")) == ("x/1", "upgrade")


def test_a_clients_keep_alive_and_pipeline_outlast_its_servers(site: FrontSite) -> None:
    client = site.connect()
    first, second = site.worker(), site.worker()
    client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: test\r\n\r\n" % number for number in range(4)))
    for number, worker in enumerate((second, first)):
        assert worker.request().startswith(b"GET /%d " % number)
        worker.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\n%d" % number)
        assert client.response().body == b"%d" % number
        assert worker.read_to_end() == b""
    third = site.worker()
    for number in (2, 3):
        assert third.request().startswith(b"GET /%d " % number)
        third.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number)
        assert client.response().body == b"%d" % number


def test_a_slow_client_holds_no_server_up_to_the_bound_and_then_does() -> None:
    bounds = {"output_high_bytes": 10_000, "output_low_bytes": 5_000, "response_spill_bytes": 500_000}
    with FrontSite(policy=bounds, send_buffer=8_192) as site:
        worker, client = site.worker(), site.connect(receive_buffer=4_096)
        client.send(GET)
        worker.request()
        worker.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(LARGE))
        sent = 0
        while True:
            site.settle()
            try:
                sent += worker.socket.send(LARGE[sent : sent + 65_536])
            except BlockingIOError:
                break
        assert 500_000 < sent < 900_000
        site.reactor.advance(10_000)
        client.read_until(b"\r\n\r\n")
        body = b""
        while len(body) < len(LARGE):
            body += client.available()
            if sent < len(LARGE):
                try:
                    sent += worker.socket.send(LARGE[sent : sent + 65_536])
                except BlockingIOError:
                    continue
        assert body == LARGE
        assert site.completed == [(200, True)]


# -- servers that break off, or talk nonsense


NONSENSE = {
    "no status line": b"hello\r\n\r\n",
    "a bare line feed": b"HTTP/1.1 200 OK\n\n",
    "a fold": b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "length and chunks": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "another coding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    "no chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz",
    "HTTP/2": b"HTTP/2.0 200 OK\r\n\r\n",
    "a trailer that frames": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 4\r\n\r\n",
    "a protocol nobody asked for": SWITCH,
    "a head too long": b"HTTP/1.1 200 OK\r\nA: " + b"x" * 70_000,
    "interim for ever": b"HTTP/1.1 100 Continue\r\n\r\n" * 40,
    "nothing": b"",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-",
}


@pytest.mark.parametrize("answer", NONSENSE.values(), ids=NONSENSE.keys())
def test_nonsense_reaches_nobody(site: FrontSite, answer: bytes) -> None:
    worker, client = site.worker(), site.connect()
    client.send(POST)
    worker.request()
    for at in range(0, len(answer), 60_000):
        worker.send(answer[at : at + 60_000])
    if answer in (NONSENSE["nothing"], NONSENSE["half a head"]):
        worker.close()
    response = client.response("POST")
    assert response.status == 502
    assert response.body.startswith(b"502 Bad Gateway\n\nthe server")
    assert site.queue.idle == 0
    # The client's connection is none the worse for it.
    other = site.worker()
    client.send(POST)
    other.serve()
    assert client.response("POST").status == 200


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n",
    ],
)
def test_a_response_that_was_begun_and_breaks_off_is_seen_to(site: FrontSite, answer: bytes) -> None:
    worker, client = site.worker(), site.connect()
    client.send(GET)
    worker.request()
    worker.send(answer)
    assert b"half" in client.available()
    worker.close()
    assert client.read_to_end() == b""
    assert site.completed == [(200, False)]


def test_nonsense_inside_a_body_breaks_it_off(site: FrontSite) -> None:
    worker, client = site.worker(), site.connect()
    client.send(GET)
    worker.request()
    worker.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n")
    worker.send(b"not a size")
    assert client.read_to_end().endswith(b"\r\n\r\n4\r\nhalf\r\n")
    assert worker.read_to_end() == b""


def test_what_follows_a_response_is_no_answer_to_the_next_request(site: FrontSite) -> None:
    client = site.connect()
    worker = site.worker()
    client.send(GET)
    worker.serve(OK + OK)
    assert client.response().body == b"ok"
    assert worker.read_to_end() == b""
    worker = site.worker()
    worker.send(OK)
    assert worker.read_to_end() == b""
    client.send(GET)
    assert client.available() == b""
    site.worker().serve(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmine")
    assert client.response().body == b"mine"


def test_a_refusal_from_a_server_that_closes_without_reading_all_is_heard() -> None:
    with FrontSite(send_buffer=8_192) as site:
        worker, client = site.worker(receive_buffer=4_096), site.connect()
        client.send(request(b"Content-Length: %d" % len(LARGE), line=b"POST / HTTP/1.1", body=LARGE))
        worker.request()
        worker.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
        assert client.response("POST").body == b"big"


def test_a_server_that_takes_nothing_of_a_request_is_given_up() -> None:
    with FrontSite(send_buffer=8_192, rules=ServerRules(send_timeout=5), queue={"deadline_ms": 0}) as site:
        site.worker(receive_buffer=4_096)
        client = site.connect()
        client.send(request(b"Content-Length: %d" % len(LARGE), line=b"POST / HTTP/1.1", body=LARGE))
        site.advance(4)
        assert client.available() == b""
        site.advance(2)
        assert client.response("POST").status == 504


def test_a_server_that_falls_silent_inside_a_response_is_given_up() -> None:
    with FrontSite(rules=ServerRules(silence=5)) as site:
        worker, client = site.worker(), site.connect()
        client.send(GET)
        worker.request()
        worker.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        for _ in range(3):
            site.advance(4)
            worker.send(b"a")
        site.advance(6)
        assert client.read_to_end().endswith(b"\r\n\r\naaa")


def test_a_server_is_not_blamed_for_a_client_that_reads_slowly() -> None:
    rules, bounds = ServerRules(silence=5), {"response_spill_bytes": 50_000, "send_timeout": 0}
    with FrontSite(rules=rules, policy=bounds, send_buffer=8_192) as site:
        worker, client = site.worker(), site.connect(receive_buffer=4_096)
        client.send(GET)
        worker.request()
        worker.socket.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(LARGE))
        sent = 0
        while True:
            site.settle()
            try:
                sent += worker.socket.send(LARGE[sent : sent + 65_536])
            except BlockingIOError:
                break
        site.advance(60)
        client.read_until(b"\r\n\r\n")
        got = 0
        while got < len(LARGE):
            got += len(client.available())
            if sent < len(LARGE):
                with contextlib.suppress(BlockingIOError):
                    sent += worker.socket.send(LARGE[sent : sent + 65_536])
        assert site.queue.answered == 1


# -- tunnels


def tunnel(site: FrontSite, receive_buffer: int = 0) -> tuple[Worker, Client]:
    worker, client = site.worker(receive_buffer=receive_buffer), site.connect(receive_buffer)
    client.send(ASK)
    head = worker.request()
    assert (field(head, "Connection"), field(head, "Upgrade")) == ("Upgrade", "websocket")
    worker.send(SWITCH)
    assert client.read_until(b"\r\n\r\n") == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nX-Key: abc\r\nConnection: Upgrade\r\n\r\n"
    )
    return worker, client


def test_a_tunnel_passes_bytes_both_ways_and_ends_with_either_side(site: FrontSite) -> None:
    for first in (0, 1):
        sides = tunnel(site)
        worker, client = sides
        client.send(b"ping")
        assert worker.read_until(b"ping") == b"ping"
        worker.send(b"pong")
        assert client.read_until(b"pong") == b"pong"
        sides[first].close()
        assert sides[1 - first].read_to_end() == b""
        sides[1 - first].close()
        site.settle()
        assert site.queue.leased == 0
    assert site.completed == [(101, True), (101, True)]


def test_what_comes_with_the_switch_passes_too(site: FrontSite) -> None:
    worker, client = site.worker(), site.connect()
    client.send(ASK + b"early")
    worker.request()
    worker.send(SWITCH + b"greeting")
    client.read_until(b"\r\n\r\n")
    assert client.read_until(b"greeting") == b"greeting"
    assert worker.read_until(b"early") == b"early"


def test_a_tunnel_holds_back_whoever_sends_faster_than_the_other_reads() -> None:
    with FrontSite(send_buffer=8_192, policy={"output_high_bytes": 100_000}) as site:
        for direction in (0, 1):
            sides = tunnel(site, receive_buffer=4_096)
            sender, reader = sides[direction], sides[1 - direction]
            sent = pour(site, sender.socket, LARGE)
            assert sent < 900_000
            got = 0
            while got < len(LARGE):
                piece = reader.available()
                assert piece == LARGE[got : got + len(piece)]
                got += len(piece)
                if sent < len(LARGE):
                    try:
                        sent += sender.socket.send(LARGE[sent : sent + 65_536])
                    except BlockingIOError:
                        continue
            sender.close()
            reader.read_to_end()
            reader.close()


def test_a_client_that_has_ended_its_side_hears_the_rest_within_bounds(site: FrontSite) -> None:
    worker, client = tunnel(site)
    client.end()
    assert worker.read_to_end() == b""
    worker.send(b"bye")
    assert client.read_until(b"bye") == b"bye"
    site.advance(31)
    assert client.read_to_end() == b""
    assert site.queue.leased == 0


GOING_AWAY = b"\x88\x82\0\0\0\0\x03\xe9"


def drained(site: FrontSite) -> None:
    site.reactor.drain()
    site.settle()


def test_a_drain_asks_for_the_end_of_a_websocket_as_its_client_would(site: FrontSite) -> None:
    worker, client = tunnel(site)
    sent = frames.text("hello")
    client.send(sent)
    drained(site)
    assert worker.read_until(GOING_AWAY) == sent + GOING_AWAY
    # Whose client is gone, as far as it goes.
    client.send(frames.text("more"))
    worker.send(b"\x81\x04last\x88\x02\x03\xe9")
    worker.close()
    assert client.read_to_end() == b"\x81\x04last\x88\x02\x03\xe9"
    assert site.completed == [(101, True)]


def test_a_drain_cuts_no_frame_in_two(site: FrontSite) -> None:
    worker, client = tunnel(site)
    sent = frames.binary(bytes(200))
    client.send(sent[:3])
    drained(site)
    assert worker.read_until(sent[:3]) == sent[:3]
    client.send(sent[3:] + frames.text("too late"))
    assert worker.read_until(GOING_AWAY) == sent[3:] + GOING_AWAY


def test_a_drain_adds_nothing_to_a_clients_own_goodbye(site: FrontSite) -> None:
    worker, client = tunnel(site)
    sent = frames.close(1000)
    client.send(sent)
    drained(site)
    worker.send(b"\x88\x02\x03\xe8")
    assert client.read_until(b"\x03\xe8") == b"\x88\x02\x03\xe8"
    client.close()
    assert worker.read_to_end() == sent


def test_a_server_that_does_not_answer_a_goodbye_is_not_waited_for(site: FrontSite) -> None:
    worker, client = tunnel(site)
    drained(site)
    worker.read_until(GOING_AWAY)
    site.advance(31)
    assert client.read_to_end() == b""
    assert site.queue.leased == 0


def test_a_drain_says_nothing_in_a_protocol_it_does_not_know(site: FrontSite) -> None:
    worker, client = site.worker(), site.connect()
    client.send(ASK.replace(b"websocket", b"telnet"))
    worker.request()
    worker.send(SWITCH.replace(b"websocket", b"telnet"))
    client.read_until(b"\r\n\r\n")
    drained(site)
    client.send(b"hello")
    assert worker.read_until(b"hello") == b"hello"


@pytest.mark.parametrize("protocol", [b"h2c", b"H2C, websocket"])
def test_no_tunnel_to_http2_past_our_rules(site: FrontSite, protocol: bytes) -> None:
    head = passed(site, request(b"Connection: Upgrade, HTTP2-Settings", b"HTTP2-Settings: a", b"Upgrade: " + protocol))
    assert [field(head, name) for name in ("Upgrade", "Connection", "HTTP2-Settings")] == [None] * 3


def test_a_refused_upgrade_is_an_ordinary_response(site: FrontSite) -> None:
    worker, client = site.worker(), site.connect()
    client.send(ASK)
    worker.serve(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
    assert client.response().status == 403
    client.send(GET)
    worker.serve()
    assert client.response().status == 200
