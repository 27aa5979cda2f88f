"""Titles, in a process of their own: they outlast the test otherwise."""

import subprocess
import sys

import pytest

SHOW = """
import os, sys
from pathlib import Path
from drawbar.supervisor.host.title import set_title
before = dict(os.environ), list(sys.orig_argv)
print(set_title(sys.argv[1], "drawbar-longer-than-fifteen"))
print(Path("/proc/self/cmdline").read_bytes().rstrip(b"\\0").decode())
print(Path("/proc/self/comm").read_text(), end="")
print(before == (dict(os.environ), list(sys.orig_argv)), os.environ["NEXT_DOOR"])
print(b"NEXT_DOOR=intact" in Path("/proc/self/environ").read_bytes())
"""


def shown(title: str) -> list[str]:
    command = [sys.executable, "-c", SHOW, title]
    run = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
        env={"NEXT_DOOR": "intact", "LC_ALL": "C.UTF-8"},
    )
    return run.stdout.splitlines()


def test_shows_title_and_name() -> None:
    assert shown("drawbar: worker 1") == ["True", "drawbar: worker 1", "drawbar-longer-", "True intact", "True"]


@pytest.mark.parametrize("size", [1, 100, 10_000])
def test_stays_within_the_arguments(size: int) -> None:
    """The environment lies behind them: it must not be touched, however long the title."""
    done, title, *rest = shown("x" * size)
    assert title.strip("x") == ""
    assert 1 <= len(title) <= size
    assert [done, *rest] == ["True", "drawbar-longer-", "True intact", "True"]


def test_a_title_longer_than_the_arguments_is_cut() -> None:
    program = "from drawbar.supervisor.host.title import set_title; set_title('t' * 100_000, 'x')"
    program += "; print(open('/proc/self/cmdline').read().rstrip(chr(0)))"
    command = [sys.executable, "-c", program]
    title = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.strip()
    # All of the area but its last byte.
    assert title == "t" * (sum(len(word) + 1 for word in command) - 1)
