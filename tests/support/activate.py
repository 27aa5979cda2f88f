"""Starts a command with sockets as a service manager does: `python activate.py FDS NAMES COMMAND...`.

FDS are descriptors of this process, separated by commas; in the command they are 3 and up. NAMES are as LISTEN_FDNAMES
has them, "" for none. The command takes the place of this process, so LISTEN_PID is its own.
"""

import os
import sys

FIRST_FD = 3


def main() -> None:
    """Never returns."""
    given = [int(descriptor) for descriptor in sys.argv[1].split(",")]
    # First out of the way: a descriptor may stand where another is to go.
    aside = [os.dup(descriptor) for descriptor in given]
    for index, descriptor in enumerate(aside):
        while descriptor < FIRST_FD + len(given):
            descriptor = os.dup(descriptor)
        aside[index] = descriptor
    for index, descriptor in enumerate(aside):
        os.dup2(descriptor, FIRST_FD + index, inheritable=True)
    os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(len(given))}
    if sys.argv[2]:
        os.environ["LISTEN_FDNAMES"] = sys.argv[2]
    os.execv(sys.argv[3], sys.argv[3:])


if __name__ == "__main__":
    main()
