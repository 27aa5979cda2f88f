"""The names a process shows: in `ps` (/proc/PID/cmdline) and in `top` and `pgrep` (/proc/PID/comm).

Both are written through /proc rather than by pointers: the kernel checks every address, so a wrong guess about
the stack is an error number and never a damaged process. A title is a kindness to the operator: where /proc is
absent or closed to us the process keeps its old name and runs on.

The title takes the place of the arguments on the stack and can be no longer than they were. The PR_SET_MM_MAP
way, which has no such bound, was rejected: it must restate the whole memory map and kernels may lack it.
"""

import os

COMM_LENGTH = 15
"""Bytes the kernel keeps of a thread's name, TASK_COMM_LEN less its NUL (proc(5))."""

# proc(5), /proc/PID/stat: arg_start and arg_end are fields 48 and 49; the fields after "(comm)" begin with the third.
_ARG_START = 48 - 3
_ARG_END = 49 - 3


def set_title(title: str, comm: str) -> bool:
    """Shows `title` in ps and `comm`, cut to COMM_LENGTH bytes, as the thread's name; False where that is refused."""
    try:
        _write_comm(comm)
        _write_arguments(title)
    except (OSError, ValueError, IndexError):
        return False
    return True


def _write_comm(comm: str) -> None:
    with open("/proc/self/comm", "wb", buffering=0) as file:
        file.write(comm.encode()[:COMM_LENGTH])


def _write_arguments(title: str) -> None:
    start, end = _arguments_area()
    # Ending in NUL tells the kernel that the title stays within the area (proc_pid_cmdline); the rest is wiped
    # so that nothing of the old arguments shows behind it.
    area = title.encode()[: end - start - 1].ljust(end - start, b"\0")
    memory = os.open("/proc/self/mem", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.pwrite(memory, area, start)
    finally:
        os.close(memory)


_area: tuple[int, int] | None = None
"""Once it is known: it is the same in every process forked from this one."""


def _arguments_area() -> tuple[int, int]:
    """First and past-the-end address of the argument strings of this process."""
    global _area
    if _area is None:
        _area = _read_area()
    return _area


def _read_area() -> tuple[int, int]:
    with open("/proc/self/stat", "rb", buffering=0) as file:
        # A comm may hold spaces and parentheses, so the fields are counted from its last one.
        fields = file.read().rpartition(b")")[2].split()
    start, end = int(fields[_ARG_START]), int(fields[_ARG_END])
    if not 0 < start < end:
        raise ValueError("the kernel does not tell where the arguments are")
    return start, end
