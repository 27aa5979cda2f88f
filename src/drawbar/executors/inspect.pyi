"""Types of the native module `inspect`."""

from collections.abc import Callable

from drawbar.exchange.exchange import Executor

NONE: int
QUICK: int
SLOW: int
OVERLAP: int
QUICK_REST: int
TRACKED_CALLS: int

class LanesProbe:
    running: int
    running_slow: int
    def __init__(self, maximum: int) -> None: ...
    def next_lane(self, quick: int, slow: int, now_ns: int) -> int: ...
    def look_again_ns(self, quick: int, slow: int, now_ns: int) -> int: ...
    def note_quick(self, now_ns: int) -> None: ...
    def note_started(self, lane: int, due_ns: int) -> int: ...
    def note_ended(self, lane: int, ticket: int) -> None: ...

class ProbeJob:
    left: bool
    dismissed: bool
    def __init__(self, function: Callable[[], object], route: int = ..., *, lasting: bool = ...) -> None: ...

def submit(executor: Executor, job: ProbeJob) -> int: ...
