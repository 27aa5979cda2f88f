"""A connection that another protocol takes over, without a socket, and a loop without a clock of its own."""

import asyncio
import selectors
from collections.abc import Callable, Iterable
from typing import Any

from drawbar.exchange.errors import AppError, ClientDisconnected

HIGH_BYTES = 1_000
LOW_BYTES = 100


class FakeUpgrade:
    """Does what `drawbar.gateways.asgi.Upgrade` does; both pass the tests in `tests/gateways/test_upgrade.py`.

    The client's side: `client_sends`, `client_reads` (everything unread), `client_ends` (its FIN) and `client_breaks`.
    """

    def __init__(self) -> None:
        self.on_data: Callable[[bytes], None] | None = None
        self.on_drained: Callable[[], None] | None = None
        self.on_disconnected: Callable[[], None] | None = None
        self.on_draining: Callable[[], None] | None = None
        self.raw = False
        self.gone = False
        # Any: what a test has seen of these is no longer so after the next event, which type narrowing cannot know.
        self.done: Any = False
        self.aborted: Any = False
        self.reading: Any = True
        self.reads_output = True
        self.output = bytearray()
        self.early = bytearray()
        self.ended = False
        self.end_told = False
        self.wants_drained = False
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.body = bytearray()
        self.sent_head = False
        self.reported: list[BaseException] = []
        self.over = asyncio.Event()

    # -- the client

    def client_sends(self, data: bytes) -> None:
        self.early += data
        self._deliver()

    def client_ends(self) -> None:
        self.ended = True
        if not self.raw:
            self._call(self.on_disconnected)
        self._deliver()

    def client_breaks(self) -> None:
        self.gone = True
        self.ended = True
        if self.raw:
            self.reading = True
            self._deliver()
        else:
            self._call(self.on_disconnected)

    def client_reads(self) -> bytes:
        data = bytes(self.output)
        self.output.clear()
        if self.wants_drained:
            self.wants_drained = False
            self._call(self.on_drained)
        return data

    def server_drains(self) -> None:
        self._call(self.on_draining)

    def _deliver(self) -> None:
        if not self.raw or not self.reading or self.done:
            return
        if self.early and self.on_data is not None:
            data = bytes(self.early)
            self.early.clear()
            self.on_data(data)
        if self.ended and not self.end_told and self.on_data is not None and self.reading and not self.done:
            self.end_told = True
            self.on_data(b"")

    def _call(self, callback: Callable[[], None] | None) -> None:
        if callback is not None and not self.done:
            callback()

    # -- the gateway

    def take_over(self) -> None:
        if self.gone:
            raise ClientDisconnected("the client has closed the connection")
        self.raw = True
        self.status = 101
        self._deliver()

    def write(self, data: bytes) -> None:
        if self.gone:
            raise ClientDisconnected("the client has closed the connection")
        self.output += data

    def must_wait(self) -> bool:
        if self.waiting() <= HIGH_BYTES:
            return False
        self.wants_drained = True
        return True

    def waiting(self) -> int:
        # A client that reads empties the queue as it fills.
        return 0 if self.reads_output else len(self.output)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True
        asyncio.get_running_loop().call_soon(self._deliver)

    def close(self) -> None:
        self.done = True

    def abort(self) -> None:
        if not self.done:
            self.done = self.aborted = True

    def is_gone(self) -> bool:
        return self.gone

    def start_response(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
        if self.gone:
            raise ClientDisconnected("the client has closed the connection")
        if self.status:
            raise AppError("the response has begun already")
        self.status = status
        self.headers = list(headers)

    def send_body(self, body: bytes, last: bool) -> None:
        if self.gone:
            raise ClientDisconnected("the client has closed the connection")
        self.sent_head = True
        self.body += body
        self.done = last

    def respond(self, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
        if self.sent_head:
            self.abort()
            return
        self.status = 0
        self.start_response(status, headers)
        self.send_body(body, True)

    def report(self, error: BaseException) -> None:
        self.reported.append(error)

    def finished(self) -> None:
        self.abort()
        self.on_data = self.on_drained = self.on_disconnected = self.on_draining = None
        self.over.set()


class _Jump(selectors.EpollSelector):
    """Passes the time a loop would wait, instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "the test waits for something that will never happen"
        self.now += max(0.0, timeout)
        return super().select(0)


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop that is never idle: when all its tasks wait it is the time of the next timer. For tests without I/O."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)

    def time(self) -> float:
        return self._jump.now


def run(main: Any) -> Any:
    """Runs a coroutine on a `JumpingLoop`."""
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        return runner.run(main)
