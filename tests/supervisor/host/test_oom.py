"""The kernel's count of processes killed for want of memory, from files as kernels write them."""

from pathlib import Path

import pytest

from drawbar.supervisor.host.oom import OomCount

VERSION_2 = ("0::/app.slice", "sys/fs/cgroup/app.slice/memory.events", "low 0\nhigh 3\nmax 12\noom 1\noom_kill {}\n")
VERSION_1 = (
    "9:name=systemd:/\n4:cpu,memory:/app\n0::/",
    "sys/fs/cgroup/memory/app/memory.oom_control",
    "oom_kill_disable 0\nunder_oom 0\noom_kill {}\n",
)
NO_GROUP = ("0::/", "proc/vmstat", "pgfault 80122\noom_kill {}\n")


class Kernel:
    """The files of one kernel, under a directory."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return Kernel(tmp_path)


@pytest.mark.parametrize(("groups", "path", "text"), [VERSION_2, VERSION_1, NO_GROUP])
def test_a_rise_is_told_once(kernel: Kernel, groups: str, path: str, text: str) -> None:
    kernel.write("proc/self/cgroup", groups + "\n")
    kernel.write(path, text.format(4))
    count = OomCount(str(kernel.root))
    assert count.has_risen() is False
    kernel.write(path, text.format(5))
    assert count.has_risen() is True
    assert count.has_risen() is False


def test_the_group_is_asked_before_the_machine(kernel: Kernel) -> None:
    groups, path, text = VERSION_2
    kernel.write("proc/self/cgroup", groups + "\n")
    kernel.write(path, text.format(0))
    kernel.write("proc/vmstat", "oom_kill 0\n")
    count = OomCount(str(kernel.root))
    kernel.write("proc/vmstat", "oom_kill 1\n")
    assert count.has_risen() is False


@pytest.mark.parametrize("text", ["pgfault 1\n", "oom_kill many\n", ""])
def test_a_system_that_does_not_say(kernel: Kernel, text: str) -> None:
    count = OomCount(str(kernel.root))
    assert count.has_risen() is None
    kernel.write("proc/vmstat", text)
    kernel.write("proc/self/cgroup", "nonsense\n")
    assert count.has_risen() is None


def test_a_file_that_can_be_read_only_now_tells_nothing_yet(kernel: Kernel) -> None:
    count = OomCount(str(kernel.root))
    kernel.write("proc/vmstat", "oom_kill 7\n")
    assert count.has_risen() is None
    assert count.has_risen() is False
