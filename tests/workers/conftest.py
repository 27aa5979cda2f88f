"""Starts workers on the runtimes that this machine has, against a front that the tests do not know by name.

A runtime that is missing skips its tests with a reason, except where DRAWBAR_TEST_RUNTIMES is `required`: there it
fails them, so that CI cannot pass by having nothing installed.
"""

import os
import shutil
import signal
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.raw import RawClient, Response
from tests.support.server import PATIENCE_S, Log
from tests.workers.fronts import FRONTS, AnyFront

# Where Debian keeps the modules that its node-* packages install.
NODE_PATH = "/usr/share/nodejs"


class Door:
    """A way to a front's API: what comes in at `listener` is passed on, bytes for bytes."""

    def __init__(self, listener: socket.socket, to: tuple[str, int], tls: ssl.SSLContext | None = None) -> None:
        self._listener, self._to, self._tls = listener, to, tls
        self._threads = [threading.Thread(target=self._accept)]
        self._open: list[socket.socket] = []
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                inside, _ = self._listener.accept()
                self._open.append(inside)
                # Who does not like the certificate breaks off.
                with suppress(OSError):
                    self._connect(self._tls.wrap_socket(inside, server_side=True) if self._tls else inside)

    def _connect(self, near: socket.socket) -> None:
        far = socket.create_connection(self._to)
        self._open += [near, far]
        # ssl allows one thread that reads beside one that writes.
        for source, sink in ((near, far), (far, near)):
            self._threads.append(threading.Thread(target=self._pass, args=(source, sink)))
            self._threads[-1].start()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Ends what is open, and the threads."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        for end in self._open:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for end in [self._listener, *self._open]:
            end.close()


class Worker:
    """One worker and its log. It must end with exit code 0 when told to."""

    def __init__(self, command: list[str], env: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr is not None
        self.log = Log(self.process.stderr)
        self._ended = False

    def stop(self) -> None:
        """Asks it to leave, and checks that it does, with nobody left behind. Unless the test has seen its end."""
        if self._ended:
            return
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.wait()

    def wait(self, status: int = 0) -> None:
        """Waits until it ended."""
        self._ended = True
        try:
            ended_with = self.process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            self.log.close()
            raise AssertionError(f"still running:\n{self.log.text}") from None
        self.log.close()
        assert ended_with == status, f"exit code {ended_with}:\n{self.log.text}"


class Workers:
    """Starts them, and ends those that still run."""

    def __init__(self) -> None:
        self._started: list[Worker] = []

    def __call__(self, command: list[str], *options: str, says: str = "slots for", **env: str) -> Worker:
        """Runs `command`; returns once it said `says`, by which time it listens to signals."""
        worker = Worker([*command, *options], {**os.environ, "NODE_PATH": NODE_PATH, **env})
        self._started.append(worker)
        if says:
            worker.log.wait_for(says)
        return worker

    def stop(self) -> None:
        for worker in self._started:
            worker.stop()


class Client:
    """Asks a front's public port; a connection for each request."""

    def __init__(self, public: tuple[str, int]) -> None:
        self._public = public
        self._open: list[RawClient] = []

    def begin(self, method: str, target: str, *fields: str, body: bytes | None = None) -> RawClient:
        """Sends a request."""
        raw = RawClient(self._public)
        self._open.append(raw)
        length = [] if body is None else [f"Content-Length: {len(body)}"]
        head = "\r\n".join([f"{method} {target} HTTP/1.1", "Host: shop.test:8080", *fields, *length, "", ""])
        raw.send(head.encode() + (body or b""))
        return raw

    def __call__(self, method: str, target: str, *fields: str, body: bytes | None = None) -> Response:
        """The response to a request."""
        with self.begin(method, target, *fields, body=body) as raw:
            return raw.response(method)

    def close(self) -> None:
        for raw in self._open:
            raw.close()


Opens = Callable[..., Door]


def leave_while_asked(site: Worker, ask: Client, gate: Path) -> bytes:
    """Tells a worker to leave while it has a request, and waits until it has; what the client got."""
    os.mkfifo(gate)
    client = ask.begin("GET", f"/wait?{gate}")
    with gate.open("w") as writing:
        site.process.send_signal(signal.SIGTERM)
        writing.write("done")
    body = client.response().body
    site.wait()
    return body


def need(*programs: str) -> None:
    """Skips, or where runtimes are required fails, unless each of `programs` is there: a command or a path."""
    missing = [name for name in programs if not (shutil.which(name) or Path(name).exists())]
    if missing and os.environ.get("DRAWBAR_TEST_RUNTIMES") == "required":
        pytest.fail(f"not installed: {', '.join(missing)}")
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")


@pytest.fixture(params=FRONTS)
def make_front(request: pytest.FixtureRequest) -> Iterator[Callable[..., AnyFront]]:
    """Starts fronts: `make_front(token=TOKEN)`."""
    fronts: list[AnyFront] = []

    def make(**options: str) -> AnyFront:
        fronts.append(FRONTS[request.param](**options))
        return fronts[-1]

    yield make
    for front in fronts:
        front.close()


@pytest.fixture
def front(make_front: Callable[..., AnyFront]) -> AnyFront:
    """A front with one application, `site`."""
    return make_front()


@pytest.fixture
def ask(front: AnyFront) -> Iterator[Client]:
    """Asks the front."""
    client = Client(front.public)
    yield client
    client.close()


@pytest.fixture
def worker(front: AnyFront) -> Iterator[Workers]:
    """Starts workers. They are stopped before the front is."""
    workers = Workers()
    yield workers
    workers.stop()


@pytest.fixture
def door(front: AnyFront) -> Iterator[Opens]:
    """Opens doors to the front."""
    doors: list[Door] = []

    def opened(listener: socket.socket, tls: ssl.SSLContext | None = None) -> Door:
        host, _, port = front.url.removeprefix("http://").partition(":")
        doors.append(Door(listener, (host, int(port)), tls))
        return doors[-1]

    yield opened
    for one in doors:
        one.close()
