"""[lifecycle]: how workers come, are replaced, and go."""

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from drawbar.config.kinds import Hint, Seconds, Size
from drawbar.config.section import Conflict, Section

# A month: what is older than that is restarted for other reasons.
MAX_AGE_SECONDS = 31 * 86_400.0
# An hour: longer than any load balancer looks.
MAX_DELAY_SECONDS = 3600.0
MANY = 1_000_000_000


class LifecycleConfig(Section, frozen=True, kw_only=True):
    """How workers come, are replaced, and go."""

    reload_strategy: Annotated[
        Literal["rolling", "all", "stop-first"],
        Meta(
            description="How a reload replaces workers: `rolling` one at a time, `all` at once, "
            "`stop-first` stops each worker before its replacement starts."
        ),
    ] = "rolling"
    upgrade: Annotated[
        Literal["auto", "manual"],
        Meta(
            description="What follows SIGUSR2: `auto` ends the old master when the new one serves; with `manual` "
            "both stay until one of them is told to quit."
        ),
    ] = "auto"
    drain_delay: Annotated[
        Seconds,
        Meta(
            ge=0,
            le=MAX_DELAY_SECONDS,
            description="Between the request to stop and the stop: `/readyz` fails at once, requests are served on, so "
            "that load balancers can look elsewhere.",
        ),
    ] = 0.0
    preload: Annotated[
        bool,
        Meta(description="Import the application once, in a fork server whose memory the workers share."),
    ] = False
    refork: Annotated[
        int,
        Meta(
            ge=0,
            le=MANY,
            description="Requests after which a warm worker becomes the fork server and the others are forked anew "
            "from it; `0` never. Needs `preload`.",
        ),
    ] = 0
    max_requests: Annotated[
        int,
        Meta(
            ge=0,
            le=MANY,
            description="Requests after which a worker is replaced; `0` is no limit. However fast they come, "
            "it serves for a second.",
        ),
        Hint(past="a replacement starts first, then the worker drains"),
    ] = 0
    max_requests_jitter: Annotated[
        int,
        Meta(
            ge=0, le=MANY, description="At most this many more requests, by lot, so that workers do not end together."
        ),
    ] = 0
    max_memory: Annotated[
        Size,
        Meta(ge=0, le=1 << 50, description="Resident memory at which a worker is replaced; `0` is no limit."),
        Hint(past="a replacement starts first, then the worker drains"),
    ] = 0
    max_age: Annotated[
        Seconds,
        Meta(ge=0, le=MAX_AGE_SECONDS, description="Age at which a worker is replaced; `0` is no limit."),
        Hint(past="a replacement starts first, then the worker drains"),
    ] = 0.0

    def conflicts(self) -> Iterator[Conflict]:
        """Forking anew needs something to fork from."""
        if self.refork and not self.preload:
            yield Conflict(("refork", "preload"), "a warm worker replaces the fork server, which only preload starts")
        if self.max_requests_jitter and not self.max_requests:
            yield Conflict(("max_requests_jitter", "max_requests"), "there is no number of requests to add to")
