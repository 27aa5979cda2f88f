"""WebSockets over real connections, with the `websockets` client and with raw bytes."""

import asyncio
from contextlib import suppress
from select import select
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Opcode
from websockets.sync.client import ClientConnection, connect

from drawbar.exchange.errors import AppError
from tests.support import frames
from tests.support.asgi import AsgiServer, Mail
from tests.support.raw import RawClient
from tests.support.server import PATIENCE_S

Message = dict[str, Any]


def dial(server: AsgiServer, target: str = "/", **options: Any) -> ClientConnection:
    url = f"ws://127.0.0.1:{server.port}{target}"
    client: ClientConnection = connect(url, proxy=None, open_timeout=PATIENCE_S, **options)
    return client


def shake(server: AsgiServer) -> RawClient:
    """A raw client with its WebSocket open."""
    client = server.connect()
    client.send(frames.head())
    assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
    return client


def read_frames(client: RawClient, count: int) -> list[tuple[str, bytes]]:
    reader = frames.Reader()
    found: list[tuple[str, bytes]] = []
    while len(found) < count:
        found += reader.feed(client.read(1))
    return found


class Echo:
    """Sends back what it gets, and notes every event."""

    def __init__(self) -> None:
        self.scopes: Mail[Message] = Mail()
        self.events: Mail[Message] = Mail()

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        self.scopes.put(scope)
        while True:
            event = await receive()
            self.events.put(event)
            if event["type"] == "websocket.connect":
                await send({"type": "websocket.accept"})
            elif event["type"] == "websocket.receive":
                await send({**event, "type": "websocket.send"})
            else:
                return


def test_echo_with_compression_and_fragments() -> None:
    with AsgiServer(Echo()) as server, dial(server) as client:
        assert client.protocol.extensions
        for message in ("hello", b"\x00\xff", "", "grüße" * 50_000, bytes(range(256)) * 1_000):
            client.send(message)
            assert client.recv(PATIENCE_S) == message
        client.send(["frag", "men", "ts"])
        assert client.recv(PATIENCE_S) == "fragments"


def test_scope() -> None:
    app = Echo()
    with AsgiServer(app, state={"db": 1}, root_path="/api") as server:
        with dial(server, "/a%20b?c=d", additional_headers={"X-Two": "2"}) as client:
            local = client.local_address
        scope = app.scopes.get()
        assert dict(scope.pop("headers"))[b"x-two"] == b"2"
        assert scope == {
            "type": "websocket",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "ws",
            "server": ("127.0.0.1", server.port),
            "client": local,
            "root_path": "/api",
            "path": "/api/a b",
            "raw_path": b"/a%20b",
            "query_string": b"c=d",
            "subprotocols": [],
            "extensions": {"websocket.http.response": {}},
            "state": {"db": 1},
        }


def test_client_close_reaches_the_app_and_the_log() -> None:
    app = Echo()
    with AsgiServer(app) as server:
        with dial(server) as client:
            client.close(4001, "bye")
            assert (client.close_code, client.close_reason) == (4001, "bye")
        assert app.events.get() == {"type": "websocket.connect"}
        assert app.events.get() == {"type": "websocket.disconnect", "code": 4001, "reason": "bye"}
        assert server.completed.get() == (101, True)


@pytest.mark.parametrize("reset", [False, True])
def test_client_that_vanishes_is_1006(reset: bool) -> None:
    app = Echo()
    with AsgiServer(app) as server:
        client = shake(server)
        assert app.events.get()["type"] == "websocket.connect"
        if reset:
            client.reset()
        else:
            client.close()
        assert app.events.get() == {"type": "websocket.disconnect", "code": 1006, "reason": ""}


def test_subprotocol_and_headers_of_accept() -> None:
    async def app(scope: Message, receive: Any, send: Any) -> None:
        assert scope["subprotocols"] == ["a", "b"]
        await receive()
        await send({"type": "websocket.accept", "subprotocol": "b", "headers": [(b"x-one", b"1")]})

    with AsgiServer(app) as server, dial(server, subprotocols=["a", "b"]) as client:
        assert client.subprotocol == "b"
        assert client.response is not None
        assert client.response.headers["X-One"] == "1"
        with pytest.raises(ConnectionClosed):
            client.recv(PATIENCE_S)
        assert client.close_code == 1000


def refused(server: AsgiServer) -> tuple[int, bytes]:
    with pytest.raises(InvalidStatus) as caught:
        dial(server)
    return caught.value.response.status_code, bytes(caught.value.response.body)


def test_close_before_accept_is_403() -> None:
    async def app(scope: Message, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.close"})

    with AsgiServer(app) as server:
        assert refused(server) == (403, b"Forbidden\n")


def test_denial_response() -> None:
    async def app(scope: Message, receive: Any, send: Any) -> None:
        await send({"type": "websocket.http.response.start", "status": 418, "headers": [(b"x-tea", b"pot")]})
        await send({"type": "websocket.http.response.body", "body": b"short ", "more_body": True})
        await send({"type": "websocket.http.response.body", "body": b"and stout"})

    with AsgiServer(app) as server:
        assert refused(server) == (418, b"short and stout")
        assert server.completed.get() == (418, True)


def test_denial_header_with_a_line_break_is_an_error() -> None:
    async def app(scope: Message, receive: Any, send: Any) -> None:
        await send({"type": "websocket.http.response.start", "status": 401, "headers": [(b"x", b"a\r\nb: c")]})

    with AsgiServer(app) as server:
        assert refused(server)[0] == 500
        assert isinstance(server.errors.get(), AppError)


def test_app_that_fails_before_and_after_accepting() -> None:
    async def app(scope: Message, receive: Any, send: Any) -> None:
        if scope["path"] == "/late":
            await send({"type": "websocket.accept"})
        raise ValueError("broken")

    with AsgiServer(app) as server:
        assert refused(server)[0] == 500
        assert str(server.errors.get()) == "broken"
        with dial(server, "/late") as client, pytest.raises(ConnectionClosed):
            client.recv(PATIENCE_S)
        assert client.close_code == 1011
        assert str(server.errors.get()) == "broken"


def test_connection_goes_on_with_http_after_a_refused_handshake() -> None:
    async def app(scope: Message, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": scope["type"].encode()})

    fields = [pair for pair in frames.FIELDS if pair[0] != "Sec-WebSocket-Version"]
    with AsgiServer(app) as server:
        client = server.connect()
        wrong = client.request(frames.head([*fields, ("Sec-WebSocket-Version", "8")]))
        assert (wrong.status, wrong.header("Sec-WebSocket-Version")) == (426, "13")
        assert wrong.header("Upgrade") == "websocket"
        missing = client.request(frames.head(fields))
        assert missing.status == 400
        assert client.request(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").body == b"http"


UPGRADE = b"Host: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"


@pytest.mark.parametrize(
    "request_",
    [
        b"POST / HTTP/1.1\r\n" + UPGRADE + b"Content-Length: 0\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + UPGRADE + b"Content-Length: 4\r\n\r\nbody",
        b"GET / HTTP/1.0\r\n" + UPGRADE + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    ],
)
def test_upgrade_that_cannot_be_one_is_ordinary_http(request_: bytes) -> None:
    async def app(scope: Message, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": scope["type"].encode()})

    with AsgiServer(app) as server:
        assert server.connect().request(request_).body == b"http"


def test_without_a_gateway_a_handshake_is_ordinary_http() -> None:
    async def app(scope: Message, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": scope["type"].encode()})

    with AsgiServer(app, websocket=False) as server:
        assert server.connect().request(frames.head()).body == b"http"


def test_drain_closes_with_1012() -> None:
    app = Echo()
    with AsgiServer(app) as server, dial(server) as client:
        assert app.events.get()["type"] == "websocket.connect"
        server.do(server.reactor.drain)
        with pytest.raises(ConnectionClosed):
            client.recv(PATIENCE_S)
        assert client.close_code == 1012
        assert app.events.get()["code"] == 1012


def test_websocket_accepted_while_draining_closes_with_1012() -> None:
    connected, drained = Mail[bool](), asyncio.Event()

    async def app(scope: Message, receive: Any, send: Any) -> None:
        await receive()
        connected.put(True)
        await drained.wait()
        await send({"type": "websocket.accept"})
        assert (await receive())["code"] == 1012

    with AsgiServer(app) as server:
        client = server.connect()
        client.send(frames.head())
        assert connected.get()
        server.do(server.reactor.drain)
        server.do(drained.set)
        assert client.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 101 ")
        assert read_frames(client, 1) == [frames.closed(1012)]


def test_last_frames_are_not_cut_off_by_what_the_client_still_sends() -> None:
    async def app(scope: Message, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await receive()
        await receive()
        await send({"type": "websocket.send", "text": "last words"})

    with AsgiServer(app) as server:
        client = shake(server)
        client.send(frames.text("go"))
        assert read_frames(client, 2) == [("TEXT", b"last words"), frames.closed(1000)]
        client.send(frames.text("crossed") + frames.close(1000) + frames.text("after all"))
        assert client.read_to_end() == b""


def test_reading_stops_with_an_app_that_does_not_receive_and_nothing_is_lost() -> None:
    go_on = asyncio.Event()
    received: Mail[int] = Mail()

    async def app(scope: Message, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await receive()
        await go_on.wait()
        while (event := await receive())["type"] == "websocket.receive":
            received.put(len(event["bytes"]))

    with AsgiServer(app) as server:
        client = shake(server)
        piece = frames.binary(bytes(60_000))
        client.socket.setblocking(False)
        whole, sent = 0, 0
        while select([], [client.socket], [], 0)[1]:
            with suppress(BlockingIOError):
                while True:
                    sent += client.socket.send(memoryview(piece)[sent:])
                    if sent == len(piece):
                        whole, sent = whole + 1, 0
            # More than the kernel holds: whatever the server is willing to read is read now.
            server.do(server.take_turns)
            assert whole < 1_000, "the server reads without end"
        client.socket.settimeout(PATIENCE_S)
        server.do(go_on.set)
        client.send(piece[sent:] + frames.close(1000))
        assert [received.get() for _ in range(whole + 1)] == [60_000] * (whole + 1)


def test_send_waits_for_a_client_that_does_not_read() -> None:
    sent: Mail[int] = Mail()
    stalled = asyncio.Event()

    async def app(scope: Message, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        for number in range(200):
            sending = asyncio.ensure_future(send({"type": "websocket.send", "bytes": bytes(100_000)}))
            await asyncio.sleep(0)
            if not sending.done():
                stalled.set()
            await sending
            sent.put(number)
        assert stalled.is_set()

    with AsgiServer(app, policy={"output_high_bytes": 100_000, "output_low_bytes": 10_000}) as server:
        client = shake(server)
        asyncio.run_coroutine_threadsafe(stalled.wait(), server.loop).result(PATIENCE_S)
        reader = frames.Reader()
        sizes: list[int] = []
        while len(sizes) < 200:
            data, client.received = client.received or client.socket.recv(1 << 20), b""
            assert data
            sizes += [len(payload) for kind, payload in reader.feed(data) if kind == "BINARY"]
        assert sizes == [100_000] * 200
        assert [sent.get() for _ in range(200)] == list(range(200))


def test_pings_are_answered_and_sent() -> None:
    with AsgiServer(Echo(), websocket={"ping_interval": 0.001}) as server:
        client = shake(server)
        assert read_frames(client, 1) == [("PING", b"drawbar")]
    with AsgiServer(Echo()) as server:
        client = shake(server)
        client.send(frames.frame(Opcode.PING, b"are you there?"))
        assert read_frames(client, 1) == [("PONG", b"are you there?")]


def test_client_without_pongs_is_closed() -> None:
    app = Echo()
    with AsgiServer(app, websocket={"ping_interval": 0.001, "ping_timeout": 0.001}) as server:
        client = shake(server)
        received = frames.Reader().feed(client.read_to_end())
        assert received[0] == ("PING", b"drawbar")
        assert received[-1] == frames.closed(1011, "no pong in time")
        app.events.get()
        assert app.events.get()["code"] == 1011
