"""What the workers that dial are told on the command line: tokens, Unix sockets, TLS, and mistakes."""

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.workers.conftest import Client, Workers, need
from tests.workers.fronts import TOKEN, AnyFront
from tests.workers.runtimes import PHP, RUNTIMES, Runtime


@pytest.fixture(params=RUNTIMES, ids=lambda runtime: runtime.name)
def runtime(request: pytest.FixtureRequest) -> Runtime:
    """Each of them."""
    found: Runtime = request.param
    need(*found.needs)
    return found


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


Opens = Callable[..., Door]


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


def test_brings_its_token(
    runtime: Runtime, worker: Workers, make_front: Callable[..., AnyFront], tmp_path: Path
) -> None:
    front = make_front(token=TOKEN)
    token = tmp_path / "token"
    token.write_text("wrong\n")
    site = worker(runtime.command(tmp_path, front.url, "--token-file", str(token)))
    site.log.wait_for("it said .*401")
    # Another one needs no restart.
    token.write_text(f"{TOKEN}\n")
    assert Client(front.public)("GET", "/hello").body == b"hello"
    site.stop()


def test_an_application_the_front_does_not_know(
    runtime: Runtime, worker: Workers, front: AnyFront, tmp_path: Path
) -> None:
    command = runtime.command(tmp_path, front.url)
    command[command.index("site")] = "nobody"
    worker(command).log.wait_for("it said .*40[34].*nobody")


def test_by_a_unix_socket(runtime: Runtime, worker: Workers, door: Opens, ask: Client, tmp_path: Path) -> None:
    if runtime is PHP:
        pytest.skip("PHP's client of HTTP knows no Unix sockets")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(tmp_path / "api"))
    listener.listen()
    door(listener)
    site = worker(runtime.command(tmp_path, f"unix:{tmp_path / 'api'}"))
    assert ask("GET", "/hello").body == b"hello"
    site.stop()


def test_by_tls(runtime: Runtime, worker: Workers, door: Opens, ask: Client, tmp_path: Path) -> None:
    need("openssl", *(["/usr/share/perl5/IO/Socket/SSL.pm"] if runtime.name == "perl" else []))
    key, certificate = str(tmp_path / "key"), str(tmp_path / "certificate")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += [
        "-keyout",
        key,
        "-out",
        certificate,
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost",
    ]
    subprocess.run(command, check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0))
    door(listener, tls)
    url = f"https://localhost:{listener.getsockname()[1]}"
    # Who cannot verify the front does not talk to it.
    stranger = worker(runtime.command(tmp_path, url))
    stranger.log.wait_for("(?i)certificate")
    stranger.stop()
    site = worker(runtime.command(tmp_path, url), SSL_CERT_FILE=certificate, NODE_EXTRA_CA_CERTS=certificate)
    assert ask("GET", "/hello").body == b"hello"
    site.stop()


def test_says_what_it_needs(runtime: Runtime, tmp_path: Path) -> None:
    program, application = runtime.build(tmp_path)
    done = subprocess.run([*program, *application], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "--from" in done.stdout + done.stderr
