"""Types of the native module `labels`."""

from enum import IntEnum

class Joined(IntEnum):
    JOINED = ...
    RETIRED = ...
    TOO_MANY_LABELS = ...

MOST_LABELS: int
MOST_CREDIT: float

class Labels:
    @property
    def weights(self) -> dict[str, float] | None: ...
    @property
    def idle(self) -> int: ...
