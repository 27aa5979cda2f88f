"""Parsers of what the kernel and wrk print, and the readers on this very process."""

import os
import subprocess
import sys

import pytest

from benchmarks import measure
from benchmarks.measure import MeasurementFailed, Memory, ProcessStat

STAT = (
    "4242 (drawbar: worker (1)) S 4240 4241 4239 0 -1 4194560 1234 567 8 9 150 50 30 20 20 0 9 0 88421 1234567 890 "
    "18446744073709551615 1 1 0 0 0 0 0 16781312 82434 0 0 0 17 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
)

SMAPS_ROLLUP = """\
55d0c8a00000-7ffd0d3f9000 ---p 00000000 00:00 0                          [rollup]
Rss:               12000 kB
Pss:                7500 kB
Pss_Dirty:          4100 kB
Pss_Anon:           4000 kB
Shared_Clean:       6900 kB
Shared_Dirty:          0 kB
Private_Clean:      1000 kB
Private_Dirty:      4100 kB
Swap:                  0 kB
"""

WRK = """\
Running 3s test @ http://127.0.0.1:40001/
  1 threads and 64 connections
Requests/sec: 151234.50
drawbar-bench {"requests": 453000, "sent": 453064, "duration_us": 3000000, "p50_us": 401, "p99_us": 1250, """ + (
    '"status_errors": 1, "timeouts": 2, "socket_errors": 3}\n'
)


def test_stat_of_a_name_with_spaces_and_parentheses() -> None:
    assert measure.parse_stat(STAT) == ProcessStat(pid=4242, parent=4240, session=4239, cpu_ticks=250)


def test_smaps_rollup_in_bytes() -> None:
    assert measure.parse_smaps_rollup(SMAPS_ROLLUP) == Memory(pss_bytes=7500 * 1024, uss_bytes=5100 * 1024)


def test_memory_of_several_processes_adds_up() -> None:
    assert Memory(1, 2) + Memory(10, 20) == Memory(11, 22)


def test_wrk_line_among_its_own_words() -> None:
    load = measure.parse_wrk(WRK)
    assert (load.requests, load.sent, load.duration_s) == (453000, 453064, 3.0)
    assert (load.p50_ms, load.p99_ms) == (0.401, 1.25)
    assert (load.status_errors, load.timeouts, load.socket_errors) == (1, 2, 3)
    assert load.per_second == 151000


def test_wrk_that_could_not_connect_is_quoted() -> None:
    with pytest.raises(MeasurementFailed, match="unable to connect"):
        measure.parse_wrk("unable to connect to 127.0.0.1:1 Connection refused\n")


def test_wrk_that_said_nothing() -> None:
    with pytest.raises(MeasurementFailed, match="wrk said: nothing"):
        measure.parse_wrk("")


def test_a_session_holds_its_processes_and_no_others() -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        assert [stat.pid for stat in measure.session_processes(child.pid)] == [child.pid]
        assert next(measure.session_processes(child.pid)).parent == os.getpid()
        assert measure.memory(child.pid).pss_bytes > 0
    finally:
        child.communicate(b"\n")
    assert list(measure.session_processes(child.pid)) == []
    assert measure.memory(child.pid) == Memory(0, 0)
    assert measure.cpu_us(child.pid) == 0
