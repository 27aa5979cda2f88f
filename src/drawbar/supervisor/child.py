"""From fork to exit: what a child of the master does around the work it was forked for.

A child holds nothing of the master but the listeners and the log: its signals are reset before they are let in, the
master's pipes are closed, and it asks the kernel to end it when the master dies. It never returns into the
master's code and never runs the master's `finally`: it leaves by os._exit.

The random module reseeds itself in a forked child (os.register_at_fork); a test holds it to that.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, NoReturn

from drawbar.config import OperatorError
from drawbar.supervisor.host.notify import forget_manager
from drawbar.supervisor.host.title import set_title
from drawbar.supervisor.logs import Log
from drawbar.supervisor.process import end_with_parent
from drawbar.supervisor.signals import block_signals, reset_signals, restore_signals

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket

READY = "ready"
FAILED = "failed: "
RECYCLE = "recycle "
"""Before the cause for which a worker wants to be replaced, as pool.Cause names it."""

REPORT_BYTES = 4000
"""Longest report. Below PIPE_BUF (pipe(7)), so that a line arrives whole and unmixed."""

EXIT_BROKEN = 1
EXIT_OPERATOR = 2

Report = Callable[[str], None]
"""Tells the master something in one line."""


class Role(NamedTuple):
    """What a child is for."""

    title: str
    comm: str
    work: Callable[[Report], int]
    """Runs until told to stop, and returns the exit code."""
    grace_s: float = 0.0
    """Seconds it has left when the master dies."""


class Spawned(NamedTuple):
    """A child that was just forked, and the end of the pipe its reports come from."""

    pid: int
    reports: int
    orders: "socket.socket | None" = None
    """By it a worker that may become the fork server takes orders then; it closes when the master lets go of it."""


def spawn(role: Role, log: Log, private: Iterable[int]) -> Spawned:
    """Forks a child for `role`; `private` are the master's descriptors that are none of its business.

    Raises OSError when the system gives no process or no pipe.
    """
    master = os.getpid()
    return Spawned(
        *fork_with_pipe(lambda reader, writer, mask: _live(role, log, [*private, reader], writer, master, mask))
    )


def fork_with_pipe(live: Callable[[int, int, Iterable[int]], NoReturn]) -> tuple[int, int]:
    """Forks a child that runs `live(reader, writer, mask)`, and returns its process id and the pipe's reading end.

    The child begins with all signals held; `mask` is what to restore. Raises OSError when the system gives no process
    or no pipe.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC)
    mask = block_signals()
    try:
        pid = os.fork()
        if pid == 0:
            try:
                live(reader, writer, mask)
            finally:
                os._exit(EXIT_BROKEN)
    except OSError:
        os.close(reader)
        raise
    finally:
        restore_signals(mask)
        os.close(writer)
    os.set_blocking(reader, False)
    return pid, reader


def reap(hear: Callable[[int], object] = lambda pid: None) -> Iterator[tuple[int, int]]:
    """Buries the children that have died: process id and wait status of each. As process 1 also strangers.

    hear: takes in what the dead one still said, while its number is its own: what follows may be a signal to it, which
    would miss, or hit somebody else, once it is buried.
    """
    while True:
        try:
            dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if dead is None:
            return
        hear(dead.si_pid)
        yield os.waitpid(dead.si_pid, 0)


def _live(role: Role, log: Log, private: list[int], writer: int, master: int, mask: Iterable[int]) -> NoReturn:
    code = EXIT_BROKEN
    try:
        _settle(role, private, master, mask)
        code = _work(role, log, Reporter(writer))
    except BaseException as error:
        log.traceback("error", error)
    finally:
        os._exit(code)


def _settle(role: Role, private: list[int], master: int, mask: Iterable[int]) -> None:
    end_with_parent(role.grace_s)
    if os.getppid() != master:
        os._exit(EXIT_BROKEN)
    reset_signals()
    for descriptor in private:
        os.close(descriptor)
    restore_signals(mask)
    forget_manager(os.environ)
    set_title(role.title, role.comm)


def _work(role: Role, log: Log, reporter: "Reporter") -> int:
    code = attempt(role, log, reporter)
    say_goodbye()
    return code


def attempt(role: Role, log: Log, reporter: "Reporter") -> int:
    """Does the work; when it raises, tells master or log why. Returns the exit code."""
    try:
        return role.work(reporter)
    except BaseException as error:
        return _fail(error, log, reporter)


def say_goodbye() -> None:
    """The application's own farewells (flushing metrics, removing files): os._exit would skip them."""
    import atexit

    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()


def _fail(error: BaseException, log: Log, reporter: "Reporter") -> int:
    """A child that could not start says why in one line; one that broke at work leaves a traceback in the log."""
    if reporter.was_ready:
        log.error(f"the worker broke down: {in_one_line(error)}")
        log.traceback("error", error)
        return EXIT_BROKEN
    log.traceback("debug", error)
    if isinstance(error, OperatorError):
        reporter(FAILED + str(error))
        return EXIT_OPERATOR
    reporter(FAILED + in_one_line(error) + ("" if log.is_debug() else " (--log-level debug shows the traceback)"))
    return EXIT_BROKEN


def in_one_line(error: BaseException) -> str:
    """What went wrong; an operator's error in its own words, any other with its type."""
    if isinstance(error, OperatorError):
        return str(error)
    text = " ".join(str(error).split())
    name = type(error).__name__
    return f"{name}: {text}" if text else name


class Reporter:
    """The child's end of the pipe to the master."""

    def __init__(self, descriptor: int) -> None:
        self.was_ready = False
        self._descriptor = descriptor

    def __call__(self, text: str) -> None:
        """One line for the master. When the master is gone nobody needs it."""
        self.was_ready = self.was_ready or text.startswith(READY)
        line = " ".join(text.split()).encode("utf-8", "backslashreplace")[:REPORT_BYTES]
        with contextlib.suppress(BrokenPipeError):
            os.write(self._descriptor, line + b"\n")

    def fileno(self) -> int:
        """The pipe, for whoever must write a line of its own without the interpreter's lock."""
        return self._descriptor

    def close(self) -> None:
        """In a child of this process, which has a pipe of its own."""
        os.close(self._descriptor)
