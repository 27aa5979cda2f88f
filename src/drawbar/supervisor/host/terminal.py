"""Whether somebody may be sitting at a terminal in front of us: two signals mean something else then."""

import os


def has_terminal() -> bool:
    """This process has a controlling terminal that has not been closed (tty(4): opening /dev/tty fails without)."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK))
    except OSError:
        return False
    return True
