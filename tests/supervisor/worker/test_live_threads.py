"""Which threads a process has: in one of its own, for the test runner has some."""

import subprocess
import sys

PROGRAM = """
import threading
from drawbar.supervisor.worker.live_threads import other_threads, wait_for_threads
end = threading.Event()
print(other_threads())
thread = threading.Thread(target=end.wait, name="pool-1", daemon=True)
thread.start()
print(other_threads())
print(wait_for_threads(0.0))
end.set()
print(wait_for_threads(20.0))
"""


def test_names_them_and_waits_for_their_end() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "['pool-1']", "['pool-1']", "[]"]


NATIVE = """
import asyncio, threading, _thread
from drawbar.supervisor.worker.live_threads import other_threads
lock = _thread.allocate_lock()
lock.acquire()
_thread.start_new_thread(lock.acquire, ())
print(other_threads())
"""


def test_counts_those_that_python_does_not_know() -> None:
    done = subprocess.run([sys.executable, "-c", NATIVE], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["['1 of native code']"]
