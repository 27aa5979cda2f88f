"""The processes of a command: the one that was started, which leads a session, and all that it started.

A program may well be several processes: a pool of them, a server beside the one that dials. By the session they are
known whichever of them reaches the front, and none is left behind when the first has ended.
"""

import os
import signal

from drawbar.supervisor.host.memory import read_rss


def leader_of(pid: int) -> int:
    """The process that leads the session of this one; 0 when it is gone, or not of this machine's processes."""
    try:
        return os.getsid(pid) if pid > 0 else 0
    except (ProcessLookupError, PermissionError):
        return 0


def send(leader: int, number: int) -> bool:
    """Sends a signal that ends a command to its first process, and to all when it is SIGKILL.

    False: it has become somebody whom this user may not end, as what `sudo` starts does.
    """
    try:
        os.kill(leader, number)
    except PermissionError:
        return False
    if number == signal.SIGKILL:
        kill_all(leader)
    return True


def kill_all(leader: int) -> None:
    """Ends what is left of a command. Its first process need not be there any more: nobody else gets its number while
    some process is in its group. What this user may not end is left.
    """
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def read_rss_of_all(leader: int) -> int:
    """Resident memory of a process and of all those it started that are still its own, in bytes."""
    found, seen = 0, [leader]
    while seen:
        pid = seen.pop()
        found += read_rss(pid) or 0
        seen += _children(pid)
    return found


def _children(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children", "rb") as file:
            return [int(child) for child in file.read().split()]
    except OSError:
        return []
