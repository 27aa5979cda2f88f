"""The queue of signals, in a process of its own: handlers belong to the process."""

import subprocess
import sys

import pytest

PRELUDE = """
import os, select, signal
from drawbar.supervisor.signals import *
queue = SignalQueue()
"""

CASES = {
    "empty": ("print(queue.drain())", "[]"),
    "stops before deaths": (
        "mask = block_signals()\n"
        "for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT): os.kill(os.getpid(), number)\n"
        "restore_signals(mask)\n"
        "print([number.name for number in queue.drain()][-1], len(queue.drain()))",
        "SIGCHLD 0",
    ),
    "wakes a poll": (
        "os.kill(os.getpid(), signal.SIGHUP)\n"
        "print(bool(select.select([queue.read_fd], [], [], 10)[0]), [number.name for number in queue.drain()])",
        "True ['SIGHUP']",
    ),
    "reset gives those that stop their defaults": (
        "reset_signals()\nprint({signal.getsignal(number) for number in STOPPING} == {signal.SIG_DFL})",
        "True",
    ),
    "a child is not ended by a request that means the master": (
        "reset_signals()\n"
        "for number in set(REQUESTS) - {*STOPPING, signal.SIGCHLD}: os.kill(os.getpid(), number)\n"
        "print('alive', queue.drain())",
        "alive []",
    ),
    "of a storm each is heard once, unless it counts": (
        "for _ in range(3):\n"
        "    for number in (signal.SIGHUP, signal.SIGTTIN, signal.SIGUSR1): os.kill(os.getpid(), number)\n"
        "print([number.name for number in queue.drain()])",
        "['SIGTTIN', 'SIGTTIN', 'SIGTTIN', 'SIGHUP', 'SIGUSR1']",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_queue(name: str) -> None:
    program, output = CASES[name]
    assert run(PRELUDE + program) == output


def test_an_ignored_signal_stays_ignored() -> None:
    """As nohup has it, in the master and in its children."""
    program = "import signal\nsignal.signal(signal.SIGHUP, signal.SIG_IGN)" + PRELUDE
    program += "os.kill(os.getpid(), signal.SIGHUP)\nprint(queue.drain())\nreset_signals()\n"
    program += "print(signal.getsignal(signal.SIGHUP) is signal.SIG_IGN)"
    assert run(program) == "[]\nTrue"


def run(program: str) -> str:
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()
