"""Clients wrk cannot play: those that hold a connection and do next to nothing with it.

They run in this process, on wrk's processor, and are paced evenly over each second: two thousand bytes in one burst
would be felt by the very clients whose waiting is measured.
"""

import math
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from types import TracebackType
from typing import Protocol

from benchmarks import apps
from benchmarks.measure import MeasurementFailed
from benchmarks.process import HOST

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
PERIOD_S = 1.0
TICK_S = 0.005
POLL_S = 0.02
CONNECT_TIMEOUT_S = 5.0
# One source address has 28,000 ephemeral ports, some of them taken by the connections of earlier runs.
CONNECTIONS_PER_ADDRESS = 4_000
READ_BYTES_PER_PERIOD = 1_000
# As small as Linux lets it be, so that the server, not the kernel, has to keep the response.
RECEIVE_BUFFER_BYTES = 2_048


class Client(Protocol):
    """Something that does a little once a second."""

    started: bool

    def step(self) -> None:
        """Do this second's little."""

    def close(self) -> None:
        """Let go of the connection."""


class SlowSender:
    """Sends `opening` at once and then a byte a second; connects again when the server has had enough."""

    def __init__(self, port: int, opening: bytes, endless: bytes) -> None:
        self.started = False
        self.reconnections = 0
        self._port = port
        self._opening = opening
        self._endless = endless
        self._sent = 0
        self._socket: socket.socket | None = None

    @classmethod
    def of_head(cls, port: int) -> "SlowSender":
        """A client that never comes to the end of a header field."""
        return cls(port, b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ", b"x")

    @classmethod
    def of_body(cls, port: int) -> "SlowSender":
        """A client that never comes to the end of its body."""
        return cls(port, b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n", b"x")

    def step(self) -> None:
        try:
            if self._socket is None:
                self._socket = connect(self._port)
                self._socket.sendall(self._opening)
                self._socket.setblocking(False)
                self.reconnections += self.started
                self.started = True
            else:
                self._socket.send(self._endless)
        except BlockingIOError:
            pass  # the server reads nothing more: that is its right
        except OSError:
            self.close()

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


class SlowReader:
    """Asks for a large response and takes a kilobyte of it each second."""

    def __init__(self, port: int, path: str) -> None:
        self.started = False
        self._request = REQUEST.replace(b"GET /", b"GET " + path.encode())
        self._port = port
        self._socket: socket.socket | None = None

    def step(self) -> None:
        if self._socket is None:
            self._socket = connect(self._port, receive_buffer_bytes=RECEIVE_BUFFER_BYTES)
            self._socket.sendall(self._request)
            self._socket.setblocking(False)
            return
        # Nothing may have come yet: the server still has to begin.
        with suppress(BlockingIOError):
            self.started |= bool(self._socket.recv(READ_BYTES_PER_PERIOD))

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()


class Waiter:
    """Asks once, and waits for what becomes of it."""

    def __init__(self, port: int, path: str) -> None:
        self._socket = connect(port)
        self._socket.sendall(REQUEST.replace(b"GET /", b"GET " + path.encode()))
        self._begun = time.monotonic()

    def heard(self, timeout_s: float) -> tuple[float, bytes]:
        """Seconds until the first bytes came, or the end of the connection, and those; infinite when neither does."""
        self._socket.settimeout(timeout_s)
        try:
            data = self._socket.recv(READ_BYTES_PER_PERIOD)
        except TimeoutError:
            return math.inf, b""
        except OSError:
            data = b""
        finally:
            self._socket.close()
        return time.monotonic() - self._begun, data


class Trickle:
    """Steps many clients once a second each, evenly spread, on a thread, while the `with` block runs."""

    def __init__(self, clients: Sequence[Client]) -> None:
        self._clients = clients
        self._leaving = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="trickle")

    def __enter__(self) -> "Trickle":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._leaving.set()
        self._thread.join()
        for client in self._clients:
            client.close()

    @property
    def started(self) -> int:
        """How many clients have begun."""
        return sum(client.started for client in self._clients)

    def wait_until_started(self, timeout_s: float) -> None:
        """Wait for every client to begin. Raises MeasurementFailed when some cannot."""
        arrived = wait_until(lambda: self._failure is not None or self.started == len(self._clients), timeout_s)
        if self._failure is not None:
            raise MeasurementFailed(f"a slow client met {self._failure!r}")
        if not arrived:
            raise MeasurementFailed(f"only {self.started} of {len(self._clients)} slow clients were served")

    def _run(self) -> None:
        begun = time.monotonic()
        steps = 0
        try:
            while not self._leaving.wait(TICK_S):
                due = int((time.monotonic() - begun) / PERIOD_S * len(self._clients))
                while steps < due:
                    self._clients[steps % len(self._clients)].step()
                    steps += 1
        except OSError as error:
            self._failure = error


def idle_connections(port: int, count: int) -> AbstractContextManager[list[socket.socket]]:
    """Connections that have each had one answer and stay open, from as many loopback addresses as it takes."""
    return _connections(port, count, receive_answer)


def waiting_connections(port: int, count: int) -> AbstractContextManager[list[socket.socket]]:
    """Connections that have each asked for something and wait."""
    return _connections(port, count, lambda connection: None)


@contextmanager
def _connections(port: int, count: int, then: Callable[[socket.socket], object]) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        connections = []
        for number in range(count):
            source = f"127.0.0.{2 + number // CONNECTIONS_PER_ADDRESS}"
            connection = stack.enter_context(connect(port, source=source))
            connection.sendall(REQUEST)
            then(connection)
            connections.append(connection)
        yield connections


def receive_answer(connection: socket.socket) -> None:
    """Read the greeting, head and body, whole."""
    answer = b""
    while not answer.endswith(apps.BODY):
        received = connection.recv(4096)
        if not received:
            raise MeasurementFailed(f"the connection was closed after {answer!r}")
        answer += received


def is_open(connection: socket.socket) -> bool:
    """Whether the server has kept a connection it owes nothing."""
    connection.setblocking(False)
    try:
        return bool(connection.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return True
    except OSError:
        return False


def connect(port: int, *, source: str | None = None, receive_buffer_bytes: int = 0) -> socket.socket:
    """Connect to the server, from a given loopback address or with a small receive window."""
    connection = socket.socket()
    try:
        connection.settimeout(CONNECT_TIMEOUT_S)
        if receive_buffer_bytes:
            # Before connecting: the window is agreed on in the handshake.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        if source is not None:
            connection.bind((source, 0))
        connection.connect((HOST, port))
    except BaseException:
        connection.close()
        raise
    return connection


def wait_until(question: Callable[[], bool], timeout_s: float) -> bool:
    """Ask until the answer is yes; whether it came in time."""
    deadline = time.monotonic() + timeout_s
    while not (answer := question()) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return answer
