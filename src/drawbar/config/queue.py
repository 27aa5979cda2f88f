"""[queue]: the bounds of requests that wait for a worker, and of those a worker has."""

from collections.abc import Iterator
from typing import Annotated, ClassVar

from msgspec import Meta

from drawbar.config.kinds import Hint, Seconds, Size
from drawbar.config.limits import GIB, MIB
from drawbar.config.section import OF_FRONTS, Conflict, Section

HOUR = 3600
MOST_WAITING = 1_000_000


class QueueConfig(Section, frozen=True, kw_only=True):
    """Requests that wait for a worker to pull them; each application's queue has these bounds."""

    OPTION: ClassVar[str] = "queue-{}"
    COMMANDS: ClassVar[tuple[str, ...]] = OF_FRONTS

    length: Annotated[
        int,
        Meta(ge=1, le=MOST_WAITING, description="Requests that wait for a worker."),
        Hint(past="503 with `Retry-After`"),
    ] = 1000
    bytes: Annotated[
        Size,
        Meta(ge=MIB, le=1024 * GIB, description="Memory that waiting requests hold, heads and bodies together."),
        Hint(past="503 with `Retry-After`"),
    ] = 256 * MIB
    time: Annotated[
        Seconds,
        Meta(ge=0.1, le=HOUR, description="How long a request waits for a worker; a pause does not count."),
        Hint(past="503 with `Retry-After`"),
    ] = 30.0
    deadline: Annotated[
        Seconds,
        Meta(
            ge=0.1,
            le=24 * HOUR,
            description="How long a request may take from its arrival to the head of its response.",
        ),
        Hint(past="504"),
    ] = 60.0
    lease: Annotated[
        Seconds,
        Meta(
            ge=1,
            le=24 * HOUR,
            description="How long a worker of the polling lanes has for a request, unless it renews.",
        ),
        Hint(past="another worker gets the request, if it is safe to run again; else 502"),
    ] = 60.0
    attempts: Annotated[
        int,
        Meta(ge=1, le=100, description="How often a request that is safe to run again is given to a worker."),
        Hint(past="502"),
    ] = 3
    pause: Annotated[
        Seconds,
        Meta(ge=0, le=24 * HOUR, description="How long `drawbar ctl pause` may hold requests."),
        Hint(past="the queue goes on by itself"),
    ] = 300.0

    def conflicts(self) -> Iterator[Conflict]:
        """Nobody waits longer than the whole may take."""
        if self.time > self.deadline:
            yield Conflict(("time", "deadline"), "a request that waits that long is past its deadline already")
