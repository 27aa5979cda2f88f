"""Rotated logs: a worker that is told follows their names, and no request's lines are parted.

A signal takes its time to arrive, so a test asks the server on until it sees the effect.
"""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.server.conftest import SITES, WAYS, Fifo
from tests.support.raw import RawClient
from tests.support.server import Server, Servers

# Far more than a signal takes to arrive.
MANY = 10_000


class Logged:
    """A server of one worker with both logs in files, and a connection to it."""

    def __init__(self, server: Servers, way: str, folder: Path) -> None:
        name, *options = WAYS[way]
        self.access, self.error = folder / "access.log", folder / "error.log"
        self.address = folder / "socket"
        self.site: Server = server(
            f"logged:{name}",
            *options,
            *("--workers", "1", "--access-log", str(self.access), "--error-log", str(self.error)),
            chdir=SITES,
            bind=f"unix:{self.address}",
            ready=False,
        )
        self.site.log.wait_for("loaded")
        self.client = self.connect()
        # A worker that answers has its handlers.
        self.ask()
        # The master's one child: what logs may be a process of the request's own.
        master = self.site.process.pid
        self.pid = int(Path(f"/proc/{master}/task/{master}/children").read_text())

    def connect(self) -> RawClient:
        """A further connection."""
        return RawClient(str(self.address))

    def ask(self) -> None:
        """A request that fails and is logged in both logs."""
        assert self.client.request(b"GET /now HTTP/1.1\r\nHost: a\r\n\r\n").status == 500

    def ask_until(self, there: Callable[[], bool]) -> None:
        """Asks until something is the case."""
        for _ in range(MANY):
            self.ask()
            if there():
                return
        raise AssertionError("it never came to be")

    def rotate(self) -> tuple[Path, Path]:
        """Renames the logs as logrotate does and tells the worker; what they are called now."""
        old = self.access.rename(self.access.with_suffix(".old")), self.error.rename(self.error.with_suffix(".old"))
        os.kill(self.pid, signal.SIGUSR1)
        return old

    def holds(self, path: Path) -> bool:
        """The worker has that file open."""
        return str(path) in self.links()

    def links(self) -> Iterator[str]:
        """What the worker's descriptors are."""
        for descriptor in os.listdir(f"/proc/{self.pid}/fd"):
            try:
                yield os.readlink(f"/proc/{self.pid}/fd/{descriptor}")
            except FileNotFoundError:
                continue


Start = Callable[[str, Path], Logged]


@pytest.fixture
def start(server: Servers) -> Iterator[Start]:
    """Starts a server in one of WAYS with its logs in a folder."""
    with contextlib.ExitStack() as stack:

        def started(way: str, folder: Path) -> Logged:
            logged = Logged(server, way, folder)
            stack.callback(logged.client.close)
            return logged

        yield started


@pytest.mark.parametrize("way", ["threads", "asyncio"])
def test_a_request_that_is_running_keeps_its_files(start: Start, fifo: Fifo, tmp_path: Path, way: str) -> None:
    logged = start(way, tmp_path)
    with logged.connect() as holding:
        holding.send(f"GET /hold{fifo.path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        logged.site.log.wait_for("holding")
        access, error = logged.rotate()
        logged.ask_until(lambda: logged.access.exists() and logged.access.stat().st_size > 0)
        # Reopened between two requests: from here on all is in the new files.
        before = len(access.read_text().splitlines())
        logged.ask()
        assert len(access.read_text().splitlines()) == before
        assert logged.holds(access)
        assert logged.holds(error)
        fifo.release()
        assert holding.response().status == 500
        logged.ask_until(lambda: not logged.holds(access))
        assert "GET /hold" in access.read_text().splitlines()[-1]
        assert "GET /hold" not in logged.access.read_text()
        old_lines = error.read_text().splitlines()
        assert "error: GET /hold" in next(line for line in reversed(old_lines) if "error: GET" in line)
        assert old_lines[-1].endswith("error: RuntimeError: it was hold")
        assert "hold" not in logged.error.read_text()


def test_inline_the_running_request_ends_in_the_old_files(start: Start, fifo: Fifo, tmp_path: Path) -> None:
    logged = start("inline", tmp_path)
    with logged.connect() as holding:
        holding.send(f"GET /hold{fifo.path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        logged.site.log.wait_for("holding")
        access, error = logged.rotate()
        fifo.release()
        assert holding.response().status == 500
    logged.ask_until(lambda: logged.access.exists() and logged.access.stat().st_size > 0)
    assert "GET /hold" in access.read_text()
    assert "it was hold" in error.read_text()
    assert "hold" not in logged.access.read_text() + logged.error.read_text()


@pytest.mark.parametrize("way", [*WAYS])
def test_a_lost_directory_is_told_and_survived(start: Start, tmp_path: Path, way: str) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    logged = start(way, folder)
    moved = folder.rename(tmp_path / "moved")
    os.kill(logged.pid, signal.SIGUSR1)
    error = moved / "error.log"
    why = "No such file or directory; the old file is kept"
    logged.ask_until(lambda: f"error: cannot reopen {folder}/access.log: {why}\n" in error.read_text())
    assert f"error: cannot reopen {folder}/error.log: {why}\n" in error.read_text()
    before = len((moved / "access.log").read_text().splitlines())
    logged.ask_until(lambda: len((moved / "access.log").read_text().splitlines()) > before)


@pytest.mark.parametrize("way", [*WAYS])
def test_other_signals_that_the_application_handles_stop_nothing(start: Start, tmp_path: Path, way: str) -> None:
    logged = start(way, tmp_path)
    for _ in range(3):
        os.kill(logged.pid, signal.SIGWINCH)
        os.kill(logged.pid, signal.SIGUSR1)
        logged.ask()
    logged.site.stop()


@pytest.mark.parametrize("way", [*WAYS])
def test_a_signal_to_the_master_reaches_all(start: Start, tmp_path: Path, way: str) -> None:
    logged = start(way, tmp_path)
    old = [path.rename(path.with_suffix(".old")) for path in (logged.access, logged.error)]
    logged.site.process.send_signal(signal.SIGUSR1)
    logged.ask_until(lambda: logged.error.exists() and "error: GET /now" in logged.error.read_text())
    logged.ask_until(lambda: logged.access.exists() and logged.access.stat().st_size > 0)
    assert "info: SIGUSR1: logs reopened\n" in logged.error.read_text()
    logged.ask_until(lambda: not any(logged.holds(path) for path in old))
    sizes = [path.stat().st_size for path in old]
    logged.ask()
    assert [path.stat().st_size for path in old] == sizes


def test_a_worker_that_starts_is_not_ended_and_does_not_miss_it(server: Servers, fifo: Fifo, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        f"import sys\nsys.path.insert(0, {str(SITES)!r})\nfrom plain import app, hold\nhold({str(fifo.path)!r})\n"
    )
    access, error, address = tmp_path / "access.log", tmp_path / "error.log", tmp_path / "socket"
    options = ("--access-log", str(access), "--error-log", str(error), "--threads", "1")
    site = server("slow:app", *options, chdir=tmp_path, bind=f"unix:{address}", ready=False)
    site.log.wait_for("holding")
    for path in (access, error):
        path.rename(path.with_suffix(".old"))
    # The worker itself, in the middle of its import, and all of them.
    children = Path(f"/proc/{site.process.pid}/task/{site.process.pid}/children").read_text().split()
    for child in children:
        os.kill(int(child), signal.SIGUSR1)
    site.process.send_signal(signal.SIGUSR1)
    fifo.release()
    with RawClient(str(address)) as client:
        assert client.request(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").status == 200
        # Its line is written when its last byte is: before the next request is read.
        assert client.request(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").status == 200
    assert "GET /" in access.read_text()
    assert access.with_suffix(".old").read_text() == ""
    site.stop()
