"""Signals as a queue: a handler only enqueues, the loop decides.

The C handler of the interpreter writes the number into a pipe (signal.set_wakeup_fd) which the loop polls. No
Python code runs at a moment it did not choose, so nothing here has to be re-entrant.
"""

import enum
import os
import signal
from collections.abc import Iterable


class Request(enum.Enum):
    """What a signal asks of the master."""

    STOP = "stop"
    REAP = "reap"


REQUESTS = {
    signal.SIGTERM: Request.STOP,
    signal.SIGINT: Request.STOP,
    signal.SIGQUIT: Request.STOP,
    # The terminal has gone.
    signal.SIGHUP: Request.STOP,
    signal.SIGCHLD: Request.REAP,
}

STOPPING = tuple(number for number, request in REQUESTS.items() if request is Request.STOP)


class SignalQueue:
    """Turns the signals of REQUESTS into bytes of a pipe. One in a process; for the main thread."""

    def __init__(self) -> None:
        self.read_fd, self._write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        for number in REQUESTS:
            # A signal ignored by whoever started us stays ignored (nohup); the others get a handler that does
            # nothing, which is what makes the interpreter write to the pipe.
            if number == signal.SIGCHLD or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, _nothing)

    def drain(self) -> list[signal.Signals]:
        """The signals that came since the last call, stops before deaths.

        A terminal sends Ctrl-C to the workers too: their deaths must be read knowing that the master stops.
        """
        try:
            numbers = os.read(self.read_fd, 65536)
        except BlockingIOError:
            return []
        arrived = [signal.Signals(number) for number in numbers]
        return sorted(arrived, key=lambda number: REQUESTS[number] is Request.REAP)

    def descriptors(self) -> tuple[int, int]:
        """Both ends of the pipe."""
        return self.read_fd, self._write_fd

    def close(self) -> None:
        """Takes the handlers away again; the signals have their defaults."""
        reset_signals()
        os.close(self.read_fd)
        os.close(self._write_fd)


def block_signals() -> Iterable[int]:
    """Holds back the signals of REQUESTS around a fork; returns the mask to restore.

    Between fork and reset_signals() a child still has the master's pipe: a signal to it would pass for the master's.
    """
    return signal.pthread_sigmask(signal.SIG_BLOCK, REQUESTS)


def restore_signals(mask: Iterable[int]) -> None:
    """Undoes block_signals(); what was held back arrives now."""
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def reset_signals() -> None:
    """Gives the signals of REQUESTS their defaults and detaches the pipe, as a child wants it.

    What was ignored from the start stays ignored (nohup). So does SIGPIPE, as the interpreter has it: a write to a
    closed socket is an error code.
    """
    signal.set_wakeup_fd(-1)
    for number in REQUESTS:
        if signal.getsignal(number) is _nothing:
            signal.signal(number, signal.SIG_DFL)


def _nothing(number: int, frame: object) -> None:
    """Enqueueing has happened in C."""
