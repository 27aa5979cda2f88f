"""Where control sockets are, and whose: the directories that `auto` chooses from, and the servers found in them.

Read by the master, which makes a socket there, and by the command line, which looks for one. A directory under /tmp
could have been put there by anybody, so one is used only if it is a real directory, ours, and others can neither write
to it nor read what is in it.
"""

import contextlib
import os
import socket
import stat
from collections.abc import Iterator, Mapping
from typing import NamedTuple

SUFFIX = ".sock"
DIRECTORY_MODE = 0o700
SOCKET_MODE = 0o600


class Instance(NamedTuple):
    """A running server: its master's process id and its control socket."""

    pid: int
    path: str


def directories(environ: Mapping[str, str], uid: int) -> list[str]:
    """Where sockets of this user's servers may be, the first choice first."""
    found = []
    if os.path.isabs(environ.get("XDG_RUNTIME_DIR", "")):
        found.append(os.path.join(environ["XDG_RUNTIME_DIR"], "drawbar"))
    if uid == 0:
        found.append("/run/drawbar")
    found.append(f"/tmp/drawbar-{uid}")
    return found


def make_directory(environ: Mapping[str, str], uid: int) -> str:
    """The first of them that exists or can be made, and is safe. Raises OSError when none is."""
    problem: OSError | None = None
    for directory in directories(environ, uid):
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(directory, DIRECTORY_MODE)
            check_directory(directory, uid)
            if not os.access(directory, os.W_OK | os.X_OK):
                raise PermissionError(13, "not writable", directory)
        except OSError as error:
            problem = problem or error
        else:
            return directory
    assert problem is not None, "there is always one to try"
    raise problem


def check_directory(directory: str, uid: int) -> None:
    """Raises PermissionError for a directory in which somebody else could put a socket, OSError if there is none."""
    # The name itself, not what a link behind it leads to: who made the link chooses where to.
    found = os.stat(directory, follow_symlinks=False)
    if not stat.S_ISDIR(found.st_mode):
        raise PermissionError(13, "no directory", directory)
    if found.st_uid != uid:
        raise PermissionError(13, f"belongs to user {found.st_uid}", directory)
    # To walk through it and reach a socket by its name helps nobody whom the socket's own mode does not let in.
    if found.st_mode & 0o066:
        raise PermissionError(13, "open to other users", directory)


def path_for(directory: str, pid: int) -> str:
    """The socket of the master with this process id."""
    return os.path.join(directory, f"{pid}{SUFFIX}")


def find(environ: Mapping[str, str], uid: int) -> list[Instance]:
    """The servers of this user that run now, in order of their process ids."""
    return sorted({instance for instance in _named(environ, uid) if answers(instance.path)})


def remove_stale(directory: str) -> None:
    """Removes the sockets of masters that ended without doing so."""
    for instance in _in(directory):
        if not os.path.exists(f"/proc/{instance.pid}") and not answers(instance.path):
            with contextlib.suppress(OSError):
                os.unlink(instance.path)


def answers(path: str) -> bool:
    """Somebody listens on this socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        # A full backlog says EAGAIN to a non-blocking connect: there is somebody to fill it.
        probe.setblocking(False)
        try:
            probe.connect(path)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return True


def _named(environ: Mapping[str, str], uid: int) -> Iterator[Instance]:
    for directory in directories(environ, uid):
        with contextlib.suppress(OSError):
            check_directory(directory, uid)
            yield from _in(directory)


def _in(directory: str) -> list[Instance]:
    pids = [name.removesuffix(SUFFIX) for name in os.listdir(directory) if name.endswith(SUFFIX)]
    return [Instance(int(pid), path_for(directory, int(pid))) for pid in pids if pid.isdecimal()]
