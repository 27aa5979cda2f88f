"""Signals as a queue: a handler only enqueues, the loop decides.

The C handler of the interpreter writes the number into a pipe (signal.set_wakeup_fd) which the loop polls. No
Python code runs at a moment it did not choose, so nothing here has to be re-entrant.

What each signal asks for is what unicorn's SIGNALS and puma's docs/signals.md made customary; see docs/signals.md.
"""

import enum
import os
import signal
from collections.abc import Iterable


class Request(enum.Enum):
    """What a signal asks of the master."""

    STOP = "stop"
    QUICK_STOP = "stop quickly"
    RELOAD = "reload"
    REOPEN = "reopen the logs"
    UPGRADE = "upgrade"
    MORE = "one more worker"
    FEWER = "one worker less"
    HALT = "stop the workers, not the master"
    STACKS = "write the stacks"
    REAP = "reap"


REQUESTS = {
    signal.SIGTERM: Request.STOP,
    signal.SIGQUIT: Request.STOP,
    signal.SIGINT: Request.QUICK_STOP,
    signal.SIGHUP: Request.RELOAD,
    signal.SIGUSR1: Request.REOPEN,
    signal.SIGUSR2: Request.UPGRADE,
    signal.SIGTTIN: Request.MORE,
    signal.SIGTTOU: Request.FEWER,
    signal.SIGWINCH: Request.HALT,
    # Linux has no SIGINFO; puma takes SIGPWR in its place.
    signal.SIGPWR: Request.STACKS,
    signal.SIGCHLD: Request.REAP,
}

STOPS = (Request.STOP, Request.QUICK_STOP)
STOPPING = tuple(number for number, request in REQUESTS.items() if request in STOPS)

ASKED_OF_WORKERS = (signal.SIGRTMAX - 1, signal.SIGRTMAX - 2)
"""What only workers are asked by (`stacks`), and would be ended by before they have handlers for it."""

_COUNTED = (Request.MORE, Request.FEWER, *STOPS)
"""Requests that mean more when they come twice."""


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
        """The signals that came since the last call, stops first and deaths last.

        A terminal sends Ctrl-C to the workers too: their deaths must be read knowing that the master stops. Of a storm
        each kind is heard once, unless it counts.
        """
        try:
            numbers = os.read(self.read_fd, 65536)
        except BlockingIOError:
            return []
        arrived = [signal.Signals(number) for number in numbers]
        once = dict.fromkeys(number for number in arrived if REQUESTS[number] not in _COUNTED)
        heard = [*(number for number in arrived if REQUESTS[number] in _COUNTED), *once]
        return sorted(heard, key=lambda number: (REQUESTS[number] is Request.REAP) - (REQUESTS[number] in STOPS))

    def descriptors(self) -> tuple[int, int]:
        """Both ends of the pipe."""
        return self.read_fd, self._write_fd

    def close(self) -> None:
        """Takes the handlers away again; the signals have their defaults."""
        signal.set_wakeup_fd(-1)
        _give_defaults(REQUESTS)
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
    """Detaches the pipe, as a child wants it: to be stopped is the default again, other requests do nothing.

    A `pkill -HUP` or `-USR1` that means the master reaches its children too, perhaps before they have handlers of
    their own, and its default would end them. They keep the handler that does nothing rather than ignore the signal:
    what a process ignores, the programs it starts ignore as well (execve(2)).

    What was ignored from the start stays ignored (nohup). So does SIGPIPE, as the interpreter has it: a write to a
    closed socket is an error code.
    """
    signal.set_wakeup_fd(-1)
    _give_defaults((*STOPPING, signal.SIGCHLD))
    for number in ASKED_OF_WORKERS:
        signal.signal(number, _nothing)


def _give_defaults(numbers: Iterable[int]) -> None:
    for number in numbers:
        if signal.getsignal(number) is _nothing:
            signal.signal(number, signal.SIG_DFL)


def _nothing(number: int, frame: object) -> None:
    """Enqueueing has happened in C."""
