"""The processes of a command, real ones."""

import os
import signal
import subprocess
import sys

import pytest

from drawbar.supervisor.command.session import kill_all, leader_of, read_rss_of_all
from drawbar.supervisor.host.memory import read_rss


def family() -> "subprocess.Popen[str]":
    """A program that has started another, which says its number and waits."""
    return subprocess.Popen(
        ["sh", "-c", "sh -c 'echo $$; exec tail -f /dev/null' & wait"],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def test_all_of_a_session_are_known_by_who_leads_it_and_end_with_it() -> None:
    with family() as first:
        assert first.stdout is not None
        second = int(first.stdout.readline())
        assert second != first.pid
        assert leader_of(second) == leader_of(first.pid) == first.pid
        assert leader_of(os.getpid()) != first.pid
        assert read_rss_of_all(first.pid) > (read_rss(first.pid) or 0)
        os.kill(first.pid, signal.SIGKILL)
        assert first.wait() == -signal.SIGKILL
        # It is there still, and would be for ever: the pipe is open as long as it has it.
        assert leader_of(second) == first.pid
        kill_all(first.pid)
        assert first.stdout.read() == ""
        kill_all(first.pid)


def test_who_is_gone_or_elsewhere_belongs_to_nobody() -> None:
    done = subprocess.Popen(["true"])
    done.wait()
    assert leader_of(done.pid) == 0
    assert leader_of(0) == 0


AS_ANOTHER = """
import os, signal, sys
from drawbar.supervisor.command.session import kill_all, send
leader = int(sys.argv[1])
os.setuid(65534)
kill_all(leader)
print(send(leader, signal.SIGTERM), send(leader, signal.SIGKILL))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become others")
def test_what_has_become_another_user_is_left() -> None:
    with family() as first:
        assert first.stdout is not None
        first.stdout.readline()
        environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", AS_ANOTHER, str(first.pid)]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
        assert done.stdout == "False False\n"
        assert first.poll() is None
        kill_all(first.pid)
