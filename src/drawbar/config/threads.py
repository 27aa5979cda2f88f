"""How many threads of a worker may be in the application: `N` or `MIN:MAX`."""

from typing import Annotated

import msgspec

from drawbar.config.kinds import Kind

# A thread costs a stack and a turn at the interpreter lock: past this number more of them only add waiting.
MAX_THREADS = 1024


class ThreadRange(msgspec.Struct, frozen=True):
    """Threads of one worker: `minimum` are kept, more are started when needed, up to `maximum`."""

    minimum: int
    maximum: int

    @property
    def is_inline(self) -> bool:
        """Whether the application is only ever called in the thread that polls."""
        return self.maximum == 1

    def __str__(self) -> str:
        return str(self.maximum) if self.minimum == self.maximum else f"{self.minimum}:{self.maximum}"


def parse_threads(raw: object) -> ThreadRange:
    """`N` or `MIN:MAX`; raises ValueError saying what is wrong and what would be right."""
    text = str(raw).strip() if isinstance(raw, int | str) and not isinstance(raw, bool) else ""
    low, colon, high = text.partition(":")
    bounds = [low, high] if colon else [low, low]
    if not all(bound.isascii() and bound.isdigit() and len(bound) < 6 for bound in bounds):
        raise ValueError(f"{raw!r} is not a number of threads; write N or MIN:MAX such as 1:8")
    minimum, maximum = map(int, bounds)
    if not 1 <= minimum <= maximum <= MAX_THREADS:
        raise ValueError(f"{raw!r} is out of range; write N or MIN:MAX with 1 <= MIN <= MAX <= {MAX_THREADS}")
    return ThreadRange(minimum, maximum)


THREADS = Kind("N|MIN:MAX", "`N` or `MIN:MAX`", parse_threads)
Threads = Annotated[ThreadRange, THREADS]
