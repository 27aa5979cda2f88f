"""WebSockets as an application meets them, over a connection without a socket and a clock that never waits."""

import asyncio
import gc
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from websockets.frames import Opcode

from drawbar.exchange.errors import AppError, ClientDisconnected
from drawbar.gateways.websocket import CLOSE_SECONDS, WAITING_BYTES, WAITING_MESSAGES, WebSocketGateway
from tests.support import frames
from tests.support.frames import closed
from tests.support.upgrades import HIGH_BYTES, FakeUpgrade, run

Message = dict[str, Any]
OPTIONS: dict[str, Any] = {"max_message_bytes": 1_000, "ping_interval": 0, "ping_timeout": 7, "compression": False}
DISCONNECT = "websocket.disconnect"


def scope_of(fields: list[tuple[str, str]] | None = None) -> Message:
    pairs = frames.FIELDS if fields is None else fields
    headers = [(name.lower().encode(), value.encode()) for name, value in pairs]
    return {"type": "websocket", "raw_path": b"/", "query_string": b"", "headers": headers}


class Session:
    """One WebSocket: the application's `receive` and `send`, the client through `upgrade`, and the task between."""

    def __init__(self, fields: list[tuple[str, str]] | None, options: Message) -> None:
        self.upgrade = FakeUpgrade()
        self.reader = frames.Reader()
        self.scope = scope_of(fields)
        loop = asyncio.get_running_loop()
        self.gateway = WebSocketGateway(loop, **{**OPTIONS, **options})
        self.called = False
        self._ready = asyncio.Event()
        self._outcome: asyncio.Future[None] = loop.create_future()
        self.task = loop.create_task(self.gateway.run(self._app, self.scope, self.upgrade))

    async def _app(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        self.called = True
        self.receive, self.send = receive, send
        self._ready.set()
        await self._outcome

    async def start(self) -> None:
        """Returns when the application is called, or the request refused."""
        ready = asyncio.ensure_future(self._ready.wait())
        await asyncio.wait([ready, self.task], return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()

    async def accept(self, **message: Any) -> bytes:
        """Opens the WebSocket; the head of the response."""
        assert await self.receive() == {"type": "websocket.connect"}
        await self.send({"type": "websocket.accept", **message})
        return self.upgrade.client_reads()

    async def returns(self) -> None:
        """The application returns; comes back when the call is over."""
        self._outcome.set_result(None)
        await self.task

    async def raises(self, error: Exception) -> None:
        self._outcome.set_exception(error)
        await self.task

    def sent(self) -> list[tuple[str, bytes]]:
        """The frames the client got since the last time."""
        return self.reader.feed(self.upgrade.client_reads())


def session(
    test: Callable[[Session], Awaitable[None]],
    *,
    opened: bool = True,
    fields: list[tuple[str, str]] | None = None,
    **options: Any,
) -> None:
    """Runs `test` with a session, open already unless told otherwise; what is left of it is cancelled."""

    async def main() -> None:
        one = Session(fields, options)
        await one.start()
        if opened:
            await one.accept()
        await test(one)
        one.task.cancel()
        await asyncio.wait([one.task])
        assert one.upgrade.over.is_set()

    run(main())


# -- handshake


def test_accept_answers_101_with_the_key_of_the_rfc() -> None:
    async def test(one: Session) -> None:
        head = (await one.accept(headers=[(b"x-one", b"1"), (b"x-one", b"2")])).decode()
        assert head.startswith("HTTP/1.1 101 Switching Protocols\r\n")
        assert "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in head
        assert "x-one: 1\r\nx-one: 2\r\n" in head
        assert "Sec-WebSocket-Protocol" not in head
        assert one.upgrade.raw

    session(test, opened=False)


def test_scope_lists_the_subprotocols_and_accept_picks_one() -> None:
    async def test(one: Session) -> None:
        assert one.scope["subprotocols"] == ["soap", "wamp", "chat"]
        assert b"Sec-WebSocket-Protocol: wamp\r\n" in await one.accept(subprotocol="wamp")

    fields = [*frames.FIELDS, ("Sec-WebSocket-Protocol", "soap, wamp"), ("Sec-WebSocket-Protocol", "chat")]
    session(test, opened=False, fields=fields)


def test_frames_sent_before_the_101_are_answered_after_it() -> None:
    async def test(one: Session) -> None:
        one.upgrade.client_sends(frames.frame(Opcode.PING, b"early") + frames.text("hi"))
        head, _, rest = (await one.accept()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        assert one.reader.feed(rest) == [("PONG", b"early")]
        assert await one.receive() == {"type": "websocket.receive", "text": "hi"}

    session(test, opened=False)


def test_a_bad_handshake_is_answered_and_the_app_not_called() -> None:
    async def test(one: Session) -> None:
        await one.task
        assert not one.called
        assert one.upgrade.status == 400
        assert b"Sec-WebSocket-Key" in one.upgrade.body
        assert one.upgrade.reported == []

    session(test, opened=False, fields=[pair for pair in frames.FIELDS if pair[0] != "Sec-WebSocket-Key"])


def test_close_before_accept_is_403() -> None:
    async def test(one: Session) -> None:
        await one.send({"type": "websocket.close", "code": 4001})
        assert (one.upgrade.status, one.upgrade.done) == (403, True)
        assert await one.receive() == {"type": "websocket.connect"}
        assert await one.receive() == {"type": DISCONNECT, "code": 1006, "reason": ""}
        with pytest.raises(ClientDisconnected):
            await one.send({"type": "websocket.accept"})
        await one.returns()
        assert one.upgrade.reported == []

    session(test, opened=False)


def test_denial_response_is_streamed() -> None:
    async def test(one: Session) -> None:
        await one.send({"type": "websocket.http.response.start", "status": 401, "headers": [(b"x-why", b"no")]})
        assert not one.upgrade.sent_head
        await one.send({"type": "websocket.http.response.body", "body": b"go ", "more_body": True})
        await one.send({"type": "websocket.http.response.body", "body": b"away"})
        upgrade = one.upgrade
        assert (upgrade.status, upgrade.headers, bytes(upgrade.body)) == (401, [(b"x-why", b"no")], b"go away")
        await one.returns()
        assert (upgrade.done, upgrade.aborted, upgrade.reported) == (True, False, [])

    session(test, opened=False)


def test_denial_goes_on_for_a_client_that_only_shut_its_side() -> None:
    async def test(one: Session) -> None:
        await one.send({"type": "websocket.http.response.start", "status": 401})
        one.upgrade.client_ends()
        await one.send({"type": "websocket.http.response.body", "body": b"away"})
        assert (bytes(one.upgrade.body), one.upgrade.done, one.upgrade.aborted) == (b"away", True, False)

    session(test, opened=False)


@pytest.mark.parametrize("body_begun", [False, True])
def test_denial_that_is_not_finished_is_500_or_broken_off(body_begun: bool) -> None:
    async def test(one: Session) -> None:
        await one.send({"type": "websocket.http.response.start", "status": 401})
        if body_begun:
            await one.send({"type": "websocket.http.response.body", "body": b"x", "more_body": True})
        await one.returns()
        assert isinstance(one.upgrade.reported[0], AppError)
        assert (one.upgrade.status, one.upgrade.aborted) == ((401, True) if body_begun else (500, False))

    session(test, opened=False)


@pytest.mark.parametrize("error", [None, ValueError("broken")])
def test_app_that_ends_before_accept_is_500_and_reported(error: Exception | None) -> None:
    async def test(one: Session) -> None:
        await (one.returns() if error is None else one.raises(error))
        assert (one.upgrade.status, one.upgrade.done) == (500, True)
        (reported,) = one.upgrade.reported
        assert reported is error if error else isinstance(reported, AppError)

    session(test, opened=False)


@pytest.mark.parametrize("ends", [FakeUpgrade.client_ends, FakeUpgrade.client_breaks])
def test_client_that_leaves_before_accept(ends: Callable[[FakeUpgrade], None]) -> None:
    async def test(one: Session) -> None:
        ends(one.upgrade)
        assert await one.receive() == {"type": "websocket.connect"}
        assert await one.receive() == {"type": DISCONNECT, "code": 1006, "reason": ""}
        with pytest.raises(ClientDisconnected) as caught:
            await one.send({"type": "websocket.accept"})
        await one.raises(caught.value)
        assert one.upgrade.aborted
        assert one.upgrade.reported == []

    session(test, opened=False)


@pytest.mark.parametrize(
    ("message", "names"),
    [
        ({"type": "websocket.send", "text": "x"}, "may not send 'websocket.send' now; it may send websocket.accept"),
        ({"type": "http.response.start"}, "may not send 'http.response.start'"),
        ({"type": "websocket.http.response.body"}, "may not send"),
        ({"type": "websocket.accept", "subprotocol": "chat"}, "'chat' is not one the client offers"),
        ({"type": "websocket.http.response.start", "status": 101}, "from 200 to 999"),
        ({}, "may not send None"),
    ],
)
def test_wrong_message_before_accept_names_the_mistake(message: Message, names: str) -> None:
    async def test(one: Session) -> None:
        with pytest.raises(AppError, match=names):
            await one.send(message)
        assert await one.accept()

    session(test, opened=False)


# -- messages


def test_text_and_bytes_both_ways() -> None:
    async def test(one: Session) -> None:
        one.upgrade.client_sends(frames.text("grüße") + frames.binary(b"\x00\xff") + frames.text(""))
        assert await one.receive() == {"type": "websocket.receive", "text": "grüße"}
        assert await one.receive() == {"type": "websocket.receive", "bytes": b"\x00\xff"}
        assert await one.receive() == {"type": "websocket.receive", "text": ""}
        await one.send({"type": "websocket.send", "text": "grüße", "bytes": None})
        await one.send({"type": "websocket.send", "bytes": bytearray(b"\x00\xff")})
        assert one.sent() == [("TEXT", "grüße".encode()), ("BINARY", b"\x00\xff")]

    session(test)


def test_messages_arrive_byte_by_byte() -> None:
    async def test(one: Session) -> None:
        waiting = asyncio.ensure_future(one.receive())
        for byte in frames.text("slowly"):
            assert not waiting.done()
            one.upgrade.client_sends(bytes([byte]))
            await asyncio.sleep(0)
        assert await waiting == {"type": "websocket.receive", "text": "slowly"}

    session(test)


def test_fragments_become_one_message_with_control_frames_between() -> None:
    async def test(one: Session) -> None:
        euro = "€".encode()
        one.upgrade.client_sends(frames.frame(Opcode.TEXT, b"1 " + euro[:1], fin=False))
        one.upgrade.client_sends(frames.frame(Opcode.PING, b"?") + frames.frame(Opcode.CONT, b"", fin=False))
        one.upgrade.client_sends(frames.frame(Opcode.CONT, euro[1:]) + frames.binary(b"next"))
        assert await one.receive() == {"type": "websocket.receive", "text": "1 €"}
        assert await one.receive() == {"type": "websocket.receive", "bytes": b"next"}
        assert one.sent() == [("PONG", b"?")]

    session(test)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frames.binary(b"x" * 1_001), 1009),
        (frames.frame(Opcode.BINARY, b"x" * 600, fin=False) + frames.frame(Opcode.CONT, b"x" * 401), 1009),
        (frames.frame(Opcode.CONT, b"x"), 1002),
        (frames.frame(Opcode.TEXT, b"x", fin=False) + frames.text("y"), 1002),
        (b"\x81\x01x", 1002),  # not masked
        (b"\xc1\x80\x00\x00\x00\x00", 1002),  # a reserved bit without its extension
        (b"\x83\x80\x00\x00\x00\x00", 1002),  # a reserved opcode
        (frames.frame(Opcode.CLOSE, b"\x03"), 1002),
        (frames.frame(Opcode.CLOSE, b"\x03\xed"), 1002),  # 1005 may not be sent
        (frames.frame(Opcode.TEXT, b"\xff"), 1007),
        (frames.frame(Opcode.TEXT, b"\xc3") + frames.close(1000), 1007),  # cut short, though a close follows
        (frames.frame(Opcode.TEXT, b"ab\xff", fin=False), 1007),  # known before the message is whole
        (frames.frame(Opcode.TEXT, b"\xc3", fin=False) + frames.frame(Opcode.CONT, b"x"), 1007),
    ],
)
def test_broken_rules_close_with_their_code(data: bytes, code: int) -> None:
    async def test(one: Session) -> None:
        one.upgrade.client_sends(frames.text("before") + data)
        assert await one.receive() == {"type": "websocket.receive", "text": "before"}
        ending = await one.receive()
        assert (ending["type"], ending["code"]) == (DISCONNECT, code)
        ((kind, payload),) = one.sent()
        assert (kind, int.from_bytes(payload[:2], "big")) == ("CLOSE", code)
        assert one.upgrade.done
        with pytest.raises(ClientDisconnected):
            await one.send({"type": "websocket.send", "text": "x"})

    session(test)


def test_longest_message_is_taken() -> None:
    async def test(one: Session) -> None:
        one.upgrade.client_sends(frames.frame(Opcode.BINARY, b"x" * 600, fin=False))
        one.upgrade.client_sends(frames.frame(Opcode.CONT, b"x" * 400))
        assert len((await one.receive())["bytes"]) == 1_000

    session(test)


def deflated(data: bytes) -> bytes:
    """A compressed message (RFC 7692 section 7.2.1), masked with zeros."""
    packer = zlib.compressobj(wbits=-12)
    payload = (packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]
    assert len(payload) < 126
    return bytes([0xC1, 0x80 | len(payload)]) + bytes(4) + payload


def test_compression_is_agreed_and_counts_against_the_limit_unpacked() -> None:
    async def test(one: Session) -> None:
        assert b"Sec-WebSocket-Extensions: permessage-deflate" in await one.accept()
        one.upgrade.client_sends(deflated(b"a" * 1_000) + deflated(b"a" * 1_001))
        assert await one.receive() == {"type": "websocket.receive", "text": "a" * 1_000}
        assert (await one.receive())["code"] == 1009

    fields = [*frames.FIELDS, ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")]
    session(test, opened=False, fields=fields, compression=True)


def test_invalid_text_is_found_behind_compression() -> None:
    async def test(one: Session) -> None:
        await one.accept()
        one.upgrade.client_sends(deflated(b"\xff"))
        assert (await one.receive())["code"] == 1007

    fields = [*frames.FIELDS, ("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")]
    session(test, opened=False, fields=fields, compression=True)


def test_compression_is_declined_when_off() -> None:
    async def test(one: Session) -> None:
        assert b"Sec-WebSocket-Extensions" not in await one.accept()

    session(test, opened=False, fields=[*frames.FIELDS, ("Sec-WebSocket-Extensions", "permessage-deflate")])


@pytest.mark.parametrize(
    ("message", "names"),
    [
        ({"type": "websocket.send"}, "exactly one of text and bytes"),
        ({"type": "websocket.send", "text": "x", "bytes": b"x"}, "exactly one of text and bytes"),
        ({"type": "websocket.send", "text": b"x"}, "text must be str, not bytes"),
        ({"type": "websocket.send", "bytes": "x"}, "bytes must be bytes, not str"),
        ({"type": "websocket.accept"}, "may not send 'websocket.accept' now; it may send websocket.send"),
        ({"type": "websocket.close", "code": 1005}, "code 1005"),
        ({"type": "websocket.close", "code": 1000, "reason": "x" * 124}, "124 bytes"),
        ({"type": "websocket.close", "code": "1000"}, "code must be an int"),
    ],
)
def test_wrong_message_names_the_mistake_and_changes_nothing(message: Message, names: str) -> None:
    async def test(one: Session) -> None:
        with pytest.raises(AppError, match=names):
            await one.send(message)
        await one.send({"type": "websocket.send", "text": "fine"})
        assert one.sent() == [("TEXT", b"fine")]

    session(test)


# -- flow


def test_reading_stops_while_the_app_does_not_receive() -> None:
    async def test(one: Session) -> None:
        upgrade = one.upgrade
        for _ in range(WAITING_MESSAGES):
            assert upgrade.reading
            upgrade.client_sends(frames.text("x"))
        assert not upgrade.reading
        upgrade.client_sends(frames.text("last"))
        for _ in range(WAITING_MESSAGES // 2):
            assert not upgrade.reading
            await one.receive()
        await one.receive()
        assert upgrade.reading
        rest = [await one.receive() for _ in range(WAITING_MESSAGES // 2)]
        assert rest[-1]["text"] == "last"

    session(test)


def test_reading_stops_at_many_bytes_too() -> None:
    async def test(one: Session) -> None:
        one.upgrade.client_sends(frames.binary(bytes(WAITING_BYTES - 1)))
        assert one.upgrade.reading
        one.upgrade.client_sends(frames.binary(b"x"))
        assert not one.upgrade.reading
        await one.receive()
        assert one.upgrade.reading

    session(test, max_message_bytes=WAITING_BYTES)


def test_reading_stops_while_the_client_does_not_read_its_pongs() -> None:
    async def test(one: Session) -> None:
        one.upgrade.reads_output = False
        ping = frames.frame(Opcode.PING, bytes(100))
        for _ in range(HIGH_BYTES // 102):
            one.upgrade.client_sends(ping)
            assert one.upgrade.reading
        one.upgrade.client_sends(ping)
        assert not one.upgrade.reading
        one.sent()
        assert one.upgrade.reading

    session(test)


def test_send_waits_for_a_slow_client() -> None:
    async def test(one: Session) -> None:
        one.upgrade.reads_output = False
        await one.send({"type": "websocket.send", "bytes": bytes(HIGH_BYTES // 2)})
        sending = asyncio.ensure_future(one.send({"type": "websocket.send", "bytes": bytes(HIGH_BYTES)}))
        await asyncio.sleep(0)
        assert not sending.done()
        assert [kind for kind, _ in one.sent()] == ["BINARY", "BINARY"]
        await sending

    session(test)


def test_send_ends_when_a_slow_client_leaves() -> None:
    async def test(one: Session) -> None:
        one.upgrade.reads_output = False
        sending = asyncio.ensure_future(one.send({"type": "websocket.send", "bytes": bytes(HIGH_BYTES + 1)}))
        await asyncio.sleep(0)
        assert not sending.done()
        one.upgrade.client_breaks()
        await sending

    session(test)


# -- closing


@pytest.mark.parametrize(
    ("data", "code", "reason"),
    [
        (frames.close(1000, "done"), 1000, "done"),
        (frames.close(4321, "grüße"), 4321, "grüße"),
        (frames.close(), 1005, ""),
    ],
)
def test_client_close_is_echoed_and_told(data: bytes, code: int, reason: str) -> None:
    async def test(one: Session) -> None:
        one.upgrade.client_sends(frames.text("before") + data)
        assert (await one.receive())["text"] == "before"
        ending = {"type": DISCONNECT, "code": code, "reason": reason}
        assert await one.receive() == ending
        assert await one.receive() == ending
        assert one.sent() == [("CLOSE", b"") if code == 1005 else closed(code, reason)]
        assert one.upgrade.done
        with pytest.raises(ClientDisconnected, match=r"websocket\.close reaches nobody"):
            await one.send({"type": "websocket.close"})
        await one.returns()
        assert one.upgrade.reported == []

    session(test)


@pytest.mark.parametrize("ends", [FakeUpgrade.client_ends, FakeUpgrade.client_breaks])
def test_loss_is_1006(ends: Callable[[FakeUpgrade], None]) -> None:
    async def test(one: Session) -> None:
        waiting = asyncio.ensure_future(one.receive())
        await asyncio.sleep(0)
        ends(one.upgrade)
        assert await waiting == {"type": DISCONNECT, "code": 1006, "reason": ""}
        with pytest.raises(ClientDisconnected):
            await one.send({"type": "websocket.send", "text": "x"})
        assert one.upgrade.done

    session(test)


def test_cancelled_receives_leave_nothing_behind() -> None:
    def futures() -> int:
        gc.collect()
        return sum(type(thing) is asyncio.Future for thing in gc.get_objects())

    async def test(one: Session) -> None:
        before = futures()
        for _ in range(100):
            looking = asyncio.ensure_future(one.receive())
            await asyncio.sleep(0)
            looking.cancel()
            await asyncio.wait([looking])
        assert futures() < before + 10

    session(test)


def test_every_waiting_receive_hears_of_the_end() -> None:
    async def test(one: Session) -> None:
        waiting = [asyncio.ensure_future(one.receive()) for _ in range(3)]
        await asyncio.sleep(0)
        one.upgrade.client_ends()
        assert [message["code"] for message in await asyncio.gather(*waiting)] == [1006] * 3

    session(test)


def test_app_close_waits_for_the_clients_agreement() -> None:
    async def test(one: Session) -> None:
        await one.send({"type": "websocket.close", "code": 3001, "reason": "enough"})
        assert one.sent() == [closed(3001, "enough")]
        with pytest.raises(ClientDisconnected):
            await one.send({"type": "websocket.send", "text": "x"})
        one.upgrade.client_sends(frames.text("crossed on the way"))
        assert not one.upgrade.done
        one.upgrade.client_sends(frames.close(3001))
        assert one.upgrade.done
        assert await one.receive() == {"type": DISCONNECT, "code": 3001, "reason": ""}

    session(test)


def test_app_close_defaults_to_1000() -> None:
    async def test(one: Session) -> None:
        await one.send({"type": "websocket.close", "reason": None})
        assert one.sent() == [closed(1000)]

    session(test)


def test_close_handshake_reads_on_past_messages_nobody_took() -> None:
    async def test(one: Session) -> None:
        one.upgrade.client_sends(frames.text("x") * WAITING_MESSAGES)
        assert not one.upgrade.reading
        await one.send({"type": "websocket.close"})
        assert one.upgrade.reading
        one.upgrade.client_sends(frames.text("x") * WAITING_MESSAGES + frames.close(1000))
        await one.returns()
        assert one.upgrade.done

    session(test)


def test_client_that_does_not_agree_to_close_is_left() -> None:
    async def test(one: Session) -> None:
        await one.send({"type": "websocket.close"})
        began = one.gateway.loop.time()
        assert (await one.receive())["code"] == 1006
        assert one.gateway.loop.time() - began == pytest.approx(CLOSE_SECONDS)
        assert one.upgrade.done

    session(test)


def test_app_that_returns_closes_with_1000_and_lasts_until_the_client_agrees() -> None:
    async def test(one: Session) -> None:
        returning = asyncio.ensure_future(one.returns())
        while not one.upgrade.output:
            await asyncio.sleep(0)
        assert one.sent() == [closed(1000)]
        assert not returning.done()
        one.upgrade.client_sends(frames.close(1000))
        await returning
        assert one.upgrade.reported == []

    session(test)


def test_app_that_raises_closes_with_1011_and_is_reported() -> None:
    async def test(one: Session) -> None:
        error = ValueError("broken")
        await one.raises(error)
        assert one.sent() == [closed(1011)]
        assert one.upgrade.reported == [error]

    session(test)


def test_app_that_raises_after_the_end_is_reported() -> None:
    async def test(one: Session) -> None:
        one.upgrade.client_sends(frames.close(1000))
        error = ValueError("broken")
        await one.raises(error)
        assert one.upgrade.reported == [error]

    session(test)


def test_draining_closes_with_1012_and_tells_the_app_at_once() -> None:
    async def test(one: Session) -> None:
        one.upgrade.client_sends(frames.text("before"))
        one.upgrade.server_drains()
        assert one.sent() == [closed(1012)]
        assert (await one.receive())["text"] == "before"
        assert await one.receive() == {"type": DISCONNECT, "code": 1012, "reason": ""}
        assert not one.upgrade.done
        one.upgrade.client_sends(frames.close(1012))
        assert one.upgrade.done

    session(test)


def test_cancelled_call_leaves_no_connection_and_no_timer() -> None:
    async def test(one: Session) -> None:
        one.task.cancel()
        await asyncio.wait([one.task])
        assert one.task.cancelled()
        assert one.upgrade.done
        assert (await one.receive())["code"] == 1006

    session(test, ping_interval=5)


# -- heartbeat


def test_pings_go_out_and_a_client_that_answers_stays() -> None:
    async def test(one: Session) -> None:
        waiting = asyncio.ensure_future(one.receive())
        for _ in range(5):
            while not one.upgrade.output:
                await asyncio.sleep(1)
            ((kind, payload),) = one.sent()
            assert kind == "PING"
            one.upgrade.client_sends(frames.frame(Opcode.PONG, payload))
        assert one.gateway.loop.time() == pytest.approx(100, abs=5)
        assert not waiting.done()
        waiting.cancel()

    session(test, ping_interval=20)


def test_silent_client_is_closed_with_1011() -> None:
    async def test(one: Session) -> None:
        assert (await one.receive())["code"] == 1011
        assert one.gateway.loop.time() == pytest.approx(27)
        assert one.sent() == [("PING", b"drawbar"), closed(1011, "no pong in time")]
        assert one.upgrade.done

    session(test, ping_interval=20, ping_timeout=7)


def test_interval_shorter_than_the_timeout_does_not_put_it_off() -> None:
    async def test(one: Session) -> None:
        assert (await one.receive())["code"] == 1011
        assert one.gateway.loop.time() == pytest.approx(9)

    session(test, ping_interval=2, ping_timeout=7)


def test_long_message_on_a_slow_line_shows_a_living_client() -> None:
    async def test(one: Session) -> None:
        waiting = asyncio.ensure_future(one.receive())
        for byte in frames.text("x" * 100):
            one.upgrade.client_sends(bytes([byte]))
            await asyncio.sleep(1)
        assert await waiting == {"type": "websocket.receive", "text": "x" * 100}

    session(test, ping_interval=20, ping_timeout=7)


def test_pong_that_we_do_not_read_is_not_missed() -> None:
    async def test(one: Session) -> None:
        one.upgrade.client_sends(frames.text("x") * WAITING_MESSAGES)
        assert not one.upgrade.reading
        await asyncio.sleep(60)
        one.upgrade.client_sends(frames.frame(Opcode.PONG, b"drawbar"))
        for _ in range(WAITING_MESSAGES):
            assert (await one.receive())["type"] == "websocket.receive"
        await asyncio.sleep(6)
        assert not one.upgrade.done

    session(test, ping_interval=20, ping_timeout=7)


def test_no_ping_behind_output_that_waits() -> None:
    async def test(one: Session) -> None:
        one.upgrade.reads_output = False
        await one.send({"type": "websocket.send", "text": "x"})
        await asyncio.sleep(60)
        assert one.sent() == [("TEXT", b"x")]
        assert not one.upgrade.done

    session(test, ping_interval=20, ping_timeout=7)
