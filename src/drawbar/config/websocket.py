"""[websocket]: bounds and heartbeats of WebSocket connections."""

from typing import Annotated, ClassVar

from msgspec import Meta

from drawbar.config.kinds import Hint, Seconds, Size
from drawbar.config.limits import GIB, MIB
from drawbar.config.section import OF_WORKERS, Section
from drawbar.config.timeouts import DAY_SECONDS, LEAST_SECONDS


class WebsocketConfig(Section, frozen=True, kw_only=True):
    """Bounds and heartbeats of WebSocket connections."""

    OPTION: ClassVar[str] = "websocket-{}"
    COMMANDS: ClassVar[tuple[str, ...]] = OF_WORKERS

    max_message_bytes: Annotated[
        Size,
        Meta(ge=1, le=GIB, description="One message, after decompression."),
        Hint(past="close code 1009"),
    ] = 16 * MIB
    ping_interval: Annotated[
        Seconds,
        Meta(ge=0, le=DAY_SECONDS, description="Between two pings; `0` sends none."),
    ] = 20.0
    ping_timeout: Annotated[
        Seconds,
        Meta(ge=LEAST_SECONDS, le=DAY_SECONDS, description="From a ping to its pong."),
        Hint(past="close code 1011"),
    ] = 20.0
    compression: Annotated[bool, Meta(description="Offer permessage-deflate.")] = True
