"""A fork across a generation: the new process is left behind by a process between, and adopted by an ancestor.

The ancestor must have asked for that (adopt_grandchildren). clone(2) with CLONE_PARENT would do it in one step, but
goes past what the C library does around fork(3): its locks, and what libraries such as OpenSSL have asked it to call.
"""

import errno
import os
import select
from typing import NoReturn

from drawbar.supervisor.child import EXIT_BROKEN

_NUMBER_BYTES = 20
"""More than the digits of a process id."""


def fork_grandchild() -> int:
    """As os.fork(), 0 in the new process and its id in this one; returns when the new process has its new parent.

    For a process with one thread. What is registered with os.register_at_fork() runs twice in the new process. Raises
    OSError when the system gives no process.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        between = os.fork()
    except OSError:
        os.close(reader)
        os.close(writer)
        raise
    if between == 0:
        os.close(reader)
        _leave_behind(writer)
        return 0
    os.close(writer)
    try:
        answer = int(os.read(reader, _NUMBER_BYTES) or -errno.ESRCH)
    finally:
        os.close(reader)
        os.waitpid(between, 0)
    if answer < 0:
        raise OSError(-answer, os.strerror(-answer))
    return answer


def _leave_behind(writer: int) -> None:
    """The process between: forks, tells the id or an errno negated, and ends. Returns in the new process alone."""
    try:
        # Made before the fork, so that no other process can ever be meant by it.
        between = os.pidfd_open(os.getpid())
        pid = os.fork()
    except OSError as error:
        _tell_and_end(writer, -(error.errno or errno.EAGAIN))
    if pid:
        _tell_and_end(writer, pid)
    os.close(writer)
    # It can be read when that process is dead, and its children have been given to another parent before that.
    poll = select.poll()
    poll.register(between, select.POLLIN)
    poll.poll()
    os.close(between)


def _tell_and_end(writer: int, number: int) -> NoReturn:
    try:
        os.write(writer, b"%d" % number)
    finally:
        os._exit(EXIT_BROKEN if number < 0 else 0)
