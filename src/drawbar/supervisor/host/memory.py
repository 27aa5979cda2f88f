"""What a process holds of memory, and how much of it others hold, too.

Read from /proc on request, never periodically by itself. `parse_rollup` and `parse_statm` are pure; `None` is a process
that has gone, or one that the kernel does not let us look into.

RSS counts every page a process has in memory and so counts shared pages once in each of their processes. PSS divides a
page among the processes that have it: the sum over all workers is what the server takes. (proc(5))
"""

import os
from typing import NamedTuple

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

_KIBIBYTE = 1024


class Memory(NamedTuple):
    """Bytes in memory."""

    rss: int
    pss: int
    shared: int
    """Of `rss`: pages that some other process has, too."""
    private: int
    """Of `rss`: pages that nobody else has."""


def read_memory(pid: int) -> Memory | None:
    """What the process holds. Costs the kernel a walk through its pages, some milliseconds for a large one."""
    data = _read(f"/proc/{pid}/smaps_rollup")
    return parse_rollup(data) if data else None


def read_rss(pid: int) -> int | None:
    """The resident set alone, in bytes: costs next to nothing."""
    data = _read(f"/proc/{pid}/statm")
    return parse_statm(data, PAGE_BYTES) if data else None


def parse_rollup(data: bytes) -> Memory:
    """From the text of /proc/PID/smaps_rollup: a heading, then lines such as `Pss:   1234 kB`."""
    sizes: dict[bytes, int] = {}
    for line in data.splitlines()[1:]:
        name, _, rest = line.partition(b":")
        sizes[name] = int(rest.split()[0]) * _KIBIBYTE
    return Memory(
        rss=sizes[b"Rss"],
        pss=sizes[b"Pss"],
        shared=sizes[b"Shared_Clean"] + sizes[b"Shared_Dirty"],
        private=sizes[b"Private_Clean"] + sizes[b"Private_Dirty"],
    )


def parse_statm(data: bytes, page_bytes: int) -> int:
    """The second field of /proc/PID/statm, which counts pages."""
    return int(data.split()[1]) * page_bytes


def _read(path: str) -> bytes:
    """The whole file; empty when the process has gone, is a zombie or is not ours to look into."""
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except OSError:
        return b""
