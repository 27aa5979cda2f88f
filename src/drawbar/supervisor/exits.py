"""A child's end in words for the log. Pure: a wait status in, a phrase out."""

import os
import signal
from typing import NamedTuple

_HINTS: dict[int, str] = {
    signal.SIGSEGV: ", a crash in native code",
    signal.SIGBUS: ", a crash in native code",
    signal.SIGILL: ", a crash in native code",
    signal.SIGFPE: ", a crash in native code",
    signal.SIGABRT: ", it gave itself up",
    signal.SIGALRM: ", it overran its own deadline",
}


def signal_name(number: int) -> str:
    """`SIGTERM` for 15; `signal 40` for one without a name of its own."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


_OUT_OF_MEMORY: dict[bool | None, str] = {
    True: ", out of memory by the kernel's count",
    False: "",
    None: ", perhaps out of memory",
}


def describe_exit(status: int, *, by_us: bool = False, out_of_memory: bool | None = None) -> str:
    """What became of a child with this wait(2) status.

    by_us: leaves out guesses at who sent the signal. out_of_memory: whether the kernel has killed for want of memory;
    None: nobody knows.
    """
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        hint = _OUT_OF_MEMORY[out_of_memory] if number == signal.SIGKILL else _HINTS.get(number, "")
        return f"killed by {signal_name(number)}{'' if by_us else hint}"
    return f"exited with code {os.WEXITSTATUS(status)}"


class Exit(NamedTuple):
    """How a child ended: its wait(2) status, and whether the kernel has killed for want of memory by then."""

    status: int
    out_of_memory: bool | None = None

    def describe(self, *, by_us: bool = False) -> str:
        """As describe_exit()."""
        return describe_exit(self.status, by_us=by_us, out_of_memory=self.out_of_memory)
