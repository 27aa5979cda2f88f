"""Follows a `small_master.py`: one line to it, lines from it, each wait bounded."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

from tests.supervisor.harness import PATIENCE_S, Lines
from tests.support.raw import RawClient, Response

ROOT = Path(__file__).resolve().parents[3]


class Forked:
    """A small master with a fork server for the application `target` of tests/supervisor/preload/sites."""

    def __init__(self, target: str, **options: Any) -> None:
        app = {"target": f"tests.supervisor.preload.sites.{target}", "threads": {"minimum": 1, "maximum": 4}}
        options = {"app": app, "lifecycle": {"preload": True}, **options}
        program = str(Path(__file__).with_name("small_master.py"))
        self.process = subprocess.Popen(
            [sys.executable, program, json.dumps(options)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._lines = Lines(self.process.stdout.fileno())
        self.log = Lines(self.process.stderr.fileno())
        self.port = int(self.line("listening")[0])
        self.server = int(self.line("server")[0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Fork server and workers end with it.
        self.process.kill()
        self.process.wait(PATIENCE_S)
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert pipe is not None
            pipe.close()

    def line(self, start: str) -> list[str]:
        """The words behind `start` in the next line that begins so."""
        return self._lines.until(lambda line: line.startswith(f"{start} ")).removeprefix(start).split()

    def tell(self, command: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()

    def reported(self, pid: int) -> str:
        """The next report of this child."""
        return " ".join(self.line(f"report {pid}"))

    def ended(self, pid: int) -> int:
        """The exit code with which this child ends."""
        return int(self.line(f"end {pid}")[0])

    def fork(self, slot: int = 1) -> int:
        """A new worker, ready."""
        self.tell(f"fork {slot}")
        pid = int(self.line("worker")[0])
        assert self.reported(pid).startswith("ready")
        return pid

    def get(self, path: str = "/") -> Response:
        with RawClient(("127.0.0.1", self.port)) as client:
            client.send(b"GET %s HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n" % path.encode())
            return client.response()

    def facts(self, path: str = "/") -> dict[str, Any]:
        """What the application says of the worker that answers."""
        found: dict[str, Any] = json.loads(self.get(path).body)
        return found

    def promote(self, pid: int) -> str:
        """Has the worker drain; what it reports then."""
        self.tell(f"promote {pid}")
        return self.reported(pid)

    def adopt(self, pid: int) -> None:
        """From now on the promoted worker is the fork server."""
        self.tell(f"adopt {pid}")
        assert self.line("server") == [str(pid)]
        self.ended(self.server)
        self.server = pid
