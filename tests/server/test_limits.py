"""Every limit has its status, and says in the log whom it met and with what; nobody else notices."""

import re
import threading

import pytest

from tests.conftest import Connect
from tests.server.conftest import WAYS, Serve
from tests.support.raw import RawClient, Response
from tests.support.server import Server

LIMITS = (
    *("--limit-head-bytes", "2000", "--limit-target-bytes", "100", "--limit-fields", "10"),
    *("--limit-body-bytes", "1000", "--limit-chunk-extension-bytes", "50", "--limit-trailer-bytes", "100"),
)
# The shortest there is, and a deadline is rounded up to a quarter second.
SHORT = ("--head-timeout", "0.1", "--body-timeout", "0.1")
MIB = 1 << 20


def head(*fields: bytes, line: bytes = b"GET / HTTP/1.1") -> bytes:
    return b"\r\n".join([line, b"Host: a", *fields, b"", b""])


def post(*fields: bytes, body: bytes = b"") -> bytes:
    return head(*fields, line=b"POST /echo HTTP/1.1") + body


def in_chunks(body: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", body=body)


# What is sent, its status, why, and what the log shows of it.
PAST: dict[str, tuple[bytes, int, str, str]] = {
    "target": (head(line=b"GET /%s HTTP/1.1" % (b"a" * 100)), 414, "request-target", "b'"),
    "target without an end": (b"GET /" + b"a" * 101, 414, "request-target", "b'"),
    "method without an end": (b"G" * 2001, 431, "head", "b'G"),
    "field bytes": (head(b"A: " + b"b" * 2000), 431, "head", "b'b"),
    "field bytes without an end": (b"GET / HTTP/1.1\r\nA: " + b"b" * 2000, 431, "head", "b'b"),
    "fields": (head(*[b"A: b"] * 10), 431, "fields", "b'A: b"),
    "body of a length": (post(b"Content-Length: 1001"), 413, "body", "b'1001'"),
    "body in chunks": (in_chunks(b"3e9\r\n"), 413, "body", "b'"),
    "body in many chunks": (in_chunks(b"1f4\r\n" + b"x" * 500 + b"\r\n1f5\r\n"), 413, "body", "b'"),
    "chunk extensions": (in_chunks(b"1;a=" + b"b" * 60 + b"\r\nx\r\n0\r\n\r\n"), 400, "chunk extension", "b'b"),
    "trailer bytes": (in_chunks(b"0\r\nA: " + b"b" * 120 + b"\r\n\r\n"), 431, "trailer", "b'b"),
    "trailer fields": (in_chunks(b"0\r\n" + b"A: b\r\n" * 11 + b"\r\n"), 431, "trailer", "b'"),
    "expectation": (head(b"Expect: tea"), 417, "expectation", "b'tea"),
    "transfer coding": (post(b"Transfer-Encoding: gzip, chunked"), 501, "transfer coding", "b'gzip, chunked"),
    "tunnel": (b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", 501, "CONNECT", "b'a:80 HTTP/1.1"),
    "version": (head(line=b"GET / HTTP/2.0"), 505, "version", "b'HTTP/2.0"),
    "version of the past": (b"GET / HTTP/0.9\r\n\r\n", 505, "version", "b'HTTP/0.9"),
    "no version": (b"GET /\r\n\r\n", 400, "version", "b'"),
}
AT: dict[str, bytes] = {
    "target": head(line=b"GET /%s HTTP/1.1" % (b"a" * 99)),
    "field bytes": head(b"A: " + b"b" * (2000 - len(head(b"A: ")))),
    "fields": head(*[b"A: b"] * 9),
    "body of a length": post(b"Content-Length: 1000", body=b"x" * 1000),
    "body in chunks": in_chunks(b"3e8\r\n" + b"x" * 1000 + b"\r\n0\r\n\r\n"),
    "chunk extensions": in_chunks(b"1;a=" + b"b" * 40 + b"\r\nx\r\n0\r\n\r\n"),
    "trailers": in_chunks(b"0\r\n" + b"A: b\r\n" * 10 + b"\r\n"),
}


@pytest.fixture(params=["threads", "asyncio"])
def site(request: pytest.FixtureRequest, shared: Serve) -> Server:
    name, *options = WAYS[request.param]
    return shared(f"plain:{name}", *options, *LIMITS)


@pytest.fixture(params=["threads", "asyncio"])
def hasty(request: pytest.FixtureRequest, shared: Serve) -> Server:
    name, *options = WAYS[request.param]
    return shared(f"plain:{name}", *options, *SHORT)


def refused(server: Server, client: RawClient, status: int) -> tuple[Response, str]:
    """The client's last answer, which came whole and without a reset, and the log's line about it."""
    port = client.socket.getsockname()[1]
    response = client.response()
    assert (response.status, response.header("connection")) == (status, "close")
    client.end()
    assert client.read_to_end() == b""
    line = server.log.wait_for(rf"info: {status} from 127\.0\.0\.1:{port}: .*").group()
    assert response.body.decode().splitlines()[-1] in line
    return response, line


@pytest.mark.parametrize("case", PAST)
def test_past_a_limit(site: Server, connect: Connect, case: str) -> None:
    sent, status, why, shown = PAST[case]
    neighbour = connect(site)
    assert neighbour.request(head()).body == b"ok"
    client = connect(site)
    client.send(sent)
    _, line = refused(site, client, status)
    assert why in line
    assert f"; near {shown}" in line
    assert neighbour.request(head()).body == b"ok"


@pytest.mark.parametrize("case", AT)
def test_at_a_limit(site: Server, connect: Connect, case: str) -> None:
    client = connect(site)
    for _ in range(2):
        assert client.request(AT[case]).status == 200


def test_what_a_client_says_cannot_forge_a_line(site: Server, connect: Connect) -> None:
    client = connect(site)
    client.send(
        b"GET / HTTP/1.1\r\nHost: a\r\nA: \x1b[2J\x00\r\n2026-01-01 00:00:00.000 +0000 [1] info: forged\r\n\r\n"
    )
    _, line = refused(site, client, 400)
    assert r"near b'\x1b[2J\x00\r\n2026-01-01" in line
    assert "\x1b" not in line
    assert not any(line.startswith("2026-01-01") for line in site.log.lines)


def test_a_body_of_unknown_length_needs_no_411(site: Server, connect: Connect) -> None:
    # RFC 9112 section 6.3, rule 7: without Content-Length and Transfer-Encoding a request has no body.
    assert connect(site).request(post()).body == b"0"


@pytest.mark.parametrize("case", ["body of a length", "body in chunks"])
def test_a_client_that_is_still_sending_gets_the_whole_answer(site: Server, connect: Connect, case: str) -> None:
    client = connect(site)
    client.send(PAST[case][0])
    sent: list[int] = []

    def go_on() -> None:
        for _ in range(32):
            client.send(b"x" * 65536)
            sent.append(65536)

    sender = threading.Thread(target=go_on)
    sender.start()
    sender.join()
    refused(site, client, 413)
    assert sum(sent) == 2 * MIB


@pytest.mark.parametrize(
    "sent",
    [b"G", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nA", b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n"],
)
def test_slow_heads(hasty: Server, connect: Connect, sent: bytes) -> None:
    client = connect(hasty)
    client.send(sent)
    _, line = refused(hasty, client, 408)
    assert "the head of the request did not come in time" in line


def test_a_head_that_trickles_is_slow(hasty: Server, connect: Connect) -> None:
    # A byte now and then must not buy time: each is sent when the one before has been taken in.
    client = connect(hasty)
    client.socket.settimeout(0.02)
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\n")
    received = b""
    for _ in range(500):
        try:
            received = client.socket.recv(65536)
            break
        except TimeoutError:
            client.send(b"A: b\r\n")
    assert received.startswith(b"HTTP/1.1 408 Request Timeout\r\n")


def test_silence_before_a_head_is_no_mistake(hasty: Server, connect: Connect) -> None:
    assert connect(hasty).read_to_end() == b""


@pytest.mark.parametrize(
    "sent", [post(b"Content-Length: 10"), post(b"Content-Length: 10", body=b"x"), in_chunks(b""), in_chunks(b"a\r\nx")]
)
def test_slow_bodies(hasty: Server, connect: Connect, sent: bytes) -> None:
    client = connect(hasty)
    client.send(sent)
    status, port = 408, client.socket.getsockname()[1]
    response = client.response()
    assert (response.status, response.header("connection")) == (status, "close")
    client.end()
    assert client.read_to_end() == b""
    hasty.log.wait_for(rf"info: 408 from 127\.0\.0\.1:{port}: the body of the request did not come in time")


def test_a_slow_body_that_comes_steadily_is_taken(hasty: Server, connect: Connect) -> None:
    client = connect(hasty)
    client.send(post(b"Content-Length: 20"))
    client.socket.settimeout(0.02)
    for _ in range(20):
        with pytest.raises(TimeoutError):
            client.socket.recv(1)
        client.send(b"x")
    client.socket.settimeout(10)
    assert client.response().body == b"20"


def test_a_slow_next_request_is_no_mistake(hasty: Server, connect: Connect) -> None:
    before = len(re.findall("408 from", hasty.log.text))
    client = connect(hasty)
    assert client.request(head()).body == b"ok"
    client.end()
    assert client.read_to_end() == b""
    assert len(re.findall("408 from", hasty.log.text)) == before
