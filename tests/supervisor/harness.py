"""Runs `serving.py` and follows it by its events: pipes and process descriptors, each wait bounded."""

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

PATIENCE_S = 60.0
"""Bound of every wait: past it the test fails. Nothing waits this long when all is well."""


class Lines:
    """Reads a pipe line by line and keeps what it has read."""

    def __init__(self, descriptor: int) -> None:
        self.seen: list[str] = []
        self._descriptor = descriptor
        self._unread = b""
        self._lines: list[str] = []

    def until(self, wanted: Callable[[str], bool]) -> str:
        """The next line that is wanted; those before it are passed over."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            while self._lines:
                line = self._lines.pop(0)
                if wanted(line):
                    return line
            if not self._read(deadline):
                raise AssertionError(f"ended without the line; had {self.seen}")

    def rest(self) -> list[str]:
        """Everything, when the last writer has gone."""
        deadline = time.monotonic() + PATIENCE_S
        while self._read(deadline):
            pass
        return self.seen

    def _read(self, deadline: float) -> bool:
        if not readable(self._descriptor, deadline - time.monotonic()):
            raise AssertionError(f"nothing came; had {self.seen}")
        data = os.read(self._descriptor, 65536)
        *lines, self._unread = (self._unread + data).split(b"\n")
        self._lines += [line.decode() for line in lines]
        self.seen += [line.decode() for line in lines]
        return bool(data)


class Serving:
    """A master and its workers, killed at the end of the test whatever became of them."""

    def __init__(self, behaviour: str, cwd: Path | None = None, pass_fds: tuple[int, ...] = (), **options: Any) -> None:
        events, writer = os.pipe()
        program = str(Path(__file__).with_name("serving.py"))
        command = [sys.executable, program, str(writer), behaviour, json.dumps(options)]
        self.process = subprocess.Popen(
            command, stderr=subprocess.PIPE, cwd=cwd, pass_fds=(writer, *pass_fds), process_group=0
        )
        os.close(writer)
        assert self.process.stderr is not None
        self.log = Lines(self.process.stderr.fileno())
        self.events = Lines(events)
        self._events_fd = events

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Workers die with their master; the next master is in its process group.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process.stderr.close()  # type: ignore[union-attr]
        os.close(self._events_fd)

    def event(self, name: str) -> tuple[list[str], int]:
        """The next event of this name: its words, and the process that told it."""
        *words, pid = self.events.until(lambda line: line.startswith(name)).split()
        return words[1:], int(pid)

    def next_event(self) -> str:
        """The name of the next event."""
        return self.events.until(lambda line: True).split()[0]

    def logged(self, pattern: str) -> str:
        """The next line of the log that matches."""
        return self.log.until(lambda line: re.search(pattern, line) is not None)

    def port(self) -> int:
        """From the line of the start."""
        found = re.search(r":(\d+), ", self.logged("serving"))
        assert found is not None
        return int(found[1])

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def wait(self) -> int:
        """The master's exit code."""
        return self.process.wait(PATIENCE_S)

    def stop(self) -> int:
        self.signal(signal.SIGTERM)
        return self.wait()


def readable(descriptor: int, timeout_s: float) -> bool:
    """Waits for the descriptor to have something; for that of a process, for its end."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(max(0, timeout_s) * 1000))


def ends(pidfd: int) -> bool:
    """The process of this descriptor ends within PATIENCE_S."""
    try:
        return readable(pidfd, PATIENCE_S)
    finally:
        os.close(pidfd)
