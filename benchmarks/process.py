"""The life of a measured server: started in a session of its own on its own processor, asked until it answers, ended.

Whatever happens to the run, every process of the session is gone when `running` is left.
"""

import http.client
import os
import signal
import socket
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from benchmarks import apps, measure
from benchmarks.measure import MeasurementFailed, Memory
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
UNCOUNTED = "uncounted"
"""Directory of the environment with the build that counts nothing."""


@dataclass(frozen=True, slots=True)
class Running:
    """A server that answers."""

    server: Server
    port: int
    session: int
    scratch: Path

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


@contextmanager
def running(server: Server, app: str, server_cpu: int) -> Iterator[Running]:
    """Start a server on one processor, wait until it answers as the others do, and end all of it on leaving."""
    with tempfile.TemporaryDirectory(prefix="drawbar-bench-") as scratch:
        port = free_port()
        log = Path(scratch, "log")
        master = start(server, app_name(server, app), port, scratch, server_cpu)
        beside = start_beside(server, app_name(server, app), port, scratch, server_cpu) if server.beside else None
        try:
            up = Running(server, port, master.pid, Path(scratch))
            wait_until_up(up, master, log)
            yield up
        finally:
            stop(master)
            if beside is not None:
                stop(beside)


def app_name(server: Server, app: str) -> str:
    """The application of apps.py that stands for a case's in the server's interface."""
    return f"{app}_asgi" if server.interface == "asgi" else app


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


def start(server: Server, app: str, port: int, scratch: str, server_cpu: int) -> "subprocess.Popen[bytes]":
    """Start a server's first process, pinned, leading its own session, its words going to `scratch`/log."""
    uncounted = Path(sys.prefix, UNCOUNTED)
    if any("{uncounted}" in part for part in server.command) and not uncounted.is_dir():
        raise MeasurementFailed(f"there is no {uncounted}: `make bench` builds it")
    values = values_of(app, port, scratch)
    for settings in HERE.glob(f"{server.family}*.conf"):
        Path(scratch, settings.name).write_text(string.Template(settings.read_text()).substitute(values))
    if server.family in CONFIG_FILES:
        Path(scratch, CONFIG_FILES[server.family]).touch()
    return launch(pinned(server_cpu), server.command, values, "log")


def start_beside(server: Server, app: str, port: int, scratch: str, server_cpu: int) -> "subprocess.Popen[bytes]":
    """Start what answers for a server that passes requests on; unless near, on the processor of this program."""
    return launch(pinned(server_cpu) if server.near else [], server.beside, values_of(app, port, scratch), "log-beside")


def pinned(processor: int) -> list[str]:
    """What a command is put after to run on one processor."""
    return ["taskset", "-c", str(processor)]


def values_of(app: str, port: int, scratch: str) -> dict[str, str]:
    """What commands and configuration files may name."""
    return {
        "uncounted": str(Path(sys.prefix, UNCOUNTED)),
        "python": sys.executable,
        "port": str(port),
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
            body = up.get()
        except (OSError, http.client.HTTPException):
            time.sleep(POLL_S)
            continue
        if body != apps.BODY:
            raise MeasurementFailed(f"answered {body[:60]!r}")
        return
    tail = " | ".join(log.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:])
    raise MeasurementFailed(f"{problem}: {tail or 'no message'}")


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
