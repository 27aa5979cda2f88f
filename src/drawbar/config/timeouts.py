"""[timeouts]: how long each silence is borne, in seconds."""

from typing import Annotated, ClassVar

from msgspec import Meta

from drawbar.config.kinds import Hint, Seconds
from drawbar.config.section import Section

# The timer wheel counts ticks of a quarter second; a day bounds it and is as good as for ever.
DAY_SECONDS = 86_400.0
# Below this a timeout would cut clients off that are only far away.
LEAST_SECONDS = 0.1


class TimeoutsConfig(Section, frozen=True, kw_only=True):
    """How long each silence is borne."""

    OPTION: ClassVar[str] = "{}-timeout"

    head: Annotated[
        Seconds,
        Meta(ge=LEAST_SECONDS, le=DAY_SECONDS, description="From a request's first byte to the end of its head."),
        Hint(past="408, and the connection is closed; a connection that sent nothing is closed silently"),
    ] = 30.0
    keepalive: Annotated[
        Seconds,
        Meta(ge=0, le=DAY_SECONDS, description="Between a response and the next request; `0` closes after each one."),
        Hint(past="the connection is closed"),
    ] = 75.0
    body: Annotated[
        Seconds,
        Meta(ge=LEAST_SECONDS, le=DAY_SECONDS, description="Between two reads of a request's body."),
        Hint(past="408, and the connection is closed"),
    ] = 30.0
    send: Annotated[
        Seconds,
        Meta(
            ge=LEAST_SECONDS,
            le=DAY_SECONDS,
            description="Between two writes of a response while the client reads nothing.",
        ),
        Hint(past="the connection is reset"),
    ] = 60.0
    linger: Annotated[
        Seconds,
        Meta(ge=0, le=DAY_SECONDS, description="Reading on after the last response, so that no reset cuts it off."),
        Hint(past="the connection is closed"),
    ] = 5.0
    graceful: Annotated[
        Seconds,
        Meta(ge=0, le=DAY_SECONDS, description="For requests in progress when the server stops."),
        Hint(past="the worker is killed"),
    ] = 30.0
    request: Annotated[
        Seconds,
        Meta(
            ge=0,
            le=DAY_SECONDS,
            description="From the call of the application to the head of its response; `0` is no limit.",
        ),
        Hint(
            past="504, the stack of that call in the log, and the worker is replaced when its other requests are done"
        ),
    ] = 0.0
    boot: Annotated[
        Seconds,
        Meta(ge=0, le=DAY_SECONDS, description="From a worker's start until it takes requests; `0` is no limit."),
        Hint(past="its stack goes to the log and it is killed"),
    ] = 120.0
    liveness: Annotated[
        Seconds,
        Meta(
            ge=0,
            le=DAY_SECONDS,
            description="Between two turns of a worker's reactor; `0` is no limit. Long requests are no reason, a loop "
            "that an application blocks is.",
        ),
        Hint(past="its stack goes to the log and it is replaced"),
    ] = 60.0
