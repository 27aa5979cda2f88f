"""The WSGI gateway under `wsgiref.validate`, which raises at whatever breaks PEP 3333 on either side."""

from pathlib import Path

import pytest

from tests.conftest import Connect
from tests.support.server import Server, Servers

SITES = Path(__file__).parent / "sites"


@pytest.fixture(params=["1", "1:4"])
def site(server: Servers, request: pytest.FixtureRequest) -> Server:
    return server("validated:app", "--threads", request.param, chdir=SITES)


@pytest.mark.parametrize(
    ("request_line", "body"),
    [
        ("GET / HTTP/1.1", b"path=/ query= body=0"),
        ("GET /a%20b/%C3%A9?x=1&y=%20 HTTP/1.1", b"path=/a b/\xc3\xa9 query=x=1&y=%20 body=0"),
        ("GET * HTTP/1.0", None),
        ("DELETE /thing HTTP/1.1", b"path=/thing query= body=0"),
        ("GET http://other.example/absolute?q HTTP/1.1", b"path=/absolute query=q body=0"),
    ],
)
def test_heads_alone(site: Server, connect: Connect, request_line: str, body: bytes | None) -> None:
    response = connect(site).request(f"{request_line}\r\nHost: other.example\r\nConnection: close\r\n\r\n".encode())
    if body is None:
        assert response.status == 400
    else:
        assert (response.status, response.body) == (200, body)
    assert_valid(site, connect)


def test_a_body_with_a_length(site: Server, connect: Connect) -> None:
    head = b"POST /form HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 100000\r\n\r\n"
    client = connect(site)
    for _ in range(3):
        response = client.request(head + b"x" * 100_000)
        assert (response.status, response.body) == (200, b"path=/form query= body=100000")
    assert_valid(site, connect)


def test_a_body_in_chunks(site: Server, connect: Connect) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    response = connect(site).request(head + b"5\r\nhello\r\n6;some=extension\r\n world\r\n0\r\nX-End: 1\r\n\r\n")
    assert (response.status, response.body) == (200, b"path=/ query= body=11")
    assert_valid(site, connect)


def test_head_requests(site: Server, connect: Connect) -> None:
    client = connect(site)
    head = client.request(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (head.status, head.body) == (200, b"")
    assert client.request(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").status == 200
    assert_valid(site, connect)


@pytest.mark.parametrize("path", ["write", "generator", "iterator", "lines", "empty"])
def test_each_way_to_read_and_answer(site: Server, connect: Connect, path: str) -> None:
    head = f"POST /{path} HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n".encode()
    response = connect(site).request(head + b"one\ntwo\nlast")
    assert response.status == 200
    assert response.body == (b"" if path == "empty" else b"one\ntwo\nlast")
    assert_valid(site, connect)


def test_headers_of_every_kind_reach_the_application_as_text(site: Server, connect: Connect) -> None:
    fields = "Accept: a\r\nAccept: b\r\nCookie: c=1\r\nCookie: d=2\r\nX-Empty:\r\nX-Latin: é\r\n"
    response = connect(site).request(f"GET /headers HTTP/1.1\r\nHost: a\r\n{fields}\r\n".encode("latin-1"))
    assert response.body.decode("latin-1").splitlines() == [
        "HTTP_ACCEPT=a, b",
        "HTTP_COOKIE=c=1; d=2",
        "HTTP_HOST=a",
        "HTTP_X_EMPTY=",
        "HTTP_X_LATIN=é",
    ]
    assert_valid(site, connect)


def assert_valid(site: Server, connect: Connect) -> None:
    """The validator found nothing: what it finds is raised inside the application, so it would be in the log."""
    # A stopping server waits a little for clients that stay.
    connect.close()
    site.stop()
    assert "AssertionError" not in site.log.text
    assert "WSGIWarning" not in site.log.text
