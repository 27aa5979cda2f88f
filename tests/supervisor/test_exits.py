"""Ends in words, from the statuses wait(2) gives: the code in the high byte, the signal in the low one."""

import signal

import pytest

from drawbar.supervisor.exits import Exit, describe_exit, signal_name


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "exited with code 0"),
        (3 << 8, "exited with code 3"),
        (signal.SIGTERM, "killed by SIGTERM"),
        (signal.SIGKILL, "killed by SIGKILL, perhaps out of memory"),
        (signal.SIGSEGV | 0x80, "killed by SIGSEGV, a crash in native code"),
        (40, "killed by signal 40"),
    ],
)
def test_describes(status: int, words: str) -> None:
    assert describe_exit(status) == words


def test_does_not_guess_at_our_own_kill() -> None:
    assert describe_exit(signal.SIGKILL, by_us=True) == "killed by SIGKILL"


@pytest.mark.parametrize(
    ("out_of_memory", "words"),
    [
        (True, "killed by SIGKILL, out of memory by the kernel's count"),
        (False, "killed by SIGKILL"),
        (None, "killed by SIGKILL, perhaps out of memory"),
    ],
)
def test_says_what_the_kernel_says(out_of_memory: bool | None, words: str) -> None:
    assert describe_exit(signal.SIGKILL, out_of_memory=out_of_memory) == words
    assert Exit(signal.SIGKILL, out_of_memory).describe() == words
    assert Exit(signal.SIGKILL, out_of_memory).describe(by_us=True) == "killed by SIGKILL"
    assert describe_exit(signal.SIGSEGV, out_of_memory=out_of_memory) == "killed by SIGSEGV, a crash in native code"


def test_names_a_signal() -> None:
    assert signal_name(15) == "SIGTERM"
