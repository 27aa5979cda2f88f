"""Serving a WSGI application in greenlets: the reactor runs inside gevent's hub.

The hub watches the reactor's epoll descriptor, as an asyncio loop does (`serve_asgi`), and every turn of the reactor is
taken on the hub. What blocks in an application lets others run, because the standard library was patched before the
application was imported; what blocks in the server itself (reading a body as it comes, a client that does not read)
does so through the reactor's waiter.

Imported only by servers that ask for greenlets, so gevent may be imported here, where it is needed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from drawbar.config import OperatorError
from drawbar.supervisor.worker.ticks import Ticks

if TYPE_CHECKING:
    from drawbar.executors.greenlets import GreenletsExecutor
    from drawbar.net.reactor import Reactor

# Events of libev, as gevent's loop takes them.
READ = 1


def patch() -> None:
    """Replaces what blocks in the standard library. Cannot be undone: never in the master.

    Raises OperatorError when gevent is not installed.
    """
    try:
        from gevent import monkey
    except ImportError:
        raise OperatorError(
            "gevent is not installed",
            where="app.concurrency",
            right="pip install 'drawbar[greenlets]', or choose another model",
        ) from None
    monkey.patch_all()


def wait(descriptor: int, writing: bool, timeout_ms: int) -> bool:
    """Lets others run until `descriptor` can be read or written; False when the time (0: for ever) is over."""
    from gevent import Timeout
    from gevent.socket import wait_read, wait_write

    too_late = Timeout()
    try:
        (wait_write if writing else wait_read)(descriptor, timeout_ms / 1000 or None, too_late)
    except Timeout as timeout:
        # Another one is the application's own.
        if timeout is not too_late:
            raise
        return False
    return True


class Hub:
    """The reactor's place in this thread's hub."""

    def __init__(self, reactor: Reactor, maximum: int, liveness_s: float) -> None:
        from gevent import get_hub
        from gevent.event import Event

        from drawbar.executors.greenlets import GreenletsExecutor

        self.reactor = reactor
        self.loop = get_hub().loop
        self.over = Event()
        self.timer: Any = None
        self.ticks = Ticks(reactor, self._turn, self._set_timer, liveness_s)
        self.executor: GreenletsExecutor = GreenletsExecutor(reactor, maximum, self._look)
        reactor.set_waiter(wait)
        reactor.set_on_defer(lambda: self.loop.run_callback(self._resume))

    def run(self) -> None:
        """Until the reactor is stopped, or has come to the end of its drain and the last call is over."""
        watcher = self.loop.io(self.reactor.epoll_fd, READ)
        watcher.start(self._turn)
        self.ticks.start()
        try:
            self.over.wait()
        finally:
            self._set_timer(None, self._turn)
            watcher.stop()
            watcher.close()

    def is_busy(self) -> bool:
        """Calls of the application run or wait."""
        return bool(self.executor.running or self.executor.waiting)

    def _set_timer(self, seconds: float | None, callback: Callable[[], None]) -> None:
        if self.timer is not None:
            self.timer.close()
        self.timer = None if seconds is None else self.loop.timer(seconds)
        if self.timer is not None:
            self.timer.start(callback)

    def _turn(self) -> None:
        self.reactor.drain_ready()
        self._look()

    def _resume(self) -> None:
        self.reactor.run_deferred()
        self._look()

    def _look(self) -> None:
        reactor = self.reactor
        drained = reactor.is_draining() and not (reactor.connections or self.is_busy())
        if drained or reactor.is_stopped():
            self.over.set()
