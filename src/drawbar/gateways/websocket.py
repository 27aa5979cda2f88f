"""WebSockets of an ASGI application (RFC 6455; ASGI WebSocket message format 2.5).

Law: this module stands between two interpreters and interprets neither side twice. Frames are the `websockets`
library's, which does no I/O; bytes come from and go to an upgraded connection of the reactor; the rest is the
contract with the application. Time is the loop's clock, asked only through `call_later`.

One state says what the application may send and what arriving bytes mean (`Phase`). Whatever ends the connection sets
`ending`, the websocket.disconnect every receive() gives from then on, once the messages before it are taken.

Nothing a client does makes memory grow: reading stops while messages wait for an application that does not take
them, and while the client does not read what it is sent, pongs included.
"""

import asyncio
import codecs
import enum
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final, Protocol

from websockets.exceptions import ProtocolError
from websockets.extensions import Extension, ServerExtensionFactory
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import CloseCode, Frame, Opcode
from websockets.typing import ExtensionName

from drawbar.exchange.errors import AppError, ClientDisconnected
from drawbar.gateways.websocket_handshake import Handshake, accepted, shake

Message = dict[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[object]]

WAITING_MESSAGES: Final = 16
"""Messages the application has not taken at which reading stops; then the kernel's buffer fills, then the client's."""

WAITING_BYTES: Final = 131_072
"""The same in bytes of payload. One message may be longer, up to its own limit."""

CLOSE_SECONDS: Final = 5.0
"""From our close frame to the client's; past it the connection is closed without."""

# Windows of 4 KiB instead of 32 and less hash table: some 30 KiB a connection instead of 300 for a few per cent of size
# (the figures of the library's "Compression" page, whose defaults these are).
WINDOW_BITS: Final = 12
MEMORY_LEVEL: Final = 5

_PLAIN: Final = [(b"content-type", b"text/plain; charset=utf-8")]


class Upgrade(Protocol):
    """The connection on its way from HTTP to another protocol; `drawbar.gateways.asgi` has the real one."""

    on_data: Callable[[bytes], None] | None
    on_drained: Callable[[], None] | None
    on_disconnected: Callable[[], None] | None
    on_draining: Callable[[], None] | None

    def take_over(self) -> None: ...
    def write(self, data: bytes) -> None: ...
    def must_wait(self) -> bool: ...
    def waiting(self) -> int: ...
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...
    def close(self) -> None: ...
    def abort(self) -> None: ...
    def is_gone(self) -> bool: ...
    def respond(self, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> None: ...
    def start_response(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None: ...
    def send_body(self, body: bytes, last: bool) -> None: ...
    def report(self, error: BaseException) -> None: ...
    def finished(self) -> None: ...


class Phase(enum.Enum):
    """Where a WebSocket is in its life."""

    HANDSHAKE = "handshake"  # the application has not answered
    DENIAL = "denial"  # it answers with an HTTP response, which is not complete
    OPEN = "open"
    CLOSING = "closing"  # our close frame is sent, the client's is awaited
    ENDED = "ended"  # refused, closed or lost

    def is_over(self) -> bool:
        """Nothing the application sends reaches the client any more."""
        return self in (Phase.CLOSING, Phase.ENDED)


class WebSocketGateway:
    """Calls one application for each WebSocket.

    max_message_bytes: longest message, after decompression; past it close code 1009. ping_interval: seconds between
    pings, 0 for none. ping_timeout: seconds from a ping to any sign of life; past it close code 1011. compression:
    agree to permessage-deflate (RFC 7692).
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        max_message_bytes: int,
        ping_interval: float,
        ping_timeout: float,
        compression: bool,
    ) -> None:
        self.loop = loop
        self.max_message_bytes = max_message_bytes
        self.ping_interval = ping_interval
        self.ping_timeout = ping_timeout
        self.extensions: list[ServerExtensionFactory] = []
        if compression:
            self.extensions = [
                ServerPerMessageDeflateFactory(
                    server_max_window_bits=WINDOW_BITS,
                    client_max_window_bits=WINDOW_BITS,
                    compress_settings={"memLevel": MEMORY_LEVEL},
                )
            ]

    async def run(self, app: App, scope: Message, upgrade: Upgrade) -> None:
        """One WebSocket from its request to its end; what `AsgiHandler` calls."""
        handshake = shake(scope, self.extensions, self.max_message_bytes)
        try:
            if not handshake.is_good():
                response = handshake.response
                fields = [(name.encode(), value.encode()) for name, value in response.headers.raw_items()]
                upgrade.respond(response.status_code, fields, bytes(response.body))
                return
            scope["subprotocols"] = list(handshake.subprotocols)
            await _Call(self, handshake, upgrade).run(app, scope)
        except ClientDisconnected:
            # Gone before it could be told anything.
            pass
        finally:
            upgrade.finished()


class _Utf8(Extension):
    """Finds text that is not UTF-8 at its first wrong byte, in the order of the frames (RFC 6455 section 8.1).

    An extension only in how it is called: it negotiates nothing, and comes first so that it sees text decompressed.
    """

    name = ExtensionName("utf-8")

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._in_text = False

    def decode(self, frame: Frame, *, max_size: int | None = None) -> Frame:
        if frame.opcode is Opcode.TEXT or (frame.opcode is Opcode.CONT and self._in_text):
            self._decoder.decode(frame.data, frame.fin)
            self._in_text = not frame.fin
        return frame

    def encode(self, frame: Frame) -> Frame:
        return frame


class _Call:
    """One call of the application for one WebSocket."""

    def __init__(self, gateway: WebSocketGateway, handshake: Handshake, upgrade: Upgrade) -> None:
        self.gateway = gateway
        self.loop = gateway.loop
        self.handshake = handshake
        self.protocol = handshake.protocol
        self.protocol.extensions.insert(0, _Utf8())
        self.upgrade = upgrade
        self.phase = Phase.HANDSHAKE
        self.ending: Message | None = None
        self.inbox: deque[Message] = deque([{"type": "websocket.connect"}])
        self.inbox_bytes = 0
        self.fragments: bytearray | None = None
        self.fragments_are_text = False
        self.paused = False
        self.waiters: list[asyncio.Future[None]] = []
        self.next_ping: asyncio.TimerHandle | None = None
        self.deadline: asyncio.TimerHandle | None = None

    # -- the application

    async def run(self, app: App, scope: Message) -> None:
        upgrade = self.upgrade
        upgrade.on_data = self._data
        upgrade.on_drained = self._drained
        upgrade.on_disconnected = self._left
        upgrade.on_draining = self._draining
        try:
            try:
                await app(scope, self.receive, self.send)
            except Exception as error:
                self._app_ended(error)
            else:
                self._app_ended(None)
            while self.phase is Phase.CLOSING:
                await self._wait()
        finally:
            # Also when cancelled: then there is no time left for the client's close frame.
            self._lost()

    def _app_ended(self, error: Exception | None) -> None:
        """The application returned or raised: says the rest for it."""
        if self.phase.is_over():
            if error is not None and not isinstance(error, ClientDisconnected):
                self.upgrade.report(error)
            return
        if self.phase is Phase.OPEN:
            if error is not None:
                self.upgrade.report(error)
            self._close(CloseCode.NORMAL_CLOSURE if error is None else CloseCode.INTERNAL_ERROR)
            return
        if error is None:
            error = AppError(
                "the application returned without accepting or closing the WebSocket"
                if self.phase is Phase.HANDSHAKE
                else "the application returned before the end of its websocket.http.response"
            )
        self.upgrade.report(error)
        self._refuse(500, b"Internal Server Error\n")

    async def receive(self) -> Message:
        """The next event: websocket.connect, the client's messages, and for ever after websocket.disconnect."""
        while not self.inbox:
            if self.ending is not None:
                return self.ending.copy()
            await self._wait()
        message = self.inbox.popleft()
        self.inbox_bytes -= _payload_size(message)
        if self.paused:
            self._regulate()
        return message

    async def send(self, message: Message) -> None:
        """Takes one event of the application; waits while too much of what it sent is still here."""
        kind = message.get("type")
        if self.phase.is_over():
            raise ClientDisconnected(f"the WebSocket is closed, so {kind} reaches nobody")
        handler = _SENDERS.get((self.phase, kind)) if isinstance(kind, str) else None
        if handler is None:
            allowed = ", ".join(name for phase, name in _SENDERS if phase is self.phase)
            raise AppError(f"a websocket application may not send {kind!r} now; it may send {allowed}")
        try:
            handler(self, message)
        except ClientDisconnected:
            self._lost()
            raise
        while self.upgrade.must_wait() and self.phase is not Phase.ENDED:
            await self._wait()

    def _accept(self, message: Message) -> None:
        head = accepted(self.handshake, message.get("subprotocol"), message.get("headers") or ())
        self.phase = Phase.OPEN
        self._schedule_ping()
        # Before take_over(), which hands over what an impatient client has sent already: its answers come second.
        self.upgrade.write(head)
        self.upgrade.take_over()

    def _send(self, message: Message) -> None:
        text, data = message.get("text"), message.get("bytes")
        if (text is None) is (data is None):
            raise AppError("websocket.send: exactly one of text and bytes must be there and not None")
        if text is not None:
            if not isinstance(text, str):
                raise AppError(f"websocket.send: text must be str, not {type(text).__name__}")
            self.protocol.send_text(text.encode("utf-8"))
        else:
            if not isinstance(data, bytes | bytearray | memoryview):
                raise AppError(f"websocket.send: bytes must be bytes, not {type(data).__name__}")
            self.protocol.send_binary(data)
        self._flush()

    def _send_close(self, message: Message) -> None:
        code = message.get("code", CloseCode.NORMAL_CLOSURE)
        reason = message.get("reason") or ""
        if not isinstance(code, int) or not isinstance(reason, str):
            raise AppError(f"websocket.close: code must be an int and reason a str, not {code!r} and {reason!r}")
        try:
            self._close(code, reason)
        except ProtocolError:
            raise AppError(
                f"websocket.close: code {code} with a reason of {len(reason.encode())} bytes cannot be sent; the code "
                "is one of RFC 6455 section 7.4 that may be sent or 3000 to 4999, the reason at most 123 bytes"
            ) from None

    def _deny(self, message: Message) -> None:
        self._refuse(403, b"Forbidden\n")

    def _start_denial(self, message: Message) -> None:
        status = message.get("status")
        if not isinstance(status, int) or not 200 <= status <= 999:
            raise AppError(f"websocket.http.response.start: status must be an int from 200 to 999, not {status!r}")
        self.upgrade.start_response(status, message.get("headers") or ())
        self.phase = Phase.DENIAL

    def _send_denial(self, message: Message) -> None:
        body = message.get("body", b"")
        if not isinstance(body, bytes | bytearray | memoryview):
            raise AppError(f"websocket.http.response.body: body must be bytes, not {type(body).__name__}")
        last = not message.get("more_body", False)
        self.upgrade.send_body(bytes(body), last)
        if last:
            self._ended(CloseCode.ABNORMAL_CLOSURE, "")

    def _refuse(self, status: int, body: bytes) -> None:
        """An HTTP response in place of the WebSocket; breaks off the application's own when that has begun."""
        self._ended(CloseCode.ABNORMAL_CLOSURE, "")
        self.upgrade.respond(status, _PLAIN, body)

    # -- the client

    def _data(self, data: bytes) -> None:
        """Bytes from the client; none at the end of its stream."""
        if not data:
            self._lost()
            return
        if self.phase is Phase.ENDED:
            return
        if self.deadline is not None and self.phase is Phase.OPEN:
            # Any byte shows a living client: the pong itself may be behind a long message on a slow line.
            self.deadline.cancel()
            self.deadline = None
        protocol = self.protocol
        protocol.receive_data(data)
        for frame in protocol.events_received():
            assert isinstance(frame, Frame)
            if self.phase is Phase.OPEN and frame.opcode in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
                self._take(frame)
        # Whoever closed first: a client that did says why, and of one that broke the rules we say why.
        close = protocol.close_rcvd or (protocol.close_sent if protocol.parser_exc is not None else None)
        if close is not None:
            self._ended(close.code, close.reason)
        try:
            self._flush()
        except ClientDisconnected:
            self._lost()
            return
        self._regulate()

    def _take(self, frame: Frame) -> None:
        """Puts a message together (RFC 6455 section 5.4). The protocol has checked order and size."""
        if self.fragments is None:
            if frame.fin:
                self._arrived(frame.data, frame.opcode is Opcode.TEXT)
                return
            self.fragments = bytearray()
            self.fragments_are_text = frame.opcode is Opcode.TEXT
        self.fragments += frame.data
        if frame.fin:
            whole, self.fragments = self.fragments, None
            self._arrived(whole, self.fragments_are_text)

    def _arrived(self, data: bytes | bytearray | memoryview, is_text: bool) -> None:
        message: Message = {"type": "websocket.receive"}
        if is_text:
            message["text"] = str(data, "utf-8")
        else:
            message["bytes"] = bytes(data)
        self.inbox.append(message)
        self.inbox_bytes += _payload_size(message)
        self._wake()

    def _left(self) -> None:
        """While it still is HTTP: the client's stream ended, or the connection broke."""
        # One that shut only its own side may read a denial to its end.
        if self.phase is not Phase.DENIAL or self.upgrade.is_gone():
            self._lost()

    def _lost(self) -> None:
        """Ends what has not ended otherwise; leaves no timer and no connection behind. Idempotent."""
        was_http = self.phase in (Phase.HANDSHAKE, Phase.DENIAL)
        self._ended(CloseCode.ABNORMAL_CLOSURE, "")
        if was_http:
            self.upgrade.abort()
        else:
            self.upgrade.close()

    def _draining(self) -> None:
        """The server is stopping."""
        if self.phase is Phase.OPEN:
            self._close(CloseCode.SERVICE_RESTART)

    # -- the connection

    def _flush(self) -> None:
        """Sends what the protocol has to say. ClientDisconnected when the connection broke."""
        for data in self.protocol.data_to_send():
            if data:
                self.upgrade.write(data)
            else:
                self.upgrade.close()

    def _regulate(self) -> None:
        """Reads on, or not, as there is room on both sides."""
        if self.phase is Phase.ENDED:
            return
        # Half of each before reading goes on, so that a slow application does not switch it with every message.
        share = 2 if self.paused else 1
        full = self.phase is Phase.OPEN and (
            len(self.inbox) >= WAITING_MESSAGES // share or self.inbox_bytes >= WAITING_BYTES // share
        )
        full = full or self.upgrade.must_wait()
        if full == self.paused:
            return
        self.paused = full
        if full:
            self.upgrade.pause_reading()
            return
        if self.deadline is not None and self.phase is Phase.OPEN:
            # Its pong may lie unread since long before: its time starts now.
            self._expect_life()
        self.upgrade.resume_reading()

    def _drained(self) -> None:
        self._regulate()
        self._wake()

    # -- heartbeat

    def _schedule_ping(self) -> None:
        if self.gateway.ping_interval:
            self.next_ping = self.loop.call_later(self.gateway.ping_interval, self._ping)

    def _ping(self) -> None:
        self._schedule_ping()
        # With output waiting, a ping would wait behind it: whether this client reads is for the send timeout to judge.
        if self.upgrade.waiting():
            return
        self.protocol.send_ping(b"drawbar")
        if self.deadline is None:
            self._expect_life()
        self._flush_or_lose()

    def _expect_life(self) -> None:
        if self.deadline is not None:
            self.deadline.cancel()
        self.deadline = self.loop.call_later(self.gateway.ping_timeout, self._unanswered)

    def _unanswered(self) -> None:
        self.deadline = None
        if self.paused:
            # We are not listening.
            self._expect_life()
            return
        self.protocol.fail(CloseCode.INTERNAL_ERROR, "no pong in time")
        self._ended(CloseCode.INTERNAL_ERROR, "no pong in time")
        self._flush_or_lose()

    # -- ends

    def _close(self, code: int, reason: str = "") -> None:
        """Starts the closing handshake. ProtocolError, and nothing done, for what no close frame can hold."""
        self.protocol.send_close(code, reason)
        self._stop_timers()
        self.phase = Phase.CLOSING
        self.fragments = None
        self.deadline = self.loop.call_later(CLOSE_SECONDS, self._lost)
        if code == CloseCode.SERVICE_RESTART:
            # Not the application's own doing, so it must hear of it now, not when the client has agreed.
            self.ending = _disconnect(code, reason)
            self._wake()
        self._flush_or_lose()
        # What the client sends before its close frame is read and dropped.
        self._regulate()

    def _flush_or_lose(self) -> None:
        try:
            self._flush()
        except ClientDisconnected:
            self._lost()

    def _ended(self, code: int, reason: str) -> None:
        """Nothing more comes from the client or goes to it. Idempotent; the first cause stands."""
        self._stop_timers()
        self.phase = Phase.ENDED
        self.fragments = None
        if self.ending is None:
            self.ending = _disconnect(code, reason)
        self._wake()

    def _stop_timers(self) -> None:
        for timer in (self.next_ping, self.deadline):
            if timer is not None:
                timer.cancel()
        self.next_ping = self.deadline = None

    # -- waiting

    async def _wait(self) -> None:
        """Returns when something has changed."""
        waiter = self.loop.create_future()
        self.waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            # An application that polls receive() by cancelling it would gather a future for each look.
            if waiter in self.waiters:
                self.waiters.remove(waiter)
            raise

    def _wake(self) -> None:
        waiters, self.waiters = self.waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


def _payload_size(message: Message) -> int:
    """Bytes or characters, which of both is near enough to bound memory."""
    return len(message.get("bytes") or message.get("text") or ())


def _disconnect(code: int, reason: str) -> Message:
    return {"type": "websocket.disconnect", "code": int(code), "reason": reason}


# What an application may send, and when.
_SENDERS: Final[dict[tuple[Phase, str], Callable[[_Call, Message], None]]] = {
    (Phase.HANDSHAKE, "websocket.accept"): _Call._accept,
    (Phase.HANDSHAKE, "websocket.close"): _Call._deny,
    (Phase.HANDSHAKE, "websocket.http.response.start"): _Call._start_denial,
    (Phase.DENIAL, "websocket.http.response.body"): _Call._send_denial,
    (Phase.OPEN, "websocket.send"): _Call._send,
    (Phase.OPEN, "websocket.close"): _Call._send_close,
}
