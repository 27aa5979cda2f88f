"""A new master beside the old one: the program is started anew, with the listeners the old one has.

Interpreter, Drawbar, libraries and configuration are all read afresh by the new process, and nothing of the old one is
given up before the new one serves: until then a failed upgrade is one line in the log. What passes from one to the
other stands in `Inheritance`, written into the environment as JSON; descriptors keep their numbers.

The process 1 of a container cannot leave without ending the container: it stays as the new master's parent, passes
signals on, and ends when that one does (`stand_by`).
"""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterable, MutableMapping
from typing import Final, NamedTuple, NoReturn, Self

import msgspec

from drawbar.pull.traffic import Traffic
from drawbar.supervisor.child import fork_with_pipe, reap
from drawbar.supervisor.host.notify import hand_on
from drawbar.supervisor.host.pid_file import is_master, parent_of
from drawbar.supervisor.signals import REQUESTS, Request, reset_signals, restore_signals
from drawbar.supervisor.versions import Past, Version

VARIABLE: Final = "_DRAWBAR_INHERIT"
READY: Final = b"ready"
FAILED: Final = b"failed: "
MESSAGE_BYTES: Final = 4000
"""Longest account of a failure. Below PIPE_BUF (pipe(7)), so that it arrives whole."""

EXIT_NO_PROGRAM: Final = 127
"""As a shell has it for a program that cannot be run."""


class Inheritance(msgspec.Struct, frozen=True, kw_only=True):
    """What an old master leaves to the new one. Descriptors are open in the new process under the same numbers."""

    master: int
    """Process id of the old one."""
    ready: int
    """Where to say that the new one serves, or why it does not."""
    scoreboard: int
    listeners: str
    """As Handover.to_text() gives it."""
    doors: dict[str, int]
    """As Desk.handover() gives it."""
    workers: int | None = None
    """How many there are, when somebody said another number than the configuration."""
    file: str | None = None
    """What the old one read its configuration from."""
    traffic: dict[str, Traffic] = {}
    """What is wanted of the apps' requests."""
    teams: dict[str, int] = {}
    """As `workers`, for each application behind a front."""
    former: dict[str, Past] = {}
    """By app, the version that was there before the one that is."""
    versions: dict[str, Version] = {}
    """By app, what a deploy has made of it."""

    @classmethod
    def take(cls, environ: MutableMapping[str, str]) -> Self | None:
        """What was left to this process, taken out of its environment, so that it is no application's."""
        text = environ.pop(VARIABLE, "")
        if not text:
            return None
        inherited = msgspec.json.decode(text, type=cls)
        for descriptor in (inherited.ready, inherited.scoreboard):
            os.set_inheritable(descriptor, False)
        return inherited

    def tell_ready(self) -> None:
        """To the old master: its place is taken. That it has gone meanwhile is no matter."""
        with contextlib.suppress(OSError):
            os.write(self.ready, READY)

    def tell_failed(self, why: str) -> None:
        """To the old master: its place is not taken, in one line why."""
        with contextlib.suppress(OSError):
            os.write(self.ready, in_words(why))


class Successor(NamedTuple):
    """A new master that was started, and where it says that it serves, or why it does not."""

    pid: int
    ready: int


def start_successor(
    inheritance: Callable[[int], Inheritance], descriptors: list[int], before_exec: Callable[[], None]
) -> Successor:
    """Runs the program of this process again, with these descriptors open.

    `inheritance` is asked with the descriptor to say "ready" on. Raises OSError when the system gives no process.
    """

    def live(reader: int, writer: int, mask: Iterable[int]) -> NoReturn:
        reset_signals()
        restore_signals(mask)
        _become(inheritance, writer, descriptors, before_exec)

    return Successor(*fork_with_pipe(live))


def _become(
    inheritance: Callable[[int], Inheritance], ready: int, descriptors: list[int], before_exec: Callable[[], None]
) -> NoReturn:
    """In the child: the exec."""
    try:
        before_exec()
        for descriptor in (*descriptors, ready):
            os.set_inheritable(descriptor, True)
        environ = dict(os.environ)
        environ[VARIABLE] = msgspec.json.encode(inheritance(ready)).decode()
        hand_on(environ, os.getpid())
        # As it was started, not as it is: another interpreter may have taken the place of this one.
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environ)
    except BaseException as error:
        print(f"drawbar: cannot start the new master: {error}", file=sys.stderr, flush=True)
        os.write(ready, in_words(str(error)))
    finally:
        os._exit(EXIT_NO_PROGRAM)


def in_words(why: str) -> bytes:
    """A failure as the old master reads it."""
    return FAILED + " ".join(why.split()).encode("utf-8", "backslashreplace")[:MESSAGE_BYTES]


def stand_by(pid: int) -> int:
    """As process 1, when everything is the new master's: passes signals on to it, and ends with its exit code.

    A master that is itself replaced leaves the next one to process 1, which then stands by that one.
    """
    wanted = [number for number, request in REQUESTS.items() if request is not Request.REAP]
    signal.pthread_sigmask(signal.SIG_BLOCK, [*wanted, signal.SIGCHLD])
    number: int = signal.SIGCHLD
    while True:
        # Before the wait: it may have died before its signal was held. And before another signal is passed on: none
        # shall go to a dead master when there is another.
        for dead, status in reap():
            if dead == pid:
                heir = _master_left_behind()
                if heir is None:
                    return os.waitstatus_to_exitcode(status) % 256
                pid = heir
        if number != signal.SIGCHLD:
            os.kill(pid, number)
        number = signal.sigwait([*wanted, signal.SIGCHLD])


def _master_left_behind() -> int | None:
    """The master that came to this process as its child when its own parent ended."""
    found = (int(name) for name in os.listdir("/proc") if name.isdecimal())
    return next((pid for pid in found if parent_of(pid) == os.getpid() and is_master(pid)), None)
