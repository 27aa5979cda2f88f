"""Stopping: who has asked is answered, who stays is told, nobody meets a reset; asked twice it makes haste."""

import signal

import pytest

from tests.conftest import Connect
from tests.server.conftest import SITES, WAYS, Fifo
from tests.support.server import Servers

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
STOPS = [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT]


@pytest.mark.parametrize("number", STOPS, ids=lambda number: number.name)
@pytest.mark.parametrize("way", [*WAYS])
def test_a_running_request_is_answered(
    server: Servers, connect: Connect, fifo: Fifo, way: str, number: signal.Signals
) -> None:
    name, *options = WAYS[way]
    site = server(f"plain:{name}", *options, "--log-level", "debug", chdir=SITES)
    client = connect(site)
    client.send(f"GET /hold{fifo.path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    site.log.wait_for(f"holding {fifo.path}")
    site.process.send_signal(number)
    site.log.wait_for(rf"{number.name}: stopping")
    fifo.release()
    response = client.response()
    assert (response.status, response.body) == (200, b"ok")
    # Unless its head was written before the worker had heard of it, it says that it is the last one.
    assert response.header("connection") in (None, "close")
    client.end()
    assert client.read_to_end() == b""
    assert site.wait() == 0


@pytest.mark.parametrize("way", [*WAYS])
def test_clients_that_stay_meet_no_reset(server: Servers, connect: Connect, way: str) -> None:
    name, *options = WAYS[way]
    site = server(f"plain:{name}", *options, chdir=SITES)
    clients = [connect(site) for _ in range(20)]
    for client in clients:
        assert client.request(GET).header("connection") is None
    half = connect(site)
    half.send(GET[:20])
    fresh = connect(site)
    site.process.send_signal(signal.SIGTERM)
    # Each asks once more, whether or not it was told yet: it is answered and told, or finds an end.
    for client in [*clients, fresh]:
        client.send(GET)
        received = client.read_to_end()
        assert received == b"" or received.startswith(b"HTTP/1.1 200 OK\r\n")
        assert received == b"" or b"\r\nConnection: close\r\n" in received or client is not fresh
        client.close()
    half.send(GET[20:])
    assert half.response().header("connection") == "close"
    half.close()
    assert site.wait() == 0


@pytest.mark.parametrize("way", [*WAYS])
def test_idle_clients_hold_nothing_up(server: Servers, connect: Connect, way: str) -> None:
    name, *options = WAYS[way]
    site = server(f"plain:{name}", *options, chdir=SITES)
    clients = [connect(site) for _ in range(5)]
    for client in clients:
        client.request(GET)
    site.process.send_signal(signal.SIGTERM)
    for client in clients:
        assert client.read_to_end() == b""
        client.close()
    assert site.wait() == 0


@pytest.mark.parametrize("way", [*WAYS])
def test_a_large_response_is_delivered_to_its_end(server: Servers, connect: Connect, way: str) -> None:
    name, *options = WAYS[way]
    size = 20_000_000
    site = server(f"plain:{name}", *options, "--log-level", "debug", chdir=SITES)
    client = connect(site)
    client.send(b"GET /big/%d HTTP/1.1\r\nHost: a\r\n\r\n" % size)
    client.received = client.socket.recv(1024)
    site.process.send_signal(signal.SIGTERM)
    site.log.wait_for("SIGTERM: stopping")
    assert len(client.response().body) == size
    client.close()
    assert site.wait() == 0


@pytest.mark.parametrize("way", ["threads", "asyncio"])
def test_asked_twice_it_makes_haste(server: Servers, connect: Connect, fifo: Fifo, way: str) -> None:
    name, *options = WAYS[way]
    site = server(f"plain:{name}", *options, "--log-level", "debug", chdir=SITES)
    client = connect(site)
    client.send(f"GET /hold{fifo.path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    site.log.wait_for(f"holding {fifo.path}")
    for said in ("SIGTERM: stopping", "SIGTERM again: stopping in haste", "SIGTERM again: stopping at once"):
        site.process.send_signal(signal.SIGTERM)
        site.log.wait_for(said)
    site.log.wait_for(r"warning: worker 1 \(pid \d+\) did not stop within .*: killed")
    with pytest.raises((EOFError, ConnectionResetError)):
        client.read(1)
    assert site.wait() == 0


@pytest.mark.parametrize("way", ["inline", "threads", "asyncio"])
def test_grace_has_an_end(server: Servers, connect: Connect, fifo: Fifo, way: str) -> None:
    name, *options = WAYS[way]
    site = server(f"plain:{name}", *options, "--graceful-timeout", "0.1", chdir=SITES)
    client = connect(site)
    client.send(f"GET /hold{fifo.path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    site.log.wait_for(f"holding {fifo.path}")
    site.process.send_signal(signal.SIGTERM)
    site.log.wait_for(r"warning: worker 1 \(pid \d+\) did not stop within 0\.1 s: killed")
    assert site.wait() == 0
