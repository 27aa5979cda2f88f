"""What ends another thread's wait for sockets: a descriptor that can be read once somebody has said so."""

import os


class Waker:
    """Readable from wake() to clear(). From any thread, and nobody waits in it."""

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def fileno(self) -> int:
        """The descriptor."""
        return self._fd

    def wake(self) -> None:
        """Makes it readable. Nothing once it is closed: who was to be woken is gone."""
        if self._fd >= 0:
            os.eventfd_write(self._fd, 1)

    def clear(self) -> None:
        """Makes it unreadable."""
        try:
            os.eventfd_read(self._fd)
        except BlockingIOError:
            return

    def close(self) -> None:
        """Lets go of the descriptor."""
        if self._fd >= 0:
            fd, self._fd = self._fd, -1
            os.close(fd)
