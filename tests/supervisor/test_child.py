"""The dead are heard before they are buried. In a process of its own, whose children are all the test's."""

import subprocess
import sys

REAPED = """
import os
from drawbar.supervisor.child import reap

dead = {}
for code in (3, 4):
    pid = os.fork()
    if pid == 0:
        os._exit(code)
    dead[pid] = code
lives = os.fork()
if lives == 0:
    os.read(0, 1)
    os._exit(0)
for pid in dead:
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
heard = []


def hear(pid):
    # ProcessLookupError for one that is buried.
    os.kill(pid, 0)
    heard.append(pid)


buried = {pid: os.waitstatus_to_exitcode(status) for pid, status in reap(hear)}
assert buried == dead, buried
assert sorted(heard) == sorted(dead), heard
assert not os.path.exists(f"/proc/{heard[0]}")
assert list(reap(hear)) == [], "one is left, and lives"
"""


def test_a_child_is_heard_while_its_number_is_its_own() -> None:
    done = subprocess.Popen([sys.executable, "-c", REAPED], stdin=subprocess.PIPE)
    assert done.stdin is not None
    assert done.wait() == 0
    done.stdin.close()
