"""The file that names the master's process: written whole or not at all, and removed only by who wrote it.

A file that names a running master is never replaced: two servers would share it, and a signal reach the wrong one. Any
other process of that number has it by chance, since numbers come round again after a crash or a restart of the machine.
So what counts is the name the master gives itself; `create()` comes after `set_title()`.

During an upgrade two masters run: the former one's file then has OLD_SUFFIX, as Unicorn's and nginx's have.
"""

import contextlib
import os
from typing import Final

from drawbar.config import OperatorError

OLD_SUFFIX: Final = ".oldbin"
MASTER_COMM: Final = "drawbar-master"
"""What a master is called in /proc/PID/comm."""

PID_BYTES: Final = 32
"""More than a process id has: a longer file is something else."""

RIGHT: Final = "name a file in a directory that can be written"


class PidFile:
    """The file of this process. Without a path every method does nothing.

    `create`, `move_to`, `rename_to_old` and `restore` raise OperatorError, and then nothing has changed.
    """

    def __init__(self, path: str | None) -> None:
        # An absolute path still names the file after a change of directory.
        self._path = None if path is None else os.path.abspath(path)
        self._old = False

    @property
    def path(self) -> str | None:
        """Where this process' id stands now."""
        return None if self._path is None else self._path + (OLD_SUFFIX if self._old else "")

    def create(self) -> None:
        """Writes the file, unless a running master has it."""
        if self._path is None:
            return
        try:
            _write(self._path)
        except OSError as error:
            raise _refusal(self._path, error) from error

    def move_to(self, path: str | None) -> None:
        """The file is another one from now on: that one is made before this one goes."""
        fresh = PidFile(path)
        if fresh._path == self._path:
            return
        if not self._old:
            fresh.create()
            self.remove()
            self._path = fresh._path
            return
        # The plain name is the next master's while an upgrade lasts.
        raise OperatorError("cannot be changed during an upgrade", where="process.pid_file", right="finish it first")

    def rename_to_old(self) -> None:
        """Leaves the name to the next master."""
        if self._path is None or self._old:
            return
        old = self._path + OLD_SUFFIX
        _require_no_master(old)
        try:
            os.rename(self._path, old)
        except FileNotFoundError:
            # Somebody removed it: there is a name to leave, and a new file to be told by.
            self._write_again(old)
        except OSError as error:
            raise _refusal(old, error) from error
        self._old = True

    def restore(self) -> None:
        """Takes the name back: there is no next master after all."""
        if self._path is None or not self._old:
            return
        _require_no_master(self._path)
        try:
            os.rename(self._path + OLD_SUFFIX, self._path)
        except FileNotFoundError:
            self._write_again(self._path)
        except OSError as error:
            raise _refusal(self._path, error) from error
        self._old = False

    def remove(self) -> None:
        """Removes the file if it is still this process'."""
        path = self.path
        if path is not None and _read(path) == os.getpid():
            with contextlib.suppress(OSError):
                os.unlink(path)

    def _write_again(self, path: str) -> None:
        try:
            _write(path)
        except OSError as error:
            raise _refusal(path, error) from error


def _write(path: str) -> None:
    """Raises OSError, and OperatorError when the file is somebody's."""
    draft = f"{path}.{os.getpid()}"
    # A draft of ours can only be left over from a process that had this number before.
    with contextlib.suppress(FileNotFoundError):
        os.unlink(draft)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
    try:
        try:
            os.write(descriptor, b"%d\n" % os.getpid())
        finally:
            os.close(descriptor)
        try:
            # Unlike rename(2) it takes no file away: of two servers that start at once one finds the other's.
            os.link(draft, path)
        except FileExistsError:
            _require_replaceable(path)
            os.rename(draft, path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)


def _require_replaceable(path: str) -> None:
    """The file is a pid file that names no running master; a slip of the keyboard shall not cost another file."""
    _require_no_master(path)
    with contextlib.suppress(FileNotFoundError):
        text = _text(path)
        if text.strip() and _pid_in(text) is None:
            right = "name one that is to hold the process id alone"
            raise OperatorError("the file holds something else", where=f"--pid-file {path}", right=right)


def _require_no_master(path: str) -> None:
    pid = _read(path)
    if pid is not None and pid != os.getpid() and is_master(pid):
        right = "stop that server or name another file"
        raise OperatorError(f"names a running server (pid {pid})", where=f"--pid-file {path}", right=right)


def _read(path: str) -> int | None:
    """The process id in a file; None when it holds none."""
    try:
        return _pid_in(_text(path))
    except OSError:
        return None


def _text(path: str) -> bytes:
    # O_NONBLOCK: a FIFO nobody writes to is empty, not waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return os.read(descriptor, PID_BYTES + 1)
    finally:
        os.close(descriptor)


def _pid_in(text: bytes) -> int | None:
    digits = text.strip()
    return int(digits) if len(text) <= PID_BYTES and digits.isdigit() and int(digits) > 0 else None


def is_master(pid: int) -> bool:
    """Whether the process runs and is a master of ours, or one that cannot be looked at."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    try:
        name, state, _ = _look(pid)
    except OSError:
        return True
    # A dead one that nobody has buried yet is no server.
    return name == MASTER_COMM.encode() and state != b"Z"


def parent_of(pid: int) -> int | None:
    """Whose child the process is; None when there is no such process."""
    try:
        return _look(pid)[2]
    except OSError:
        return None


def _look(pid: int) -> tuple[bytes, bytes, int]:
    """Name, state and parent of a process. Raises OSError."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        # proc(5): pid (comm) state ppid …; a comm may hold parentheses.
        name, _, rest = file.read().partition(b"(")[2].rpartition(b")")
    state, parent = rest.split(maxsplit=2)[:2]
    return name, state, int(parent)


def _refusal(path: str, error: OSError) -> OperatorError:
    return OperatorError(f"cannot be written ({error.strerror})", where=f"--pid-file {path}", right=RIGHT)
