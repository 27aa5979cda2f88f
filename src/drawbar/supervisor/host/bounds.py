"""What the kernel holds a process to: memory, open files, processes, and how readily it yields the processor.

Set in a child before it becomes somebody else: what root may raise, others may not. A child passes them on.

Memory is RLIMIT_DATA, which since Linux 4.7 counts all private memory that can be written: the heap, anonymous maps,
stacks of threads. RLIMIT_AS would count what is merely reserved, and that has nothing to do with use: a runtime such
as Node's or Go's reserves gigabytes at its start, the C library 64 MB for each thread that allocates.
"""

import os
import resource
from typing import Final

from drawbar.config import OperatorError, ProcessConfig

BOUNDS: Final = (
    ("memory", resource.RLIMIT_DATA),
    ("open_files", resource.RLIMIT_NOFILE),
    ("processes", resource.RLIMIT_NPROC),
)


def bound(process: ProcessConfig) -> None:
    """Holds this process and its children to what the configuration says. Raises OperatorError."""
    for field, kind in BOUNDS:
        most = getattr(process, field)
        if most is not None:
            _set(field, kind, most)
    if process.nice is not None:
        try:
            os.setpriority(os.PRIO_PROCESS, 0, process.nice)
        except PermissionError as error:
            right = "start the server as root, or write a higher number"
            raise OperatorError(f"not permitted to go to {process.nice}", where="process.nice", right=right) from error


def _set(field: str, kind: int, most: int) -> None:
    try:
        resource.setrlimit(kind, (most, most))
    except (ValueError, OSError) as error:
        hard = resource.getrlimit(kind)[1]
        right = f"start the server with a higher limit than {hard}, or write that at most"
        raise OperatorError(f"not permitted to raise it to {most}", where=f"process.{field}", right=right) from error
