"""The life of a measured server: started in a session of its own on its own processor, asked until it answers, ended.

Whatever happens to the run, every process of the session is gone when `running` is left.
"""

import http.client
import json
import os
import secrets
import signal
import socket
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import apps, measure
from benchmarks.measure import MeasurementFailed, Memory
from benchmarks.network import Side, network
from benchmarks.servers import Server

HERE = Path(__file__).resolve().parent
HOST = "127.0.0.1"
BOOT_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 3.0
POLL_S = 0.02
LOG_TAIL_LINES = 5
CONFIG_FILES = {"drawbar": "drawbar.toml", "gunicorn": "gunicorn.conf.py"}
"""What a server reads again when it is reloaded, in {scratch}; empty at the start."""
RECYCLING = {
    "drawbar": "[lifecycle]\nmax_requests = {requests}\nmax_requests_jitter = {jitter}\n",
    "gunicorn": "max_requests = {requests}\nmax_requests_jitter = {jitter}\n",
}
JITTER_SHARE = 10
API_SOCKET = "api.sock"
TOKEN = "token"
"""File with the token of a front that wants one."""
UNCOUNTED = "uncounted"
"""Directory of the environment with the build that counts nothing."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers."""

    server: Server
    port: int
    session: int
    scratch: Path
    values: dict[str, str]
    """What commands may name."""
    beside: int | None = None
    """The session of what was started beside it."""
    sides: dict[str, Side] = field(default_factory=dict)

    def url(self, path: str = "/") -> str:
        """Where it is reached."""
        return f"http://{HOST}:{self.port}{path}"

    def cpu_us(self) -> float:
        """Processor time of its processes so far, in µs."""
        return measure.cpu_us(self.session)

    def memory(self, name: str | None = None) -> Memory:
        """Memory of its processes now, or of those that are called `name`."""
        return measure.memory(self.session, name)

    def recycle_after(self, requests: int) -> None:
        """Has its configuration say so; a reload makes it true."""
        family = self.server.family
        text = RECYCLING[family].format(requests=requests, jitter=requests // JITTER_SHARE)
        (self.scratch / CONFIG_FILES[family]).write_text(text)

    def get(self, path: str = "/", timeout_s: float = 5.0) -> bytes:
        """One request on a connection of its own."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=timeout_s)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
        finally:
            connection.close()
        if response.status != http.HTTPStatus.OK:
            raise MeasurementFailed(f"{path} was answered with {response.status}")
        return body

    def ask_api(self, path: str) -> Any:
        """What a front's API says at `path`, as JSON or text. OSError as long as it is not there."""
        token = self.scratch / TOKEN
        fields = {"Authorization": f"Bearer {token.read_text()}"} if token.exists() else {}
        connection = UnixConnection(self.scratch / API_SOCKET)
        try:
            connection.request("GET", path, headers=fields)
            response = connection.getresponse()
            body = response.read().decode()
        finally:
            connection.close()
        if response.status != http.HTTPStatus.OK:
            raise MeasurementFailed(f"{path} was answered with {response.status}: {body}")
        return json.loads(body) if "json" in response.getheader("Content-Type", "") else body

    @contextmanager
    def also(self, command: Sequence[str], log: str) -> Iterator[int]:
        """Something more while the block runs, on the processor of this program; its session."""
        process = launch([], command, self.values, log)
        try:
            yield process.pid
        finally:
            stop(process)


class UnixConnection(http.client.HTTPConnection):
    """To a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=STOP_TIMEOUT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


@contextmanager
def running(server: Server, app: str, server_cpu: int) -> Iterator[Running]:
    """Start a server on one processor, wait until it answers as the others do, and end all of it on leaving."""
    with tempfile.TemporaryDirectory(prefix="drawbar-bench-") as scratch, a_network_of(server) as sides:
        port = free_port()
        values = values_of(app_name(server, app), port, scratch)
        log = Path(scratch, "log")
        master = start(server, values, server_cpu)
        beside = start_beside(server, values, server_cpu) if server.beside else None
        try:
            session = beside.pid if beside is not None else None
            up = Running(server, port, master.pid, Path(scratch), values, session, sides)
            wait_until_up(up, master, log)
            yield up
        finally:
            stop(master)
            if beside is not None:
                stop(beside)


def a_network_of(server: Server) -> AbstractContextManager[dict[str, Side]]:
    """Its own, where it asks for one."""
    return network(*server.sides) if server.sides else nullcontext({})


def app_name(server: Server, app: str) -> str:
    """The application of apps.py that stands for a case's in the server's interface."""
    return f"{app}_asgi" if server.interface == "asgi" else app


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


def start(server: Server, values: dict[str, str], server_cpu: int) -> "subprocess.Popen[bytes]":
    """Start a server's first process, pinned, leading its own session, its words going to `scratch`/log."""
    uncounted = Path(sys.prefix, UNCOUNTED)
    if any("{uncounted}" in part for part in server.command) and not uncounted.is_dir():
        raise MeasurementFailed(f"there is no {uncounted}: `make bench` builds it")
    scratch = values["scratch"]
    for settings in HERE.glob(f"{server.family}*.conf"):
        Path(scratch, settings.name).write_text(string.Template(settings.read_text()).substitute(values))
    if server.family in CONFIG_FILES:
        Path(scratch, CONFIG_FILES[server.family]).touch()
    if any(part.endswith(f"/{TOKEN}") for part in server.command):
        Path(scratch, TOKEN).write_text(secrets.token_urlsafe())
    return launch(pinned(server_cpu), server.command, values, "log")


def start_beside(server: Server, values: dict[str, str], server_cpu: int) -> "subprocess.Popen[bytes]":
    """Start what answers for a server that passes requests on; unless near, on the processor of this program."""
    return launch(pinned(server_cpu) if server.near else [], server.beside, values, "log-beside")


def pinned(processor: int) -> list[str]:
    """What a command is put after to run on one processor."""
    return ["taskset", "-c", str(processor)]


def values_of(app: str, port: int, scratch: str) -> dict[str, str]:
    """What commands and configuration files may name."""
    return {
        "uncounted": str(Path(sys.prefix, UNCOUNTED)),
        "python": sys.executable,
        "port": str(port),
        "api_port": str(free_port()),
        "app": app,
        "scratch": scratch,
        "here": str(HERE),
    }


def launch(prefix: list[str], command: Sequence[str], values: dict[str, str], log: str) -> "subprocess.Popen[bytes]":
    """Start a process that leads its own session, its words going to a file in `scratch`."""
    scratch = values["scratch"]
    with Path(scratch, log).open("wb") as stream:
        return subprocess.Popen(
            [*prefix, *(part.format_map(values) for part in command)],
            cwd=HERE,
            env=os.environ | {"TMPDIR": scratch, "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def wait_until_up(up: Running, master: "subprocess.Popen[bytes]", log: Path) -> None:
    """Ask until the greeting comes. Raises MeasurementFailed with the end of the log when it does not."""
    deadline = time.monotonic() + BOOT_TIMEOUT_S
    problem = "no answer"
    while time.monotonic() < deadline:
        if master.poll() is not None:
            problem = f"ended with {master.returncode}"
            break
        try:
            body = up.get() if up.server.greets else alive(up)
        except (OSError, http.client.HTTPException):
            time.sleep(POLL_S)
            continue
        if body != apps.BODY:
            raise MeasurementFailed(f"answered {body[:60]!r}")
        return
    tail = " | ".join(log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
    raise MeasurementFailed(f"{problem}: {tail or 'no message'}")


def alive(up: Running) -> bytes:
    """A front without workers, which has nobody to greet: its probe stands for the greeting."""
    up.ask_api("/livez")
    return apps.BODY


def stop(master: "subprocess.Popen[bytes]") -> None:
    """Ask the server to end, then end every process left in its session."""
    if master.poll() is None:
        master.terminate()
        with suppress(subprocess.TimeoutExpired):
            master.wait(STOP_TIMEOUT_S)
    for left in measure.session_processes(master.pid):
        try:
            os.kill(left.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    master.wait()
