"""HTTP for an ASGI application, over real connections: the scope, the rules of receive and send, and every ending."""

import asyncio
import gc
import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import h11
import pytest

from drawbar.exchange.errors import AppError, ClientDisconnected
from drawbar.exchange.forwarded import Proxies
from tests.support.asgi import AsgiServer, Mail
from tests.support.raw import Response

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
START: Message = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
DISCONNECT: Message = {"type": "http.disconnect"}


def body(data: bytes = b"", more: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


def saying(*messages: Message) -> App:
    """An application that sends just these."""

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return app


def waiting_futures() -> int:
    """Futures that something holds."""
    gc.collect()
    return sum(type(thing) is asyncio.Future for thing in gc.get_objects())


def ask(app: App, request: bytes = GET, **options: Any) -> Response:
    with AsgiServer(app, **options) as server:
        return server.connect().request(request)


# -- scope


def scope_of(request: bytes, **options: Any) -> Message:
    scopes: Mail[Message] = Mail()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        scopes.put(scope)
        await send(START)
        await send(body())

    with AsgiServer(app, **options) as server:
        client = server.connect()
        client.request(request)
        scope = scopes.get()
        assert scope.pop("client") == client.socket.getsockname()
        assert scope.pop("server") == ("127.0.0.1", server.port)
    return scope


def test_scope_whole() -> None:
    request = b"PUT /a%20b/%C3%A4?q=%20&r HTTP/1.1\r\nHost: a.example\r\nX-Two: 1\r\nx-TWO:  2 \r\n\r\n"
    assert scope_of(request, state={"db": 1}) == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "PUT",
        "scheme": "http",
        "path": "/a b/ä",
        "raw_path": b"/a%20b/%C3%A4",
        "query_string": b"q=%20&r",
        "root_path": "",
        "headers": [(b"host", b"a.example"), (b"x-two", b"1"), (b"x-two", b"2")],
        "extensions": {"http.response.trailers": {}, "http.response.pathsend": {}, "http.response.early_hint": {}},
        "state": {"db": 1},
    }


def test_scope_of_an_http_10_request_and_an_unknown_method() -> None:
    scope = scope_of(b"BREW /pot HTTP/1.0\r\n\r\n")
    assert (scope["http_version"], scope["method"], scope["headers"]) == ("1.0", "BREW", [])
    assert "state" not in scope


@pytest.mark.parametrize(
    ("target", "path", "raw_path", "query"),
    [
        (b"/", "/", b"/", b""),
        (b"/?", "/", b"/", b""),
        (b"//a//b", "//a//b", b"//a//b", b""),
        (b"/a/../b", "/a/../b", b"/a/../b", b""),
        (b"/%2F", "//", b"/%2F", b""),
        (b"/%ff", "/\ufffd", b"/%ff", b""),
        (b"http://a/p?q", "/p", b"/p", b"q"),
        (b"http://a", "/", b"", b""),
    ],
)
def test_paths(target: bytes, path: str, raw_path: bytes, query: bytes) -> None:
    scope = scope_of(b"GET " + target + b" HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == (path, raw_path, query)


def test_an_absolute_target_says_which_host() -> None:
    scope = scope_of(b"GET http://a.example:81/p HTTP/1.1\r\nHost: b.example\r\n\r\n")
    assert scope["headers"] == [(b"host", b"a.example:81")]


def test_path_includes_the_root_path_once() -> None:
    assert scope_of(GET, root_path="/api")["path"] == "/api/"
    scope = scope_of(b"GET /api/x HTTP/1.1\r\nHost: a\r\n\r\n", root_path="/api")
    assert (scope["root_path"], scope["path"]) == ("/api", "/api/x")


def test_what_strangers_say_of_themselves_is_left_out() -> None:
    fields = b"X-Forwarded-For: 1.1.1.1\r\nForwarded: for=1.1.1.1\r\nX_Forwarded_Proto: https\r\nProxy: evil\r\n"
    fields += b"X-Forwarded-Scheme: https\r\nX-Forwarded-Ssl: on\r\n"
    scope = scope_of(b"GET / HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n")
    assert scope["headers"] == [(b"host", b"a")]
    assert scope["scheme"] == "http"


@pytest.mark.parametrize(("said", "port"), [(b"", 443), (b"X-Forwarded-Port: 8443\r\n", 8443)])
def test_the_port_of_https_is_the_proxys_or_the_default(said: bytes, port: int) -> None:
    scopes: Mail[Message] = Mail()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        scopes.put(scope)
        await send(START)
        await send(body())

    trusted = Proxies(lambda address: True, ["x-forwarded-proto", "x-forwarded-port"])
    request = b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Proto: https\r\n" + said + b"\r\n"
    ask(app, request, policy={"proxies": trusted})
    assert scopes.get()["server"] == ("127.0.0.1", port)


def test_state_is_a_copy_for_each_request() -> None:
    state: dict[str, object] = {"n": 0}

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        scope["state"]["n"] += 1
        await send(START)
        await send(body(str(scope["state"]["n"]).encode()))

    with AsgiServer(app, state=state) as server:
        client = server.connect()
        assert [client.request(GET).body for _ in range(2)] == [b"1", b"1"]
    assert state == {"n": 0}


# -- receive


def test_no_body_is_one_empty_request_then_disconnect_after_the_response() -> None:
    events: Mail[Message] = Mail()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        events.put(await receive())
        await send(START)
        await send(body(b"x"))
        events.put(await receive())
        events.put(await receive())

    assert ask(app).body == b"x"
    assert events.get() == {"type": "http.request", "body": b"", "more_body": False}
    assert events.get() == DISCONNECT
    assert events.get() == DISCONNECT


async def echo(scope: Message, receive: Receive, send: Send) -> None:
    whole, more = b"", True
    while more:
        event = await receive()
        assert event["type"] == "http.request"
        whole += event["body"]
        more = event["more_body"]
    await send(START)
    await send(body(whole))


@pytest.mark.parametrize("size", [1, 65_536, 300_000])
def test_body_comes_whole_by_length_and_in_chunks(size: int) -> None:
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    plain = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s" % (size, data)
    chunked = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (size, data)
    with AsgiServer(echo) as server:
        client = server.connect()
        assert client.request(plain).body == data
        assert client.request(chunked).body == data


def test_body_is_delivered_as_it_comes() -> None:
    events: Mail[Message] = Mail()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        while (event := await receive())["more_body"]:
            events.put(event)
        await send(START)
        await send(body(event["body"]))

    with AsgiServer(app) as server:
        client = server.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\n")
        for piece in (b"ab", b"cd"):
            client.send(piece)
            assert events.get() == {"type": "http.request", "body": piece, "more_body": True}
        client.send(b"ef")
        assert client.response().body == b"ef"


def test_reading_stops_while_the_app_does_not_receive() -> None:
    called, go_on = Mail[bool](), asyncio.Event()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        called.put(True)
        await go_on.wait()
        await echo(scope, receive, send)

    size = 20_000_000
    with AsgiServer(app) as server:
        client = server.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size)
        assert called.get()
        client.socket.setblocking(False)
        sent, piece = 0, bytes(65_536)
        while sent < size:
            try:
                sent += client.socket.send(piece[: size - sent])
            except BlockingIOError:
                # More than the kernel holds: whatever the server is willing to read is read now.
                server.do(server.take_turns)
                try:
                    sent += client.socket.send(piece[: size - sent])
                except BlockingIOError:
                    break
        assert sent < size
        client.socket.settimeout(60)
        server.do(go_on.set)
        client.send(bytes(size - sent))
        assert len(client.response().body) == size


def test_100_continue_comes_with_the_first_receive() -> None:
    called, go_on = Mail[bool](), asyncio.Event()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        called.put(True)
        await go_on.wait()
        await echo(scope, receive, send)

    with AsgiServer(app) as server:
        client = server.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert called.get()
        client.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.socket.recv(1)
        client.socket.settimeout(60)
        server.do(go_on.set)
        assert client.read_until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(b"hi")
        assert client.response("POST").body == b"hi"
        assert client.request(GET).status == 200


def test_no_100_when_the_app_answers_without_receiving() -> None:
    request = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"
    response = ask(saying(START, body(b"no need")), request)
    assert response.informational == []
    assert response.header("Connection") == "close"


def test_receive_makes_a_task() -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        first = receive()
        assert inspect.isawaitable(first)
        task: asyncio.Task[Message] = asyncio.create_task(first)  # type: ignore[arg-type]
        assert (await task)["type"] == "http.request"
        second: asyncio.Task[Message] = asyncio.create_task(receive())  # type: ignore[arg-type]
        await asyncio.gather(asyncio.create_task(send(START)))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        assert not second.done()
        await asyncio.wait_for(asyncio.ensure_future(send(body(b"done"))), 60)
        assert await second == DISCONNECT

    assert ask(app).body == b"done"


def test_cancelled_receives_leave_nothing_behind() -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        before = waiting_futures()
        for _ in range(100):
            looking = asyncio.ensure_future(receive())
            await asyncio.sleep(0)
            looking.cancel()
            await asyncio.wait([looking])
        del looking
        await send(START)
        await send(body(b"%d" % (waiting_futures() - before)))

    assert int(ask(app).body) < 10


def test_current_task_is_real() -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        task = asyncio.current_task()
        assert isinstance(task, asyncio.Task)
        async with asyncio.timeout(60):
            await send(START)
        await send(body(b"ok"))

    assert ask(app).body == b"ok"


# -- disconnect, when it is true and only then


def test_receive_waits_while_the_client_is_there() -> None:
    waiting, finish = Mail[bool](), asyncio.Event()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        listening = asyncio.ensure_future(receive())
        await asyncio.sleep(0)
        waiting.put(listening.done())
        await finish.wait()
        waiting.put(listening.done())
        await send(START)
        await send(body(b"x"))
        assert await listening == DISCONNECT

    with AsgiServer(app) as server:
        client = server.connect()
        client.send(GET)
        assert not waiting.get()
        client.send(GET)  # a pipelined request is no sign of leaving
        server.do(server.reactor.drain_ready)
        server.do(finish.set)
        assert not waiting.get()
        assert [client.response().body for _ in range(2)] == [b"x", b"x"]


@pytest.mark.parametrize("reset", [False, True])
def test_client_that_leaves_is_told_and_send_raises(reset: bool) -> None:
    called: Mail[bool] = Mail()
    outcome: Mail[object] = Mail()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        called.put(True)
        outcome.put(await receive())
        try:
            await send(START)
            while True:
                await send(body(bytes(65_536), True))
        except OSError as error:
            outcome.put(type(error))
            raise

    with AsgiServer(app) as server:
        client = server.connect()
        client.send(GET)
        assert called.get()
        if reset:
            client.reset()
        else:
            client.close()
        assert outcome.get() == DISCONNECT
        assert outcome.get() is ClientDisconnected
        assert server.completed.get()[1] is False


def test_client_that_shuts_only_its_side_gets_its_response() -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        assert await receive() == DISCONNECT
        await send(START)
        await send(body(b"still for you"))

    with AsgiServer(app) as server:
        client = server.connect()
        client.send(GET)
        client.end()
        assert client.response().body == b"still for you"
        assert client.read_to_end() == b""


def test_body_that_ends_early_is_a_disconnect() -> None:
    events: Mail[Message] = Mail()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        events.put(await receive())
        events.put(await receive())

    with AsgiServer(app) as server:
        client = server.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        assert events.get() == {"type": "http.request", "body": b"abc", "more_body": True}
        client.end()
        assert events.get() == DISCONNECT
        assert client.response("POST").status == 400


def test_app_that_stops_because_the_client_left_has_done_nothing_wrong() -> None:
    called: Mail[bool] = Mail()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        if scope["path"] == "/begun":
            await send(START)
            await send(body(b"x", True))
        await receive()
        called.put(True)
        assert await receive() == DISCONNECT

    with AsgiServer(app) as server:
        for path in (b"/none", b"/begun"):
            client = server.connect()
            client.send(b"GET " + path + b" HTTP/1.1\r\nHost: a\r\n\r\n")
            assert called.get()
            client.end()
            assert server.completed.get()[1] is False


CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n12345678\r\n"


@pytest.mark.parametrize(("rest", "status"), [(b"8\r\n12345678\r\n0\r\n\r\n", 413), (b"no size\r\n", 400)])
def test_body_that_cannot_be_had_is_answered_whatever_the_app_does(rest: bytes, status: int) -> None:
    events: Mail[str] = Mail()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        while (event := await receive())["type"] == "http.request":
            events.put(event["type"])
        events.put(event["type"])

    with AsgiServer(app, policy={"body_bytes": 10}) as server:
        client = server.connect()
        client.send(CHUNKED)
        assert events.get() == "http.request"
        client.send(rest)
        assert client.response("POST").status == status
        assert events.get() == "http.disconnect"
        together = server.connect()
        together.send(CHUNKED + rest)
        assert together.response("POST").status == status
        assert events.is_empty()
        assert [server.completed.get() for _ in range(2)] == [(status, True)] * 2


# -- send


def test_framing_follows_from_what_is_known() -> None:
    whole = ask(saying(START, body(b"abc")))
    assert (whole.header("Content-Length"), whole.header("Transfer-Encoding")) == ("3", None)
    parts = ask(saying(START, body(b"ab", True), body(b"", True), body(b"c", True), body()))
    assert (parts.body, parts.header("Transfer-Encoding")) == (b"abc", "chunked")
    declared = {**START, "headers": [(b"content-length", b"3")]}
    known = ask(saying(declared, body(b"ab", True), body(b"c")))
    assert (known.body, known.header("Content-Length"), known.header("Transfer-Encoding")) == (b"abc", "3", None)
    old = ask(saying(START, body(b"ab", True), body(b"c")), b"GET / HTTP/1.0\r\n\r\n")
    assert (old.body, old.header("Transfer-Encoding")) == (b"abc", None)


def test_defaults_of_messages() -> None:
    response = ask(saying({"type": "http.response.start", "status": 202}, {"type": "http.response.body"}))
    assert (response.status, response.body) == (202, b"")


def test_header_fields_as_the_app_wrote_them() -> None:
    fields = [(b"set-cookie", b"a=1"), (b"Set-Cookie", b"b=2"), (bytearray(b"x-latin"), b"\xe9")]
    response = ask(saying({**START, "headers": fields}, body()))
    assert [pair for pair in response.headers if pair[0] in ("set-cookie", "x-latin")] == [
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
        ("x-latin", "é"),
    ]


@pytest.mark.parametrize("data", [b"abc", bytearray(b"abc"), memoryview(b"abc")])
def test_kinds_of_bytes(data: Any) -> None:
    assert ask(saying(START, body(data))).body == b"abc"


def test_head_and_statuses_without_body() -> None:
    head = ask(saying(START, body(b"abc")), b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (head.body, head.header("Content-Length")) == (b"", "3")
    for status in (204, 304):
        response = ask(saying({"type": "http.response.start", "status": status}, body()))
        assert (response.status, response.body) == (status, b"")


def test_head_does_not_keep_a_stream_from_the_next_request() -> None:
    with AsgiServer(saying(START, body(b"ab", True), body(b"c"))) as server:
        client = server.connect()
        client.send(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n" + GET)
        assert client.response("HEAD").body == b""
        assert client.response().body == b"abc"


def test_head_of_a_stream_goes_out_before_its_body() -> None:
    go_on = asyncio.Event()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(START)
        await send(body(b"", True))
        await go_on.wait()
        await send(body(b"late"))

    with AsgiServer(app) as server:
        client = server.connect()
        client.send(GET)
        head = client.read_until(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 ")
        server.do(go_on.set)
        assert client.read_until(b"0\r\n\r\n") == b"4\r\nlate\r\n0\r\n\r\n"


def test_send_waits_for_a_client_that_does_not_read() -> None:
    stalled = asyncio.Event()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(START)
        for _ in range(200):
            sending = asyncio.ensure_future(send(body(bytes(100_000), True)))
            await asyncio.sleep(0)
            if not sending.done():
                stalled.set()
            await sending
        await send(body())

    with AsgiServer(app, policy={"output_high_bytes": 100_000, "output_low_bytes": 10_000}) as server:
        client = server.connect()
        client.send(GET)
        asyncio.run_coroutine_threadsafe(stalled.wait(), server.loop).result(60)
        assert len(client.response().body) == 20_000_000


def test_send_of_a_stalled_client_raises_when_it_leaves() -> None:
    stalled = asyncio.Event()
    outcome: Mail[object] = Mail()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(START)
        try:
            while True:
                sending = asyncio.ensure_future(send(body(bytes(100_000), True)))
                await asyncio.sleep(0)
                if not sending.done():
                    stalled.set()
                await sending
        except OSError as error:
            outcome.put(type(error))
            raise

    with AsgiServer(app) as server:
        client = server.connect()
        client.send(GET)
        asyncio.run_coroutine_threadsafe(stalled.wait(), server.loop).result(60)
        client.reset()
        assert outcome.get() is ClientDisconnected


def test_pipelined_requests_are_answered_in_order() -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        for _ in range(int(scope["query_string"])):
            await asyncio.sleep(0)
        await send(START)
        await send(body(scope["path"].encode()))

    requests = [b"GET /%d?%d HTTP/1.1\r\nHost: a\r\n\r\n" % (number, 40 - number) for number in range(40)]
    with AsgiServer(app) as server:
        client = server.connect()
        client.send(b"".join(requests))
        assert [client.response().body for _ in requests] == [b"/%d" % number for number in range(40)]


# -- extensions


def test_early_hints_go_ahead() -> None:
    hint = {"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload", b"</b.js>; rel=preload"]}
    app = saying(hint, START, body(b"x"))
    (early,) = ask(app).informational
    assert early == (103, [("link", "</a.css>; rel=preload"), ("link", "</b.js>; rel=preload")])
    assert ask(app, b"GET / HTTP/1.0\r\n\r\n").informational == []


TRAILERS = {"type": "http.response.trailers", "headers": [(b"x-sum", b"42")]}


@pytest.mark.parametrize("more", [False, True])
def test_trailers_for_clients_that_take_them(more: bool) -> None:
    messages = [{**START, "trailers": True}, body(b"abc", more)] + ([body(b"def")] if more else [])
    first = {**TRAILERS, "headers": [(b"x-a", b"1")], "more_trailers": True}
    app = saying(*messages, first, TRAILERS)
    willing = ask(app, b"GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n")
    assert willing.body == (b"abcdef" if more else b"abc")
    assert willing.trailers == [("x-a", "1"), ("x-sum", "42")]
    assert ask(app).trailers == []


def test_trailers_cannot_frame() -> None:
    app = saying({**START, "trailers": True}, body(b"abc"), {**TRAILERS, "headers": [(b"content-length", b"5")]})
    with AsgiServer(app) as server:
        client = server.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n\r\n")
        assert b"content-length" not in client.read_to_end().lower()
        assert "content-length" in str(server.errors.get())


def test_pathsend(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"0123456789" * 50_000)
    app = saying(START, {"type": "http.response.pathsend", "path": str(file)})
    response = ask(app)
    assert (response.body, response.header("Content-Length")) == (file.read_bytes(), "500000")
    head = ask(app, b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (head.body, head.header("Content-Length")) == (b"", "500000")
    file.write_bytes(b"")
    assert ask(app).body == b""


@pytest.mark.parametrize("name", ["missing", "."])
def test_pathsend_of_no_file(tmp_path: Path, name: str) -> None:
    with AsgiServer(saying(START, {"type": "http.response.pathsend", "path": str(tmp_path / name)})) as server:
        assert server.connect().request(GET).status == 500
        assert isinstance(server.errors.get(), FileNotFoundError if name == "missing" else AppError)


# -- mistakes


@pytest.mark.parametrize(
    ("messages", "names"),
    [
        ([body(b"x")], "http.response.body before http.response.start"),
        ([{"type": "http.response.pathsend", "path": "/dev/null"}], "pathsend before http.response.start"),
        ([START, START], "the response has begun already"),
        ([{"type": "websocket.accept"}], "may not send 'websocket.accept'"),
        ([{}], "may not send None"),
        ([{**START, "status": "200"}], "status must be an int from 200 to 999, not '200'"),
        ([{**START, "status": 101}], "status must be an int from 200 to 999, not 101"),
        ([{**START, "headers": [("a", "b")]}], "header name and value must be bytes, not str and str"),
        ([{**START, "headers": [(b"a", b"b\r\nc: d")]}], ""),
        ([{**START, "headers": [(b"a b", b"c")]}], ""),
        ([{**START, "headers": [(b"content-length", b"-1")]}], "must be a decimal number, not '-1'"),
        ([{**START, "headers": [(b"content-length", b"1"), (b"content-length", b"2")]}], "two different"),
        ([{**START, "headers": [(b"transfer-encoding", b"gzip")]}], "is the server's to set"),
        ([START, body("text")], "body must be bytes, not str"),  # type: ignore[arg-type]
        ([{**START, "status": 204}, body(b"x")], "status 204 has no body"),
        ([{**START, "headers": [(b"content-length", b"2")]}, body(b"abc")], "longer than its Content-Length"),
        ([{**START, "headers": [(b"content-length", b"4")]}, body(b"abc")], "shorter than its Content-Length"),
        ([START, TRAILERS], "needs trailers=True"),
        ([], "without sending a response"),
        ([START], "before the end of its response"),
        ([{**START, "trailers": True}], "before the end of its response"),
    ],
)
def test_mistakes_before_a_byte_is_out_are_500_and_named(messages: list[Message], names: str) -> None:
    with AsgiServer(saying(*messages)) as server:
        client = server.connect()
        for _ in range(2):  # keep-alive survives
            response = client.request(GET)
            assert (response.status, response.body) == (500, b"Internal Server Error\n")
            error = server.errors.get()
            assert isinstance(error, AppError)
            assert names in str(error)


@pytest.mark.parametrize(
    ("messages", "names"),
    [
        ([START, body(b"abc", True)], "before the end of its response"),
        ([{**START, "headers": [(b"content-length", b"4")]}, body(b"abc", True)], "before the end of its response"),
        ([{**START, "headers": [(b"content-length", b"4")]}, body(b"abc", True), body()], "shorter than"),
        ([{**START, "headers": [(b"content-length", b"4")]}, body(b"abc", True), body(b"de")], "longer than"),
        ([START, body(b"abc", True), START], "has begun already"),
        ([START, body(b"abc", True), body(1)], "must be bytes"),  # type: ignore[arg-type]
    ],
)
def test_mistakes_in_mid_response_break_it_off(messages: list[Message], names: str) -> None:
    with AsgiServer(saying(*messages)) as server:
        client = server.connect()
        client.send(GET)
        with pytest.raises((EOFError, ConnectionResetError, h11.RemoteProtocolError)):
            client.response()
        assert names in str(server.errors.get())
        assert server.completed.get()[1] is False


def test_exception_before_the_start_is_500_and_reported() -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        raise ValueError("broken")

    with AsgiServer(app) as server:
        client = server.connect()
        for _ in range(2):
            assert client.request(GET).status == 500
            assert str(server.errors.get()) == "broken"


def test_exception_after_start_but_before_a_byte_is_500() -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send({**START, "headers": [(b"x-secret", b"1")]})
        raise ValueError("broken")

    with AsgiServer(app) as server:
        response = server.connect().request(GET)
        assert (response.status, response.header("x-secret")) == (500, None)
        assert str(server.errors.get()) == "broken"


def test_exception_in_mid_response_breaks_it_off() -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(START)
        await send(body(b"abc", True))
        raise ValueError("broken")

    with AsgiServer(app) as server:
        client = server.connect()
        client.send(GET)
        assert client.read_until(b"abc\r\n")
        assert b"0\r\n" not in client.read_to_end()
        assert str(server.errors.get()) == "broken"
        assert server.completed.get() == (200, False)


def test_exception_after_the_response_is_reported_and_harmless() -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(START)
        await send(body(b"x"))
        raise ValueError("in the background")

    with AsgiServer(app) as server:
        client = server.connect()
        for _ in range(2):
            assert client.request(GET).body == b"x"
            assert str(server.errors.get()) == "in the background"


def test_sending_after_the_end_is_a_mistake() -> None:
    with AsgiServer(saying(START, body(b"x"), body(b"y"))) as server:
        assert server.connect().request(GET).body == b"x"
        assert "the response is complete" in str(server.errors.get())


def test_app_may_answer_after_its_own_mistake() -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        try:
            await send({**START, "headers": [(b"a", b"b\nc")]})
        except AppError:
            await send({**START, "status": 503})
        await send(body(b"sorry"))

    response = ask(app)
    assert (response.status, response.body) == (503, b"sorry")


def test_work_after_the_response_does_not_hold_the_connection() -> None:
    hold = asyncio.Event()

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await send(START)
        await send(body(scope["path"].encode()))
        if scope["path"] == "/first":
            await hold.wait()

    with AsgiServer(app) as server:
        client = server.connect()
        assert client.request(b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n").body == b"/first"
        assert client.request(b"GET /second HTTP/1.1\r\nHost: a\r\n\r\n").body == b"/second"
        assert server.do(lambda: len(server.executor.running)) == 1
        server.do(hold.set)


def test_error_page_takes_the_place_of_the_plain_one() -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        raise ValueError("broken")

    with AsgiServer(app, error_page=lambda error, exchange: f"<p>{error} {exchange.target}".encode()) as server:
        response = server.connect().request(b"GET /here HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (response.status, response.body) == (500, b"<p>broken /here")
        assert server.errors.get()
