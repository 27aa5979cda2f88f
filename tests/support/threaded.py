"""A server inside the test, on threads of its own: ThreadsExecutor, reactor and gateway over real sockets.

Nothing here sleeps. Calls of the application are held by `Gate`s until the test opens them, so what is true while a
call runs is true for as long as the test looks. `synchronise()` returns once the leading thread has handled everything
that was sent before it was called, and so proves that somebody leads.
"""

import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self, TypeVar

from drawbar.exchange.http1 import Http1Connector
from drawbar.exchange.policy import Policy
from drawbar.executors.threads import ThreadsExecutor
from drawbar.gateways.wsgi import WsgiHandler
from drawbar.net.listener import listen
from drawbar.net.reactor import Reactor
from tests.support.raw import RawClient
from tests.support.server import PATIENCE_S

T = TypeVar("T")


class Gate:
    """Holds calls of the application. `entered` counts those that came to it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._open = False
        self._tickets = 0
        self.entered = 0

    def wait(self) -> None:
        """Called by the application: returns when the gate is open, or a pass() is left."""
        with self._changed:
            self.entered += 1
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._open or self._tickets > 0, PATIENCE_S), "held for ever"
            self._tickets -= not self._open

    def wait_entered(self, count: int = 1) -> None:
        """Returns once so many calls have come."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.entered >= count, PATIENCE_S), f"{self.entered} of {count} came"

    def open(self) -> None:
        """Lets all calls pass, now and later."""
        with self._changed:
            self._open = True
            self._changed.notify_all()

    def let_one_pass(self) -> None:
        """Lets one call pass."""
        with self._changed:
            self._tickets += 1
            self._changed.notify_all()


class Threaded:
    """Serves the WSGI application `app` on `minimum` to `maximum` threads.

    policy: arguments of Policy. handler: arguments of WsgiHandler. shared: as if other processes accepted too.
    spares_caller: of the executor. `errors`: exceptions nobody took; `failed`: those of the application. Leaving the
    context drains the server and checks that all its threads end and no error is left.
    """

    def __init__(
        self,
        app: Any,
        maximum: int = 4,
        minimum: int = 1,
        *,
        policy: dict[str, Any] | None = None,
        send_buffer: int = 0,
        temp_dir: str | None = None,
        shared: bool = False,
        spares_caller: bool = False,
        **handler: Any,
    ) -> None:
        self.errors: list[BaseException] = []
        self.failed: list[BaseException] = []
        self.gates: list[Gate] = []
        self._clients: list[RawClient] = []
        self._tasks: list[tuple[Callable[[], Any], threading.Event, list[Any]]] = []
        self._others = set(threading.enumerate())
        self.socket = socket.socket()
        if send_buffer:
            # Accepted sockets inherit it.
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.listen(100)
        self.socket.setblocking(False)
        self.address = self.socket.getsockname()
        self.reactor = Reactor(1000, temp_dir, self.errors.append)
        self.reactor.set_on_wake(self._run_tasks)
        self.executor = ThreadsExecutor(self.reactor, minimum, maximum, spares_caller=spares_caller)
        told: dict[str, Any] = {"on_app_error": lambda exchange, error: self.failed.append(error), "temp_dir": temp_dir}
        site = Policy(**(told | (policy or {})))
        gateway = WsgiHandler(app, self.executor, server=self.address, multithread=True, **handler)
        listen(self.reactor, self.socket, Http1Connector(site, gateway, "http", self.address), exclusive=shared)
        self.thread = threading.Thread(target=self.executor.run, name="drawbar-main", daemon=True)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for gate in self.gates:
            gate.open()
        for client in self._clients:
            client.close()
        if kind is None:
            self.drain()
            self.join()
            assert self.errors == []
            # A gate that gave up raises inside the application.
            assert [failure for failure in self.failed if isinstance(failure, AssertionError)] == []
        else:
            self.reactor.stop()
            self.thread.join(PATIENCE_S)
        self.reactor.close()
        self.socket.close()

    def _run_tasks(self) -> None:
        while self._tasks:
            task, done, result = self._tasks.pop(0)
            result.append(task())
            done.set()

    def on_leader(self, task: Callable[[], T]) -> T:
        """Runs `task` on the thread that leads; its result."""
        done = threading.Event()
        result: list[T] = []
        self._tasks.append((task, done, result))
        self.reactor.wake_up()
        assert done.wait(PATIENCE_S), "nobody leads"
        return result[0]

    def leader(self) -> int:
        """Who leads."""
        return self.on_leader(threading.get_ident)

    def synchronise(self) -> None:
        """Returns once the leader has handled everything sent so far."""
        # The second time is behind all events of the batch the first one was in.
        self.leader()
        self.leader()

    def advance(self, seconds: float) -> None:
        """Moves the reactor's clock ahead, and handles what is due then."""
        self.synchronise()
        self.on_leader(lambda: self.reactor.advance(round(seconds * 1000)))
        self.synchronise()

    def drain(self) -> None:
        """As a stop signal does."""
        if not self.reactor.is_stopped():
            self.on_leader(self.reactor.drain)

    def threads(self) -> list[threading.Thread]:
        """The server's threads that have not ended."""
        return [
            thread
            for thread in threading.enumerate()
            if thread not in self._others and thread.name.startswith("drawbar-")
        ]

    def join(self) -> None:
        """Returns once run() has, and every thread has ended."""
        for thread in [self.thread, *self.threads()]:
            thread.join(PATIENCE_S)
            assert not thread.is_alive(), f"{thread.name} goes on"

    def gate(self) -> Gate:
        """A gate that opens at the end, however the test ends."""
        gate = Gate()
        self.gates.append(gate)
        return gate

    def connect(self) -> RawClient:
        """A new connection, closed at the end."""
        client = RawClient(self.address)
        self._clients.append(client)
        return client

    def get(self, path: str) -> bytes:
        """The body of a GET on a connection of its own, which must succeed."""
        client = self.connect()
        response = client.request(get(path))
        assert response.status == 200
        return response.body


def get(path: str, *fields: str) -> bytes:
    """A GET request."""
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: test", *fields, "", ""]).encode("latin-1")
