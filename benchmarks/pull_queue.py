"""What the rules of the pull queue cost: `python -m benchmarks.pull_queue`, and a part of the case `queue-depth`.

A request goes in, gets a room, is answered, and its room is idle again, while others wait behind it: the time must not
depend on how many. It is taken through calls from Python, which cost more than the rules do. Memory is what the process
grows by while many wait, one by one, with nothing but their place in the queue.
"""

import os
import time

from drawbar.pull.entry import Entry, Room
from drawbar.pull.queue import AppQueue

NOW_MS = 1_000_000
WAITING = (0, 100, 10_000, 100_000)
REQUESTS = 200_000
# Of each figure the best: what else the machine does only ever makes it worse.
ROUNDS = 5


def resident_bytes() -> int:
    """Of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def a_queue(waiting: int) -> AppQueue:
    """With so many in it, and no room."""
    queue = AppQueue("app", length=waiting + 1, bytes=1 << 40)
    for _ in range(waiting):
        queue.put(Entry(), 500, 0, NOW_MS)
    return queue


def empty(queue: AppQueue) -> None:
    """A queue owns what it has, unseen by the cycle collector."""
    for entry in queue.waiting(queue.queued):
        queue.forget(entry)


def bytes_for_each(waiting: int) -> float:
    """That one of so many takes."""
    before = resident_bytes()
    queue = a_queue(waiting)
    grown = resident_bytes() - before
    empty(queue)
    return grown / waiting


def ns_for_each(waiting: int) -> float:
    """From put to answered, behind so many."""
    queue = a_queue(waiting)
    room = Room("v1", "worker")
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.perf_counter_ns()
        for number in range(REQUESTS):
            now_ms = NOW_MS + number // 100
            queue.put(Entry(), 500, 0, now_ms)
            queue.add_room(room)
            entry = queue.match(now_ms)
            assert entry is not None
            queue.finish(entry)
        best = min(best, (time.perf_counter_ns() - began) / REQUESTS)
    empty(queue)
    return best


def main() -> None:
    """Prints all figures."""
    print(f"bytes of a waiting entry: {bytes_for_each(WAITING[-1]):.0f}")
    for waiting in WAITING:
        print(f"ns from put to answered behind {waiting}: {ns_for_each(waiting):.0f}")


if __name__ == "__main__":
    main()
