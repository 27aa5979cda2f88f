"""Drawbar as its users start it: a process of its own, on a port the kernel chose, known by what it logs.

Nothing here sleeps or polls. The server is ready when its start-up line says so, and whatever a test waits for in
the log wakes it.
"""

import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
# Generous: a build that traces every line is many times slower, and a deadline is not what these tests are about.
PATIENCE_S = 60.0

STARTED = re.compile(r"serving (?P<name>\S+)(?: \((?P<interface>\w+)\))? (?:on|for) (?P<listeners>.+)")
FRONT = re.compile(
    r"\d front on (?P<listeners>.+) for (?P<apps>.+?)(?:; workers (?:elsewhere )?pull from (?P<api>.+))? \(pid"
)
TCP = re.compile(r"(?P<scheme>https?)://(?P<host>\[[^\]]+\]|[^:/\s,]+):(?P<port>\d+)")


class Log:
    """The lines a process writes to one pipe, as they come."""

    def __init__(self, pipe: IO[str]) -> None:
        self._pipe = pipe
        self._lines: list[str] = []
        self._ended = False
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._pipe:
            with self._changed:
                self._lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def lines(self) -> list[str]:
        """All lines so far."""
        with self._changed:
            return list(self._lines)

    @property
    def text(self) -> str:
        """All lines so far, as one text."""
        return "\n".join(self.lines)

    def wait_for(self, pattern: str | re.Pattern[str]) -> re.Match[str]:
        """The first match of `pattern` in a line, once there is one; AssertionError when the log ends without it."""
        return self.wait_for_many(pattern, 1)[0]

    def wait_for_many(self, pattern: str | re.Pattern[str], count: int) -> list[re.Match[str]]:
        """The first `count` lines' matches of `pattern`, once there are as many."""

        def matches() -> list[re.Match[str]]:
            return [match for line in self._lines if (match := re.search(pattern, line))]

        with self._changed:
            in_time = self._changed.wait_for(lambda: len(matches()) >= count or self._ended, PATIENCE_S)
            found = matches()
        if len(found) >= count:
            return found[:count]
        why = "it ended" if in_time else f"{PATIENCE_S:.0f} s passed"
        raise AssertionError(f"{why} with {len(found)} of {count} lines like {pattern!r} in the log:\n{self.text}")

    def close(self) -> None:
        """Reads what is left. For once the process has ended; AssertionError when it left others behind."""
        self._reader.join(PATIENCE_S)
        assert not self._reader.is_alive(), f"a process outlives the master:\n{self.text}"
        self._pipe.close()


class Server:
    """One `python -m drawbar run` and its log. `port` and `url` are those of its first TCP listener, if it has one."""

    def __init__(
        self, command: Sequence[str], env: dict[str, str] | None, cwd: Path, activation: "Activation | None" = None
    ) -> None:
        whole = [sys.executable, "-m", "drawbar", *command]
        self.process = subprocess.Popen(
            whole if activation is None else activation.wrap(whole),
            cwd=cwd,
            env=env,
            pass_fds=() if activation is None else [sock.fileno() for sock in activation.sockets],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="backslashreplace",
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.log = Log(self.process.stderr)
        self.output = Log(self.process.stdout)
        self.interface = ""
        self.host = ""
        self.port = 0
        self.ports: list[int] = []
        self.api = ""
        """Where workers pull from a front, as its first URL."""
        self._stopped = False

    @property
    def url(self) -> str:
        """Where the first TCP listener is, without a slash at the end."""
        return f"http://{self.host}:{self.port}"

    def wait_until_ready(self) -> None:
        """Returns once the start-up line is there; what it says is then known."""
        started = self.log.wait_for(f"{STARTED.pattern}|{FRONT.pattern.replace('listeners', 'site')}")
        front = FRONT.search(started.string)
        if front is not None:
            self._listens_on(front["listeners"])
            self.api = (front["api"] or "").split(", ")[0]
            return
        self.interface = started["interface"] or ""
        if " for " in started[0]:
            # Of a front, which is nobody's to connect to as if it were the server.
            return
        self._listens_on(started["listeners"])

    def _listens_on(self, listeners: str) -> None:
        found = list(TCP.finditer(listeners))
        self.ports = [int(listener["port"]) for listener in found]
        if found:
            self.host, self.port = found[0]["host"], self.ports[0]

    def wait(self) -> int:
        """Waits until the server ends by itself; its exit code."""
        status = self.process.wait(PATIENCE_S)
        self._stopped = True
        self.log.close()
        self.output.close()
        return status

    def stop(self, number: signal.Signals = signal.SIGTERM, status: int = 0) -> None:
        """Asks the server to stop and checks that it does, with exit code `status`."""
        if self._stopped:
            return
        self.process.send_signal(number)
        try:
            ended_with = self.wait()
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running {PATIENCE_S:.0f} s after {number.name}:\n{self.log.text}") from None
        assert ended_with == status, f"exit code {ended_with}, not {status}:\n{self.log.text}"

    def kill(self) -> None:
        """Ends the server however it is."""
        self.process.kill()
        self.wait()


class Activation(NamedTuple):
    """Sockets that a service manager passes, and the names of their units in its order."""

    sockets: Sequence[socket.socket]
    names: str = ""

    def wrap(self, command: Sequence[str]) -> list[str]:
        """The command that starts `command` with them."""
        descriptors = ",".join(str(sock.fileno()) for sock in self.sockets)
        return [sys.executable, str(ROOT / "tests" / "support" / "activate.py"), descriptors, self.names, *command]


class Servers:
    """Starts servers and, at the end, stops those still running and checks that each ended well."""

    def __init__(self) -> None:
        self._started: list[Server] = []

    def __call__(
        self,
        target: str | None,
        *options: str,
        chdir: Path | None = None,
        bind: str | None = "127.0.0.1:0",
        env: dict[str, str] | None = None,
        command: str = "run",
        cwd: Path = ROOT,
        ready: bool = True,
        activation: "Activation | None" = None,
        toml: str | None = None,
    ) -> Server:
        """`drawbar run TARGET OPTIONS...`, ready to serve. `ready=False` for one that is expected not to start.

        toml: the drawbar.toml it finds in `cwd`.
        """
        if toml is not None:
            (cwd / "drawbar.toml").write_text(toml)
        arguments = [command] if target is None else [command, target]
        if bind is not None:
            arguments += ["--bind", bind]
        if chdir is not None:
            arguments += ["--chdir", str(chdir)]
        server = Server([*arguments, *options], env, cwd, activation)
        self._started.append(server)
        if ready:
            try:
                server.wait_until_ready()
            except AssertionError:
                server.kill()
                raise
        return server

    def stop(self) -> None:
        """Stops each; the first failure is raised once all are down."""
        failures = [failure for server in reversed(self._started) if (failure := _failure(server.stop))]
        if failures:
            raise failures[0]


def _failure(stop: Callable[[], None]) -> AssertionError | None:
    try:
        stop()
    except AssertionError as failure:
        return failure
    return None
