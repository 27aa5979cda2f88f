"""Connections that begin with a PROXY header: whose they are then, and what becomes of those that do not."""

import socket
import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drawbar.exchange.forwarded import Proxies
from tests.support.inprocess import Site

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
TCP4 = b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\r\n"
SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
BLOCK = bytes([203, 0, 113, 7, 192, 0, 2, 1]) + struct.pack("!HH", 56324, 443)
LOOPBACK = bytes([127, 0, 0, 1])


def who(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """Answers with the address the application is told."""
    start_response("200 OK", [])
    return [f"{environ.get('REMOTE_ADDR')} {environ.get('REMOTE_PORT')}".encode()]


def made(trusted: bytes | None = LOOPBACK, unix: Path | None = None, **options: Any) -> Site:
    """A site whose proxies at that address, or on the Unix socket, send PROXY headers."""
    proxies = Proxies(lambda address: address == trusted, ["x-forwarded-for"])
    return Site(who, proxied=True, policy={"proxies": proxies, "head_timeout": 10, **options}, unix=unix)


@pytest.fixture
def site() -> Iterator[Site]:
    with made() as site:
        yield site


@pytest.mark.parametrize("header", [TCP4, SIGNATURE + b"\x21\x11\x00\x0c" + BLOCK], ids=["version 1", "version 2"])
def test_the_client_is_who_the_header_says(site: Site, header: bytes) -> None:
    client = site.connect()
    client.send(header + GET)
    assert client.response().body == b"203.0.113.7 56324"
    client.send(GET)
    assert client.response().body == b"203.0.113.7 56324"


def test_an_ipv6_client(site: Site) -> None:
    client = site.connect()
    client.send(b"PROXY TCP6 2001:db8::7 ::1 56324 443\r\n" + GET)
    assert client.response().body == b"2001:db8::7 56324"


def test_the_header_may_come_in_pieces(site: Site) -> None:
    client = site.connect()
    for byte in TCP4 + GET[:-1]:
        client.send(bytes([byte]))
    assert client.poll() is False
    client.send(GET[-1:])
    assert client.response().body == b"203.0.113.7 56324"


def test_a_waiting_header_leaves_the_reactor_asleep(site: Site) -> None:
    client = site.connect()
    client.send(TCP4[:20])
    # What is there was taken off the socket: nothing is left to wake for.
    client.site.settle()
    assert site.reactor.connections == 1


@pytest.mark.parametrize(
    "header",
    [b"PROXY UNKNOWN\r\n", SIGNATURE + b"\x20\x00\x00\x00", SIGNATURE + b"\x21\x31\x00\xd8" + bytes(216)],
    ids=["UNKNOWN", "LOCAL", "Unix"],
)
def test_without_an_address_the_peer_is_the_client(site: Site, header: bytes) -> None:
    client = site.connect()
    client.send(header + GET)
    assert client.response().body == b"127.0.0.1 %d" % client.socket.getsockname()[1]


FORWARDED = b"GET / HTTP/1.1\r\nHost: test\r\nX-Forwarded-For: 198.51.100.9\r\n\r\n"


@pytest.mark.parametrize(
    ("header", "believed"),
    [(TCP4, False), (b"PROXY UNKNOWN\r\n", False), (SIGNATURE + b"\x20\x00\x00\x00", True)],
    ids=["a client", "UNKNOWN", "LOCAL"],
)
def test_only_the_proxy_itself_is_believed_what_it_forwards(site: Site, header: bytes, believed: bool) -> None:
    client = site.connect()
    client.send(header + FORWARDED)
    assert client.response().body.startswith(b"198.51.100.9 ") is believed


def test_an_untrusted_peer_speaks_http() -> None:
    with made(trusted=bytes([192, 0, 2, 99])) as site:
        client = site.connect()
        client.send(GET)
        assert client.response().body.startswith(b"127.0.0.1 ")
        claims = site.connect()
        claims.send(TCP4 + GET)
        assert claims.response().status == 400
        binary = site.connect()
        binary.send(SIGNATURE + b"\x21\x11\x00\x0c" + BLOCK + GET)
        assert binary.response().status == 400


def test_a_trusted_unix_peer() -> None:
    with tempfile.TemporaryDirectory(prefix="drawbar-") as name, made(None, Path(name) / "a") as site:
        client = site.connect()
        client.send(TCP4 + GET)
        assert client.response().body == b"203.0.113.7 56324"


def test_plain_http_of_a_trusted_peer_is_closed_and_told(site: Site) -> None:
    client = site.connect()
    client.send(GET)
    assert client.read_to_end() == b""
    [(peer, status, why, shown)] = site.refused
    assert peer == client.socket.getsockname()
    assert (status, why, shown) == (400, "the connection does not begin with a PROXY header", GET)
    assert site.reactor.connections == 0


def test_a_second_header_is_a_malformed_request(site: Site) -> None:
    client = site.connect()
    client.send(TCP4 + TCP4 + GET)
    assert client.response().status == 400
    assert [peer for peer, *_ in site.refused] == [("203.0.113.7", 56324)]


def test_a_header_that_does_not_end_in_time(site: Site) -> None:
    client = site.connect()
    client.send(TCP4[:20])
    site.advance(9)
    assert site.reactor.connections == 1
    site.advance(2)
    assert client.read_to_end() == b""
    assert [why for _, _, why, _ in site.refused] == ["the PROXY header did not come in time"]


def test_the_request_behind_the_header_has_its_own_time(site: Site) -> None:
    client = site.connect()
    client.send(TCP4 + GET[:5])
    site.advance(11)
    assert client.response().status == 408


def test_a_client_that_leaves_inside_the_header(site: Site) -> None:
    client = site.connect()
    client.send(TCP4[:20])
    client.end()
    assert client.read_to_end() == b""
    assert [why for _, _, why, _ in site.refused] == ["the client closed inside the PROXY header"]


def test_a_connection_without_a_byte_is_nothing_to_tell_of(site: Site) -> None:
    site.connect().close()
    site.connect().reset()
    silent = site.connect()
    site.settle()
    site.advance(11)
    assert silent.read_to_end() == b""
    assert site.refused == []
    assert site.reactor.connections == 0


def test_a_silent_connection_has_a_last_chance_when_the_server_stops(site: Site) -> None:
    silent, speaking = site.connect(), site.connect()
    site.settle()
    site.reactor.drain()
    speaking.send(TCP4 + GET)
    response = speaking.response()
    assert (response.status, response.header("connection")) == (200, "close")
    site.advance(1)
    assert silent.read_to_end() == b""


def test_connections_are_counted_once() -> None:
    with made() as site:
        clients = [site.connect() for _ in range(3)]
        for client in clients:
            client.send(TCP4 + GET)
            client.response()
        assert site.reactor.connections == 3
        for client in clients:
            client.close()
        assert site.reactor.connections == 0


def test_the_socket_buffer_is_empty_behind_the_header(site: Site) -> None:
    client = site.connect()
    client.send(SIGNATURE + b"\x21\x11\x0f\xf0" + BLOCK + bytes(0x0FF0 - len(BLOCK)) + GET)
    assert client.response().body == b"203.0.113.7 56324"
    assert client.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
