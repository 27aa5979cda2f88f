"""Runs `desk_master.py` and speaks to its doors, as any HTTP client would."""

import http.client
import json
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import msgspec

from drawbar.supervisor.control import unix_http
from tests.support.server import PATIENCE_S, Log


class Answer(NamedTuple):
    """A whole response. Header names are lower case."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.text)


class UnixConnection(unix_http.UnixConnection):
    """To a Unix socket, with a test's patience."""

    def __init__(self, path: str) -> None:
        super().__init__(path, PATIENCE_S)


class Desked:
    """A running `desk_master.py`; `path` is its control socket, `metrics` the addresses of its other doors."""

    def __init__(self, env: dict[str, str] | None = None, cwd: Path | None = None, **options: Any) -> None:
        program = str(Path(__file__).with_name("desk_master.py"))
        self.process = subprocess.Popen(
            [sys.executable, program, json.dumps(options)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=env,
            cwd=cwd,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.events = Log(self.process.stdout)
        self.log = Log(self.process.stderr)
        self.path = ""
        self.metrics: list[tuple[str, int]] = []

    @property
    def pid(self) -> int:
        return self.process.pid

    def __enter__(self) -> Self:
        try:
            _, path, *metrics = self.events.wait_for(r"^doors .*").group().split()
        except AssertionError:
            self.end(signal.SIGKILL)
            raise
        self.path = "" if path == "-" else path
        for address in metrics:
            host, _, port = address.removeprefix("http://").rpartition(":")
            self.metrics.append((host.strip("[]"), int(port)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        status = self.end(signal.SIGTERM)
        if kind is None:
            assert status == 0, self.log.text

    def end(self, number: signal.Signals) -> int:
        """Ends the master, if it has not ended; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(PATIENCE_S)
        self.events.close()
        self.log.close()
        return status

    def connection(self) -> UnixConnection:
        """A connection to the control socket, not open yet."""
        return UnixConnection(self.path)

    def ask(self, method: str, target: str, body: Any = None) -> Answer:
        """One request on a connection of its own; `body` is sent as it is when it is bytes, else as JSON."""
        return ask(self.connection(), method, target, body)

    def ask_metrics(self, method: str, target: str) -> Answer:
        """The same at the first of the other doors."""
        return ask(http.client.HTTPConnection(*self.metrics[0], timeout=PATIENCE_S), method, target)

    def children(self) -> list[int]:
        """Process ids of its children: a control process, or none."""
        text = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(pid) for pid in text.split()]


def ask(connection: http.client.HTTPConnection, method: str, target: str, body: Any = None) -> Answer:
    """One request, and the connection closed."""
    data = body if body is None or isinstance(body, bytes) else msgspec.json.encode(body)
    try:
        connection.request(method, target, data)
        response = connection.getresponse()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read().decode())
    finally:
        connection.close()
