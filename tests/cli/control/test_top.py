"""`drawbar top` on a real terminal, the other end of which the test holds, and where there is none."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.support.desk import Desked
from tests.support.server import PATIENCE_S

SECOND_SCREEN = b"\x1b[?1049h"
FIRST_SCREEN = b"\x1b[?1049l"
HOME = b"\x1b[H"


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desked]:
    with Desked(control={"socket": str(tmp_path_factory.mktemp("top") / "c.sock")}) as running:
        yield running


class Terminal:
    """A program on a terminal of this size; what it writes, and the keys it gets."""

    def __init__(self, *arguments: str, columns: int = 80, lines: int = 24) -> None:
        self._ours, theirs = pty.openpty()
        self._theirs = theirs
        self.resize(columns, lines)
        self.before = termios.tcgetattr(theirs)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "drawbar", *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm"},
            start_new_session=True,
        )
        self.written = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._ours)
        os.close(self._theirs)

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        os.write(self._ours, keys)

    def until(self, wanted: bytes) -> bytes:
        """All that is written up to `wanted`; what comes after it is for the next call."""
        deadline = time.monotonic() + PATIENCE_S
        while wanted not in self.written:
            ready, _, _ = select.select([self._ours], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"{wanted!r} did not come, but {self.written!r}"
            self.written += os.read(self._ours, 65536)
        at = self.written.index(wanted) + len(wanted)
        found, self.written = self.written[:at], self.written[at:]
        return found

    def status(self) -> int:
        """The exit code, once the terminal is as it was."""
        status = self.process.wait(PATIENCE_S)
        assert termios.tcgetattr(self._theirs) == self.before
        return status


def painted(text: bytes) -> list[str]:
    """The lines of one picture, without what colours them."""
    shown = text.decode().replace("\x1b[K", "")
    for style in ("\x1b[1m", "\x1b[7m", "\x1b[0m"):
        shown = shown.replace(style, "")
    return shown.split("\r\n")


def test_a_picture_of_the_terminals_size_until_q(master: Desked) -> None:
    with Terminal("top", "--control", master.path) as terminal:
        terminal.until(SECOND_SCREEN)
        terminal.until(HOME)
        lines = painted(terminal.until(b"q quits"))
        assert len(lines) == 24
        assert lines[0].startswith("drawbar 1.2.3  shop:app (wsgi), serving")
        assert any(line.split()[:3] == ["1", str(master.pid), "ready"] for line in lines)
        assert max(map(len, lines)) <= 80
        terminal.type(b"q")
        terminal.until(FIRST_SCREEN)
        assert terminal.status() == 0


def test_it_follows_the_terminals_size(master: Desked) -> None:
    with Terminal("top", "--control", master.path, "--interval", "3600") as terminal:
        terminal.until(b"q quits")
        terminal.resize(120, 10)
        terminal.process.send_signal(signal.SIGWINCH)
        terminal.until(HOME)
        lines = painted(terminal.until(b"q quits"))
        assert len(lines) == 10
        assert any("AGE" in line for line in lines)
        # An arrow is no wish to leave, though it begins with Escape.
        terminal.type(b"\x1b[A")
        terminal.type(b"xq")
        assert terminal.status() == 0


def test_it_looks_again(master: Desked) -> None:
    with Terminal("top", "--control", master.path, "--interval", "0.1") as terminal:
        terminal.until(b"q quits")
        # The second look has rates.
        terminal.until(b"0 B/s in, 0 B/s out")
        terminal.type(b"q")
        assert terminal.status() == 0


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_the_terminal_comes_back_whatever_ends_it(master: Desked, number: signal.Signals, status: int) -> None:
    with Terminal("top", "--control", master.path, "--interval", "3600") as terminal:
        terminal.until(b"q quits")
        terminal.process.send_signal(number)
        terminal.until(FIRST_SCREEN)
        assert terminal.status() == status


def test_a_server_that_ends_is_told_on_the_first_screen(tmp_path: Path) -> None:
    with (
        Desked(control={"socket": str(tmp_path / "c.sock")}) as master,
        Terminal("top", "--control", master.path, "--interval", "0.1") as terminal,
    ):
        terminal.until(b"q quits")
        master.end(signal.SIGTERM)
        terminal.until(FIRST_SCREEN)
        terminal.until(b"drawbar: error: ")
        assert terminal.status() in (1, 2)


def test_without_a_terminal_each_look_is_a_line(master: Desked) -> None:
    command = [sys.executable, "-m", "drawbar", "top", "--control", master.path, "--interval", "0.1", "--count", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=PATIENCE_S)
    first, second = done.stdout.splitlines()
    assert "workers 1 of 2 ready, requests/s -" in first
    assert "workers 1 of 2 ready, requests/s 0" in second


def test_status_can_be_watched_too(master: Desked) -> None:
    with Terminal("ctl", "--control", master.path, "status", "--watch") as terminal:
        terminal.until(SECOND_SCREEN)
        terminal.until(b"SHARED")
        terminal.resize(60, 6)
        terminal.process.send_signal(signal.SIGWINCH)
        terminal.until(HOME)
        terminal.until(b"\x1b[J")
        terminal.type(b"q")
        assert terminal.status() == 0
