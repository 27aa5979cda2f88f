"""Whether the kernel has killed a process of ours for want of memory: its own count tells, and nothing need be guessed.

The count of this process's control group is the better one (cgroup v2 `memory.events`, v1 `memory.oom_control`: kills
by any cause within the group); without a group it is that of the whole machine (`oom_kill` in `/proc/vmstat`).
"""

import contextlib
import os
from collections.abc import Iterator
from typing import Final

COUNT: Final = "oom_kill"


class OomCount:
    """The kernel's count, and what it was when last asked. root: where the file system with /proc and /sys begins."""

    def __init__(self, root: str = "/") -> None:
        self._root = root
        self._seen = self._read()

    def has_risen(self) -> bool | None:
        """Whether processes were killed since the last time this was asked; None: this system does not say."""
        seen, self._seen = self._seen, self._read()
        if seen is None or self._seen is None:
            return None
        return self._seen > seen

    def _read(self) -> int | None:
        for path in (*self._of_group(), "proc/vmstat"):
            with contextlib.suppress(OSError, ValueError):
                for line in self._text(path).splitlines():
                    name, _, value = line.partition(" ")
                    if name == COUNT:
                        return int(value)
        return None

    def _of_group(self) -> Iterator[str]:
        """Files of the group this process is in, by `/proc/self/cgroup` (cgroups(7)): `number:controllers:path`."""
        with contextlib.suppress(OSError, ValueError):
            for line in self._text("proc/self/cgroup").splitlines():
                _, controllers, group = line.split(":", 2)
                if not controllers:
                    yield f"sys/fs/cgroup{group}/memory.events"
                elif "memory" in controllers.split(","):
                    yield f"sys/fs/cgroup/memory{group}/memory.oom_control"

    def _text(self, path: str) -> str:
        with open(os.path.join(self._root, path)) as file:
            return file.read()
