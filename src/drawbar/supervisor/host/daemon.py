"""--daemonize: a server without a terminal, and a command that knows whether it serves.

The command forks twice (daemon(7)): its child begins a session of its own, so that no terminal's signals reach it, and
the grandchild is no leader of it, so that it never gets a terminal again. It is the master. The command waits on a pipe
until the master says that it serves, or why it does not, and ends with the exit code a foreground server would have.

A service manager needs none of this: it wants a process in the foreground. This is for those who start by hand or from
an init script.
"""

import contextlib
import os
import sys
from typing import Final, NoReturn

from drawbar.config import OperatorError
from drawbar.config.log import OFF
from drawbar.supervisor.host.notify import hand_on

READY: Final = b"ready"
EXIT_BROKEN: Final = 1
EXIT_OPERATOR: Final = 2
MESSAGE_BYTES: Final = 4000
"""Longest account of a failure. Below PIPE_BUF (pipe(7)), so that it arrives whole."""


class Teller:
    """The master's end of the pipe to the command. Says one thing at most; nobody waits when there is no pipe."""

    def __init__(self, descriptor: int | None = None) -> None:
        self._descriptor = descriptor

    def descriptors(self) -> tuple[int, ...]:
        """What no child shall hold: the command hears of the master's death by the pipe's end."""
        return () if self._descriptor is None else (self._descriptor,)

    def ready(self) -> None:
        """The server serves: the command ends with success."""
        self._tell(READY)

    def failed(self, error: OperatorError) -> None:
        """It does not, and this is why."""
        line = str(error).encode("utf-8", "backslashreplace")
        self._tell(b"failed " + line[:MESSAGE_BYTES])

    def close(self) -> None:
        """Nothing more will be said. Without ready() the command ends with a failure whose reason is in the log."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _tell(self, message: bytes) -> None:
        if self._descriptor is not None:
            # Whoever started the command may have ended it.
            with contextlib.suppress(BrokenPipeError):
                os.write(self._descriptor, message)
        self.close()


def daemonize(log_path: str) -> Teller:
    """Returns in the daemon, which is to tell; the command itself never comes back from here.

    It raises SystemExit when the server serves, or when it failed and only the log at `log_path` knows why, and
    OperatorError with the daemon's. Only while there is one thread.
    """
    for stream in (sys.stdout, sys.stderr):
        # Else both processes would write what waits in the buffer.
        stream.flush()
    reader, writer = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child != 0:
        os.close(writer)
        os.waitpid(child, 0)
        _await(reader, log_path)
    os.close(reader)
    os.setsid()
    if os.fork() != 0:
        os._exit(0)
    _leave_terminal()
    # What the service manager said to the command it said to the server.
    hand_on(os.environ, os.getpid())
    return Teller(writer)


def _await(reader: int, log_path: str) -> NoReturn:
    """In the command: waits for the word of the master, or its death."""
    said = b""
    while chunk := os.read(reader, MESSAGE_BYTES):
        said += chunk
        if said == READY:
            break
    os.close(reader)
    if said == READY:
        raise SystemExit(0)
    if said:
        raise OperatorError(said.partition(b" ")[2].decode("utf-8", "replace"))
    reason = "--error-log PATH would say why" if log_path == OFF else f"{log_path} says why"
    print(f"drawbar: error: the server ended before it served; {reason}", file=sys.stderr, flush=True)
    raise SystemExit(EXIT_BROKEN)


def _leave_terminal() -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    if nowhere > 2:
        os.close(nowhere)
