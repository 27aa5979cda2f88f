"""What a process forked by an application starts without. Each case is a process of its own."""

import subprocess
import sys

import pytest

WORKER = """
import os, signal, socket
from drawbar.net.reactor import Reactor
from drawbar.supervisor.worker.forks import disown_in_children, disown_nothing

def ignore(number, frame):
    pass

listener = socket.create_server(("127.0.0.1", 0))
early = lambda: None
os.register_at_fork(after_in_child=lambda: early())
signal.signal(signal.SIGTERM, ignore)
disown_in_children(Reactor(), [listener])

def forked(work):
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
"""


def run(program: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", WORKER + program], capture_output=True, text=True, check=True
    ).stdout.strip()


def test_a_child_holds_no_listener() -> None:
    assert run("print(forked(lambda: os._exit(0 if listener.fileno() < 0 else 1)))") == "0"


def test_a_signal_ends_a_child_and_not_its_parent() -> None:
    assert run("print(forked(lambda: os.kill(os.getpid(), signal.SIGTERM)))") == "-15"


def test_a_signal_that_comes_before_the_child_has_let_go_is_not_lost() -> None:
    assert run("early = lambda: os.kill(os.getpid(), signal.SIGTERM)\nprint(forked(lambda: None))") == "-15"


def test_the_parent_takes_signals_as_before() -> None:
    program = (
        "before = signal.pthread_sigmask(0, ())\nforked(lambda: None)\nprint(signal.pthread_sigmask(0, ()) == before)"
    )
    assert run(program) == "True"


@pytest.mark.parametrize("again", [False, True], ids=["no worker", "a worker again"])
def test_what_is_no_worker_keeps_what_it_forks_whole(again: bool) -> None:
    program = "disown_nothing()\n"
    if again:
        program += "disown_in_children(Reactor(), [listener])\n"
    program += "print(forked(lambda: os._exit(0 if listener.fileno() < 0 else 1)))"
    assert run(program) == ("0" if again else "1")
