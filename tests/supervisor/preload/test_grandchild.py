"""A fork across a generation, in a process that has asked to be the parent of what is left behind."""

import subprocess
import sys

PROGRAM = """
import os
from drawbar.supervisor.preload.grandchild import fork_grandchild
from drawbar.supervisor.process import adopt_grandchildren
adopt_grandchildren()
ancestor = os.getpid()
reader, writer = os.pipe()
"""

IN_BETWEEN = """
between = os.fork()
if between == 0:
    try:
        pid = fork_grandchild()
    except OSError as error:
        os.write(writer, f"refused {error.strerror}, {len(os.listdir('/proc/self/fd'))}".encode())
        os._exit(0)
    if pid == 0:
        os.write(writer, f"{os.getppid() == ancestor} {len(os.listdir('/proc/self/fd'))}".encode())
        os._exit(5)
    os.write(writer, f"made {pid} ".encode())
    os._exit(len(os.listdir('/proc/self/fd')))
os.waitpid(between, 0)
try:
    print(os.WEXITSTATUS(os.wait()[1]))
except ChildProcessError:
    print("nobody")
os.close(writer)
print(os.read(reader, 100).decode())
"""


def run(program: str) -> list[str]:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.splitlines()


def test_it_is_the_ancestors_child_from_its_first_moment() -> None:
    code, said = run(PROGRAM + IN_BETWEEN)
    assert code == "5"
    assert "True" in said
    assert "made" in said


SCARCE = """
fork, made = os.fork, []

def fork_once():
    if made:
        raise BlockingIOError(11, "no more")
    made.append(1)
    return fork()

os.fork = fork_once
before = os.listdir("/proc/self/fd")
try:
    fork_grandchild()
except OSError as error:
    print(error.errno)
print(os.listdir("/proc/self/fd") == before)
try:
    os.wait()
except ChildProcessError:
    print("nobody")
"""


def test_no_process_to_be_had_is_an_error_and_leaves_nothing_behind() -> None:
    assert run(PROGRAM + SCARCE) == ["11", "True", "nobody"]
