"""A front that does what the test says: plain sockets that speak the attach lane, without a line of Drawbar's own.

Nothing runs beside the test: it accepts, answers and asks when the test does.
"""

import socket
import ssl
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.raw import RawClient
from tests.support.server import PATIENCE_S

AGREED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: PTTH/1.0\r\n"
GET = b"GET / HTTP/1.1\r\nHost: site.example\r\n\r\n"


class Dialled(RawClient):
    """A connection a worker has dialled; `head` is what it asked. After agree() the test is its client."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.socket.settimeout(PATIENCE_S)
        self.received = b""
        self.head = self.read_until(b"\r\n\r\n")

    @property
    def fields(self) -> dict[str, str]:
        """Of the question, by lower-case name."""
        lines = self.head.decode().split("\r\n")[1:-2]
        return {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}

    def agree(self, *, releases: bool = False, first: bytes = b"") -> Self:
        """Takes the worker. first: sent in the same piece."""
        self.send(AGREED + (b"Drawbar-Releases: 1\r\n" if releases else b"") + b"\r\n" + first)
        return self

    def refuse(self, status: str, body: bytes = b"", kind: str = "application/problem+json") -> None:
        """Answers the question otherwise, and closes."""
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        self.send(head.encode() + body)
        self.close()


class ScriptedFront:
    """The listening socket of a front. path: a Unix socket's; tls: what its connections are secured with."""

    def __init__(self, path: Path | None = None, tls: ssl.SSLContext | None = None) -> None:
        self._path, self._tls = path, tls
        self._dialled: list[Dialled] = []
        self._listener = self._listen(path if path is not None else ("127.0.0.1", 0))

    def _listen(self, where: Path | tuple[str, int]) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX if isinstance(where, Path) else socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(str(where) if isinstance(where, Path) else where)
        listener.listen(128)
        listener.settimeout(PATIENCE_S)
        return listener

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """Of a TCP front."""
        return int(self._listener.getsockname()[1])

    @property
    def url(self) -> str:
        """What a worker is told."""
        if self._path is not None:
            return f"unix:{self._path}"
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def accept(self) -> Dialled:
        """The next connection, with its question."""
        sock, _ = self._listener.accept()
        if self._tls is not None:
            sock.settimeout(PATIENCE_S)
            sock = self._tls.wrap_socket(sock, server_side=True)
        dialled = Dialled(sock)
        self._dialled.append(dialled)
        return dialled

    def attached(self, count: int, *, releases: bool = False) -> list[Dialled]:
        """So many connections, all agreed to."""
        return [self.accept().agree(releases=releases) for _ in range(count)]

    def has_none_waiting(self) -> bool:
        """No connection waits to be accepted."""
        self._listener.setblocking(False)
        try:
            sock, _ = self._listener.accept()
        except BlockingIOError:
            return True
        finally:
            self._listener.settimeout(PATIENCE_S)
        sock.close()
        return False

    def vanish(self) -> int:
        """Closes everything, as a killed front's kernel does; its port, for return_on()."""
        port = self.port
        self.stop()
        return port

    def return_on(self, port: int) -> None:
        """Listens again."""
        self._listener = self._listen(("127.0.0.1", port))

    def stop(self) -> None:
        """Closes all."""
        for dialled in self._dialled:
            dialled.close()
        self._dialled.clear()
        self._listener.close()


class Authority:
    """A certificate authority in a folder, made by openssl: `ca` is its certificate."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = folder / "ca.pem"
        self._make("ca", "/CN=Test CA", "basicConstraints=critical,CA:TRUE")

    def _make(self, name: str, subject: str, extension: str, *more: str) -> None:
        key, certificate = self.folder / f"{name}.key", self.folder / f"{name}.pem"
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        command += ["-days", "2", "-keyout", str(key), "-out", str(certificate), "-subj", subject]
        subprocess.run([*command, "-addext", extension, *more], check=True, capture_output=True)

    def issue(self, name: str, names: str = "IP:127.0.0.1") -> tuple[Path, Path]:
        """A certificate for `names` and its key."""
        more = ["-CA", str(self.ca), "-CAkey", str(self.folder / "ca.key"), "-addext", f"subjectAltName={names}"]
        self._make(name, f"/CN={name}", "basicConstraints=critical,CA:FALSE", *more)
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"

    def server_context(self, *, names: str = "IP:127.0.0.1", wants_client: bool = False) -> ssl.SSLContext:
        """TLS of a front."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue("front", names))
        if wants_client:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.ca)
        return context
