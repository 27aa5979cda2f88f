"""An ASGI application served as a worker does it, on a loop in a thread of this process: tests see both sides.

The application runs on the loop's thread, the test with its blocking clients on its own. They meet in queues and in
`do()`; nothing sleeps. Whatever the server reports must be taken by the test, or the test fails at its end.
"""

import asyncio
import queue
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from drawbar.exchange.http1 import Http1Connector
from drawbar.exchange.policy import Policy
from drawbar.executors.tasks import TasksExecutor
from drawbar.gateways.asgi import AsgiHandler
from drawbar.gateways.websocket import WebSocketGateway
from drawbar.net.listener import listen
from drawbar.net.reactor import Reactor
from tests.support.raw import RawClient
from tests.support.server import PATIENCE_S

T = TypeVar("T")
# Deadlines of connections are looked at this often; tests move the reactor's clock instead of waiting.
TICK_S = 0.01


class Mail(Generic[T]):
    """What one side tells the other, in order."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[T] = queue.SimpleQueue()

    def put(self, item: T) -> None:
        self._queue.put(item)

    def get(self) -> T:
        """The next item, once there is one."""
        return self._queue.get(timeout=PATIENCE_S)

    def is_empty(self) -> bool:
        return self._queue.empty()


class AsgiServer:
    """Serves `app` on a port of its own. websocket: options of the gateway, a function in its place, or False."""

    def __init__(
        self,
        app: Any,
        *,
        websocket: dict[str, Any] | Callable[..., Any] | bool = True,
        policy: dict[str, Any] | None = None,
        **handler: Any,
    ) -> None:
        self.app = app
        self.websocket = websocket
        self.policy = policy or {}
        self.handler = handler
        self.errors: Mail[BaseException] = Mail()
        self.faults: list[BaseException] = []
        self.completed: Mail[Any] = Mail()
        self.port = 0
        self._clients: list[RawClient] = []
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients:
            client.close()
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE_S)
        if error is None:
            assert self.errors.is_empty(), f"the application failed: {self.errors.get()!r}"
            assert self.faults == []

    def connect(self) -> RawClient:
        """A new connection; closed with the server."""
        client = RawClient(("127.0.0.1", self.port))
        self._clients.append(client)
        return client

    def do(self, call: Callable[[], T]) -> T:
        """What `call` returns on the loop's thread."""

        async def run() -> T:
            return call()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(PATIENCE_S)

    def take_turns(self) -> None:
        """So many at once that the server reads whatever it is willing to. For `do`."""
        for _ in range(200):
            self.reactor.drain_ready()

    def _serve(self) -> None:
        with asyncio.Runner() as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        await self.open()
        self._stop = asyncio.Event()
        self._ready.set()
        await self._stop.wait()
        await self.shut()

    async def open(self) -> None:
        """Serves on the running loop."""
        self.loop = asyncio.get_running_loop()
        self.reactor = Reactor(1_000, None, self.faults.append)
        self.executor = TasksExecutor(self.loop)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.setblocking(False)
        self.port = self._listener.getsockname()[1]
        policy = Policy(
            on_app_error=lambda exchange, error: self.errors.put(error),
            on_complete=lambda exchange: self.completed.put((exchange.status_code, exchange.complete)),
            **self.policy,
        )
        handler = AsgiHandler(self.app, self.executor, self.loop, websocket=self._gateway(), **self.handler)
        connector = Http1Connector(policy, handler, "http", ("127.0.0.1", self.port))
        listen(self.reactor, self._listener, connector, exclusive=False)
        self.reactor.set_on_defer(lambda: self.loop.call_soon(self.reactor.run_deferred))
        self.loop.add_reader(self.reactor.epoll_fd, self.reactor.drain_ready)
        self._tick()

    async def shut(self) -> None:
        """Ends every call and connection."""
        for task in set(self.executor.running):
            task.cancel()
        if self.executor.running:
            await asyncio.wait(set(self.executor.running))
        self._next_tick.cancel()
        self.loop.remove_reader(self.reactor.epoll_fd)
        self.reactor.close()
        self._listener.close()

    def _gateway(self) -> Any:
        if not self.websocket:
            return None
        if callable(self.websocket):
            return self.websocket
        options = {"max_message_bytes": 1 << 20, "ping_interval": 0.0, "ping_timeout": 20.0, "compression": True}
        return WebSocketGateway(self.loop, **{**options, **({} if self.websocket is True else self.websocket)}).run

    def _tick(self) -> None:
        self.reactor.drain_ready()
        self._next_tick = self.loop.call_later(TICK_S, self._tick)
