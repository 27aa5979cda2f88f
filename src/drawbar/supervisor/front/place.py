"""Where a front's own workers reach it: a directory of sockets, one for each application, that nobody else can use.

The master makes them and keeps them, so that a worker may dial while no front is there: it waits in the queue of the
socket until the next one accepts. Who may connect is said by the file: a socket is for the user whose workers serve
that application, and its directory can be walked through, but not be read. Each master has a place of its own, so that
in an upgrade the new workers are the new front's, and nobody is served by what may not come to stay.

Invariants: a socket is opened before a worker that dials it starts, and is closed when no front accepts from it any
more; the directory goes with its master.
"""

import contextlib
import itertools
import os
from collections.abc import Mapping
from socket import socket
from typing import Final, Self

from drawbar.config import OperatorError, UnixBind
from drawbar.config.names import FRONT
from drawbar.supervisor.control.instances import answers, directories, make_directory
from drawbar.supervisor.listening.sockets import Opened, Options, open_bind

SUFFIX: Final = ".apps"
"""Of the directory, after the process id of the master that made it."""
WALKED_THROUGH: Final = 0o711
"""By users who know a name in it."""
SOCKET_MODE: Final = 0o600
BACKLOG: Final = 1024
"""Connections that wait for a front: of all slots of an application's workers, after one has died."""
FIGURES: Final = FRONT
"""What tells of all applications is called among them, which none of them is."""


class PrivatePlace:
    """The directory and its sockets, by application."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self._open: dict[str, Opened] = {}
        self._left: list[Opened] = []

    @classmethod
    def make(cls, uid: int, environ: Mapping[str, str]) -> Self:
        """A new one, for this process. Raises OperatorError."""
        # A user's own directory for sockets is closed to all others, those that root's workers become among them.
        variables = {} if uid == 0 else environ
        try:
            above = make_directory(variables, uid)
            remove_stale(above)
            if uid == 0:
                os.chmod(above, WALKED_THROUGH)
            directory = _make_first_free(above)
            # Whatever the umask.
            os.chmod(directory, WALKED_THROUGH)
        except OSError as error:
            where = " or ".join(directories(variables, uid))
            what = f"there is no place for the sockets of the workers ({error.strerror}: {error.filename})"
            raise OperatorError(what, right=f"make {where} a directory that only this user can write to") from error
        return cls(directory)

    def path(self, app: str) -> str:
        """Where the workers of an application dial."""
        return os.path.join(self.directory, f"{app}.sock")

    def sockets(self) -> dict[str, socket]:
        """What a front accepts from, by application; FIGURES is for the master's own."""
        return {app: opened.socket for app, opened in self._open.items()}

    def descriptors(self) -> list[int]:
        """Every socket there is."""
        return [opened.socket.fileno() for opened in (*self._open.values(), *self._left)]

    def update(self, owners: Mapping[str, tuple[int, int]]) -> None:
        """A socket for each of these applications, with user and group; others stay until `drop_left()`.

        Raises OperatorError, and has changed nothing.
        """
        fresh: dict[str, Opened] = {}
        try:
            for app in (FIGURES, *owners):
                if app not in self._open:
                    fresh[app] = self._make(app)
            for app, owner in owners.items():
                os.chown(self.path(app), *owner)
        except (OperatorError, OSError) as error:
            for opened in fresh.values():
                opened.close()
            raise error if isinstance(error, OperatorError) else _refusal(error) from error
        wanted = {FIGURES, *owners}
        self._left += [opened for app, opened in self._open.items() if app not in wanted]
        self._open = {app: opened for app, opened in (self._open | fresh).items() if app in wanted}

    def drop_left(self) -> None:
        """No front accepts any more from what the last update left."""
        for opened in self._left:
            # An application of that name may have come back: then the file is the new socket's.
            opened.close()
        self._left = []

    def close(self) -> None:
        """Gives all of it up."""
        self.drop_left()
        for opened in self._open.values():
            opened.close()
        self._open = {}
        with contextlib.suppress(OSError):
            os.rmdir(self.directory)

    def _make(self, app: str) -> Opened:
        options = Options(backlog=BACKLOG, unix_mode=SOCKET_MODE)
        return open_bind(UnixBind(self.path(app)), options, f"the socket of {app}")[0]


def _make_first_free(above: str) -> str:
    """A directory named after this process, whose number a master in another container may have too."""
    for number in itertools.count(1):
        directory = os.path.join(above, f"{os.getpid()}{'' if number == 1 else f'-{number}'}{SUFFIX}")
        with contextlib.suppress(FileExistsError):
            os.mkdir(directory, WALKED_THROUGH)
            return directory
    raise AssertionError("there is always another number")


def remove_stale(above: str) -> None:
    """Removes what masters left that ended without doing so."""
    for name in os.listdir(above):
        stem = name.removesuffix(SUFFIX)
        pid = stem.partition("-")[0]
        if stem == name or not pid.isdecimal():
            continue
        # In a container that is started again the killed master had the number that this one has.
        if int(pid) != os.getpid() and os.path.exists(f"/proc/{pid}"):
            continue
        directory = os.path.join(above, name)
        with contextlib.suppress(OSError):
            paths = [os.path.join(directory, socket) for socket in os.listdir(directory)]
            # Its number may be that of a master in another container.
            if not any(answers(path) for path in paths):
                for path in paths:
                    os.unlink(path)
                os.rmdir(directory)


def _refusal(error: OSError) -> OperatorError:
    return OperatorError(f"a socket for workers cannot be given to their user ({error.strerror}: {error.filename})")
