"""WebSockets of a Starlette application, met by the websockets client."""

from pathlib import Path
from socket import SHUT_RDWR

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from tests.support.server import PATIENCE_S, Server, Servers

SITES = Path(__file__).parent / "sites"


@pytest.fixture(params=["asyncio", "uvloop"])
def site(server: Servers, request: pytest.FixtureRequest) -> Server:
    return server("starlette_site:app", "--loop", request.param, chdir=SITES)


def open_socket(
    site: Server, path: str, subprotocols: list[Subprotocol] | None = None, compression: str | None = "deflate"
) -> ClientConnection:
    """A connection to `path`; a proxy from the environment must not come between."""
    return connect(
        f"ws://{site.host}:{site.port}{path}",
        subprotocols=subprotocols,
        compression=compression,
        open_timeout=PATIENCE_S,
        close_timeout=PATIENCE_S,
        max_size=None,
        proxy=None,
    )


@pytest.mark.parametrize("compression", ["deflate", None])
def test_text_and_bytes_come_back(site: Server, compression: str | None) -> None:
    with open_socket(site, "/echo", compression=compression) as socket:
        for message in ("", "hello", "grüße 🚀", "x" * 300_000, b"", b"\x00\xff", bytes(range(256)) * 1000):
            socket.send(message)
            assert socket.recv(PATIENCE_S) == message


def test_fragments_make_one_message(site: Server) -> None:
    with open_socket(site, "/echo") as socket:
        socket.send(iter(["one, ", "two, ", "three"]))
        assert socket.recv(PATIENCE_S) == "one, two, three"


def test_pings_are_answered(site: Server) -> None:
    with open_socket(site, "/echo") as socket:
        assert socket.ping(b"are you there").wait(PATIENCE_S)


def test_compression_is_agreed_upon(site: Server) -> None:
    with open_socket(site, "/echo") as socket:
        assert socket.response is not None
        assert "permessage-deflate" in socket.response.headers["Sec-WebSocket-Extensions"]


def test_the_application_chooses_the_subprotocol_and_adds_fields(site: Server) -> None:
    offered = [Subprotocol("chat.v1"), Subprotocol("chat.v2")]
    with open_socket(site, "/echo", subprotocols=offered) as socket:
        assert socket.subprotocol == "chat.v2"
        assert socket.response is not None
        assert socket.response.headers["X-Room"] == "lobby"
    with open_socket(site, "/echo", subprotocols=[Subprotocol("other")]) as socket:
        assert socket.subprotocol is None


def test_the_clients_close_code_reaches_the_application(site: Server) -> None:
    with open_socket(site, "/echo") as socket:
        socket.close(4001, "moving on")
        assert (socket.close_code, socket.close_reason) == (4001, "moving on")
    site.log.wait_for("echo: disconnected 4001 moving on")


def test_a_connection_that_breaks_is_1006(site: Server) -> None:
    with open_socket(site, "/echo") as socket:
        # An end of the stream and no close frame; closing the descriptor alone would leave its reader in the kernel.
        socket.socket.shutdown(SHUT_RDWR)
        site.log.wait_for("echo: disconnected 1006")


def test_the_applications_close_code_reaches_the_client(site: Server) -> None:
    with open_socket(site, "/closing") as socket:
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(PATIENCE_S)
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4321, "enough")


def test_close_before_accept_is_a_403(site: Server) -> None:
    with pytest.raises(InvalidStatus) as refused:
        open_socket(site, "/refusing")
    assert refused.value.response.status_code == 403


def test_a_denial_is_an_ordinary_response(site: Server) -> None:
    with pytest.raises(InvalidStatus) as denied:
        open_socket(site, "/denying")
    response = denied.value.response
    assert (response.status_code, response.headers["X-Door"], response.body) == (401, "shut", b'{"why":"no ticket"}')


def test_a_fault_closes_with_1011(site: Server) -> None:
    with open_socket(site, "/failing") as socket:
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(PATIENCE_S)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1011
    site.log.wait_for("ZeroDivisionError: a fault in a socket")


def test_a_message_over_the_limit_is_1009(server: Servers) -> None:
    site = server("starlette_site:app", "--websocket-max-message-bytes", "1000", chdir=SITES)
    with open_socket(site, "/echo") as socket:
        socket.send("x" * 1000)
        assert socket.recv(PATIENCE_S) == "x" * 1000
        socket.send("x" * 1001)
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(PATIENCE_S)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009


def test_a_stopping_server_says_so(site: Server) -> None:
    with open_socket(site, "/echo") as socket:
        site.stop()
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(PATIENCE_S)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code in {1001, 1012}


def test_plain_requests_live_beside_sockets(site: Server) -> None:
    with open_socket(site, "/echo") as socket:
        assert httpx.get(f"{site.url}/").text == "Starlette over Drawbar"
        socket.send("still here")
        assert socket.recv(PATIENCE_S) == "still here"
