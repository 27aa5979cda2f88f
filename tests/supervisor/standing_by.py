"""Process 1 of a container after an upgrade, run by the tests, which is not process 1 but the parent all the same.

    python standing_by.py EVENTS_FD

It stands by a master, which leaves its place to the next one and ends, and that one to a third, which tells the signals
it gets until SIGTERM ends it with exit code 7. What they do are lines on EVENTS_FD.
"""

import os
import select
import signal
import sys

from drawbar.supervisor.host.pid_file import MASTER_COMM
from drawbar.supervisor.host.title import set_title
from drawbar.supervisor.process import adopt_grandchildren
from drawbar.supervisor.upgrade import stand_by

EVENTS = int(sys.argv[1])
MASTERS = 3
HEARD = (signal.SIGTERM, signal.SIGHUP)


def wait_for_end(process: int) -> None:
    poll = select.poll()
    poll.register(process, select.POLLIN)
    poll.poll()


def be_master(number: int, forerunners: list[tuple[int, int]]) -> int:
    """The number-th of them; returns its exit code. forerunners: what each waits to see closed, and its process."""
    set_title("drawbar: master", MASTER_COMM)
    if number < MASTERS:
        reader, writer = os.pipe()
        me = os.pidfd_open(os.getpid())
        if os.fork() == 0:
            os._exit(be_master(number + 1, [*forerunners, (writer, me)]))
        os.close(writer)
        # Not before the next one is a master by name.
        os.read(reader, 1)
        os.write(EVENTS, f"left {number}\n".encode())
        return 0
    for writer, _ in forerunners:
        os.close(writer)
    for _, process in forerunners:
        wait_for_end(process)
    os.write(EVENTS, f"serves {os.getpid()}\n".encode())
    while (heard := signal.sigwait(HEARD)) != signal.SIGTERM:
        os.write(EVENTS, f"heard {signal.Signals(heard).name}\n".encode())
    return 7


def main() -> int:
    adopt_grandchildren()
    signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)
    first = os.fork()
    if first == 0:
        os._exit(be_master(1, []))
    return stand_by(first)


if __name__ == "__main__":
    sys.exit(main())
