"""Which threads a process has besides the one that asks: a fork takes only that one along.

The interpreter knows those started in Python by name, the kernel knows all of them (/proc/self/task).
"""

import os
import threading
import time

_LOOK_S = 0.001
"""Between two looks whether a thread that has left Python has also left the process: microseconds, as a rule."""


def other_threads() -> list[str]:
    """The names of the other threads; those that Python does not know are one item, with their number."""
    own = threading.get_native_id()
    tasks = {int(name) for name in os.listdir("/proc/self/task")} - {own}
    known = {thread.native_id: thread.name for thread in threading.enumerate()}
    names = sorted(name for native_id, name in known.items() if native_id in tasks)
    unnamed = len(tasks - known.keys())
    return [*names, f"{unnamed} of native code"] if unnamed else names


def wait_for_threads(seconds: float) -> list[str]:
    """Waits at most that long until no other thread is left; returns those that are."""
    deadline = time.monotonic() + seconds
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join(max(0.0, deadline - time.monotonic()))
    while (left := other_threads()) and time.monotonic() < deadline:
        time.sleep(_LOOK_S)
    return left
