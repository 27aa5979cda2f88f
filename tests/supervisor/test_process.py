"""System calls of our own, each in a process of its own: what they set lasts as long as the process."""

import os
import subprocess
import sys

from drawbar.supervisor.process import make_timer, set_timer
from tests.supervisor.harness import PATIENCE_S, readable

GRANDCHILD = """
import os
from drawbar.supervisor.process import adopt_grandchildren
adopt_grandchildren()
reader, writer = os.pipe()
child = os.fork()
if child == 0:
    grandchild = os.fork()
    if grandchild == 0:
        os._exit(7)
    os.write(writer, b"%d" % grandchild)
    os._exit(0)
os.waitpid(child, 0)
grandchild = int(os.read(reader, 20))
pid, status = os.waitpid(grandchild, 0)
print(pid == grandchild, os.WEXITSTATUS(status))
"""


def test_grandchildren_left_behind_become_children() -> None:
    done = subprocess.run([sys.executable, "-c", GRANDCHILD], capture_output=True, text=True, check=True)
    assert done.stdout == "True 7\n"


def test_a_timer_can_be_read_when_its_time_is_over_and_not_before() -> None:
    timer = make_timer()
    try:
        assert not readable(timer, 0)
        set_timer(timer, 3600.0)
        assert not readable(timer, 0)
        set_timer(timer, 0.0)
        assert readable(timer, PATIENCE_S)
        assert os.read(timer, 8) == (1).to_bytes(8, sys.byteorder)
    finally:
        os.close(timer)
