"""Figures of a process's memory: the kernel's text parsed, and true for a process that shares."""

import os
import subprocess
import sys

from drawbar.supervisor.host.memory import Memory, parse_rollup, parse_statm, read_memory, read_rss

ROLLUP = b"""5565a0000000-7ffdc3bfe000 ---p 00000000 00:00 0                          [rollup]
Rss:               22536 kB
Pss:                9671 kB
Pss_Dirty:          5000 kB
Pss_Anon:           4480 kB
Shared_Clean:      12000 kB
Shared_Dirty:       2000 kB
Private_Clean:       536 kB
Private_Dirty:      8000 kB
Referenced:        22536 kB
Swap:                  0 kB
Locked:                0 kB
"""

SHARING = """
import os, sys
block = bytearray(b"x") * (32 << 20)
reader, writer = os.pipe()
child = os.fork()
if child == 0:
    os.read(reader, 1)
    os._exit(0)
print(child, flush=True)
sys.stdin.read()
os.write(writer, b".")
os.waitpid(child, 0)
"""


def test_reads_the_sums_of_a_rollup() -> None:
    assert parse_rollup(ROLLUP) == Memory(rss=22536 * 1024, pss=9671 * 1024, shared=14000 * 1024, private=8536 * 1024)


def test_reads_resident_pages() -> None:
    assert parse_statm(b"5421 3010 1520 712 0 840 0\n", 4096) == 3010 * 4096


def test_a_forked_child_shares_what_neither_has_written() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SHARING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        found, resident = read_memory(child), read_rss(child)
        parent.communicate("")
    assert found is not None
    assert resident is not None
    assert found.shared >= 32 << 20
    assert found.pss < found.rss - (12 << 20)
    assert found.private + found.shared == found.rss
    assert resident >= 32 << 20


def test_a_process_that_has_gone_has_no_figures() -> None:
    pid = os.posix_spawn(sys.executable, [sys.executable, "-c", ""], {})
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert read_memory(pid) is None
    os.waitpid(pid, 0)
    assert read_memory(pid) is None
    assert read_rss(pid) is None
