"""What the kernel holds a process to, in processes of their own."""

import json
import os
import resource
import subprocess
import sys
from typing import Any

import pytest

from tests.supervisor.harness import PATIENCE_S

PROGRAM = """
import json, mmap, os, resource, sys, threading
from drawbar.config import Config, OperatorError, ProcessConfig
from drawbar.supervisor.host.privileges import settle_as
options = json.loads(sys.argv[1])
if options.pop("as_nobody", False):
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
def memory(size):
    try:
        return len(bytearray(size))
    except MemoryError:
        return None
try:
    settle_as(Config(process=ProcessConfig(**options)), 0.0)
except OperatorError as error:
    print(json.dumps({"refused": str(error)}))
    sys.exit()
reserved = len(mmap.mmap(-1, 1 << 32, prot=0))
started = True
try:
    threading.Thread(target=int).start()
except RuntimeError:
    started = False
print(json.dumps({
    "much": memory(256 << 20), "little": memory(1 << 20), "reserved": reserved, "thread": started,
    "files": resource.getrlimit(resource.RLIMIT_NOFILE), "nice": os.getpriority(os.PRIO_PROCESS, 0),
}))
"""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


def facts(**options: Any) -> dict[str, Any]:
    """What a process with these settings finds it can do."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(options)], capture_output=True, check=True, timeout=PATIENCE_S
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_nothing_asked_for_is_nothing_done() -> None:
    found = facts()
    assert found["much"] == 256 << 20
    assert found["files"] == list(resource.getrlimit(resource.RLIMIT_NOFILE))
    assert found["nice"] == os.getpriority(os.PRIO_PROCESS, 0)


def test_memory_that_is_used_counts_and_what_is_reserved_does_not() -> None:
    found = facts(memory=128 << 20)
    assert (found["much"], found["little"], found["reserved"]) == (None, 1 << 20, 1 << 32)


def test_files_and_niceness() -> None:
    found = facts(open_files=100, nice=15)
    assert (found["files"], found["nice"]) == ([100, 100], 15)


@as_root
def test_processes_are_counted_by_user() -> None:
    assert facts(processes=1, user="nobody")["thread"] is False
    # The kernel binds no root.
    assert facts(processes=1)["thread"] is True


@as_root
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"nice": -5}, "process.nice: not permitted to go to -5; start the server as root, or write a higher number"),
        ({"open_files": 1 << 29}, f"process.open_files: not permitted to raise it to {1 << 29}; start the server with"),
    ],
)
def test_what_is_not_permitted_is_told(options: dict[str, int], message: str) -> None:
    assert message in facts(**options, as_nobody=True)["refused"]
