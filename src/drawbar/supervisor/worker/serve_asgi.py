"""Serving an ASGI application: the reactor runs inside an asyncio loop, on stdlib asyncio or uvloop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from drawbar.config import OperatorError
from drawbar.executors.tasks import TasksExecutor
from drawbar.gateways.asgi import AsgiHandler
from drawbar.gateways.lifespan import Lifespan
from drawbar.gateways.websocket import WebSocketGateway
from drawbar.supervisor.worker.forks import disown_in_children
from drawbar.supervisor.worker.request_timeout import watch_requests
from drawbar.supervisor.worker.site import REOPEN_SIGNAL, ServerName, Site
from drawbar.supervisor.worker.ticks import Ticks

# Of the graceful timeout, kept back for cancelled tasks and the lifespan's end before the master kills.
FAREWELL_SECONDS = 2.0


def loop_factory(wanted: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Makes the loop the operator asked for: "auto" is uvloop where it is installed. None is asyncio's own."""
    if wanted == "asyncio":
        return None
    try:
        import uvloop
    except ImportError:
        if wanted == "uvloop":
            raise OperatorError(
                "uvloop is not installed", where="app.loop", right="pip install 'drawbar[fast]', or choose asyncio"
            ) from None
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def loop_name(wanted: str) -> str:
    """The loop that "auto" comes to here; raises OperatorError as loop_factory() does."""
    return "asyncio" if loop_factory(wanted) is None else "uvloop"


def serve(site: Site, ready: Callable[[], None]) -> int:
    """Serves until a stop signal and the last answer; returns the exit code."""
    runner = asyncio.Runner(loop_factory=loop_factory(site.config.app.loop))
    server = _Server(site, ready)
    try:
        runner.run(server.run())
    finally:
        # Closing waits for every task and thread, and one that hangs would keep the process from its end.
        if not server.hangs:
            runner.close()
    return 0


class _Server:
    """One worker's loop, from lifespan startup to lifespan shutdown."""

    def __init__(self, site: Site, ready: Callable[[], None]) -> None:
        self.site = site
        self.ready = ready
        self.reactor = site.make_reactor()
        self.stopping = asyncio.Event()
        self.empty = asyncio.Event()
        self.hangs = False
        """Calls were written off, and something of them may never end."""

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        if task is not None:
            # For whoever reads the stacks.
            task.set_name("server")
        state: dict[str, object] = {}
        lifespan = Lifespan(self.site.app.app, self.site.config.app.lifespan, state, self.site.log)
        disown_in_children(self.reactor, self.site.listeners, self.site.abandon)
        for number in self.site.signals:
            loop.add_signal_handler(number, self._on_signal, number)
        # The files were opened when loading the application began; a signal since then told nobody.
        self.site.reopen_logs()
        try:
            await self._serve(loop, lifespan, state)
        finally:
            # The loop takes its handlers away when it closes, and this signal's default is to kill.
            signal.pthread_sigmask(signal.SIG_BLOCK, {REOPEN_SIGNAL})

    async def _wait_for_stop(self) -> None:
        await self.stopping.wait()

    def _on_signal(self, number: int) -> None:
        if self.site.hear((number,), self.reactor):
            self.stopping.set()

    async def _serve(self, loop: asyncio.AbstractEventLoop, lifespan: Lifespan, state: dict[str, object]) -> None:
        starting = asyncio.create_task(lifespan.startup(), name="startup")
        stopping = asyncio.create_task(self._wait_for_stop(), name="stop signal")
        await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            # Told to stop before the application had started.
            starting.cancel()
            return
        await starting
        executor = TasksExecutor(loop, self.site.config.app.max_concurrency, self.reactor)
        self._listen(loop, executor, state)
        if self.site.out_of_band is not None:
            self.site.out_of_band.attach(self.reactor, lambda: bool(executor.running))
        if self.site.stacks is not None:
            self.site.stacks.attach(self.reactor, loop)
        sentinel = watch_requests(self.site, self.reactor)
        self.ready()
        await stopping
        await self._drain(loop, executor)
        await lifespan.shutdown()
        self.hangs = executor.has_written_off
        if sentinel is not None:
            sentinel.stop()
        loop.remove_reader(self.reactor.epoll_fd)
        self.site.close(self.reactor)

    def _listen(self, loop: asyncio.AbstractEventLoop, executor: TasksExecutor, state: dict[str, object]) -> None:
        reactor, site = self.reactor, self.site
        settings = site.config.websocket
        websocket = WebSocketGateway(
            loop,
            max_message_bytes=settings.max_message_bytes,
            ping_interval=settings.ping_interval,
            ping_timeout=settings.ping_timeout,
            compression=settings.compression,
        )

        def make_handler(server: ServerName) -> AsgiHandler:
            return AsgiHandler(
                site.app.app,
                executor,
                loop,
                root_path=site.config.app.root_path,
                state=state,
                websocket=websocket.run,
                error_page=site.error_page(),
            )

        site.attend_all(reactor, make_handler)
        reactor.set_on_defer(lambda: loop.call_soon(reactor.run_deferred))
        reactor.set_on_empty(self._on_empty)
        loop.add_reader(reactor.epoll_fd, reactor.drain_ready)
        timer = _Timer(loop)
        Ticks(reactor, reactor.drain_ready, timer.set, site.config.timeouts.liveness).start()

    def _on_empty(self) -> None:
        """The last connection has closed, and either the worker stops or it was all there was to serve (inetd)."""
        self.empty.set()
        self.stopping.set()

    async def _drain(self, loop: asyncio.AbstractEventLoop, executor: TasksExecutor) -> None:
        graceful = self.site.config.timeouts.graceful
        self.reactor.drain()
        deadline = loop.time() + max(graceful / 2, graceful - FAREWELL_SECONDS)
        if self.reactor.connections:
            await _within(self.empty.wait(), deadline - loop.time())
        # Work behind a response, such as background tasks, is part of its request.
        if executor.running:
            await asyncio.wait(set(executor.running), timeout=max(0.0, deadline - loop.time()))
        executor.dismiss()
        for task in set(executor.running):
            task.cancel()
        if executor.running:
            await asyncio.wait(set(executor.running), timeout=FAREWELL_SECONDS / 2)


class _Timer:
    """Calls back once."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._handle: asyncio.TimerHandle | None = None

    def set(self, seconds: float | None, callback: Callable[[], None]) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._handle = None if seconds is None else self._loop.call_later(seconds, callback)


async def _within(waiting: object, seconds: float) -> None:
    """Awaits that long at most."""
    task = asyncio.ensure_future(waiting)  # type: ignore[call-overload]
    await asyncio.wait([task], timeout=max(0.0, seconds))
    task.cancel()
