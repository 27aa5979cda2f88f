"""[limits]: the bound of everything that can grow, and what is answered past it."""

from collections.abc import Iterator
from typing import Annotated, ClassVar

from msgspec import Meta

from drawbar.config.kinds import Hint, Size
from drawbar.config.section import Conflict, Section

# The offset table of the parser has this many entries.
MAX_FIELDS = 256
KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30
# A bound for sizes on disk that keeps sums of them far from the end of 64 bits.
PIB = 1 << 50


class LimitsConfig(Section, frozen=True, kw_only=True):
    """The bound of everything that can grow."""

    OPTION: ClassVar[str] = "limit-{}"

    connections: Annotated[
        int,
        Meta(ge=1, le=1_000_000, description="Connections a worker holds open."),
        Hint(past="the worker stops accepting until one closes"),
    ] = 50_000
    head_bytes: Annotated[
        Size,
        Meta(ge=256, le=MIB, description="Request line and header fields together."),
        Hint(past="431, and the connection is closed"),
    ] = 32 * KIB
    target_bytes: Annotated[
        Size,
        Meta(ge=16, le=MIB, description="The request-target: path and query."),
        Hint(past="414, and the connection is closed"),
    ] = 8190
    fields: Annotated[
        int,
        Meta(ge=1, le=MAX_FIELDS, description="Header fields of a request, and trailer fields of a body."),
        Hint(past="431, and the connection is closed"),
    ] = 100
    body_bytes: Annotated[
        Size,
        Meta(ge=0, le=PIB, description="A request's body, decoded; `0` is no limit."),
        Hint(past="413, and the connection is closed"),
    ] = GIB
    body_memory_bytes: Annotated[
        Size,
        Meta(ge=0, le=GIB, description="The part of a request's body that is kept in memory."),
        Hint(past="the body is written to an unlinked file in `server.temp_dir`"),
    ] = 64 * KIB
    output_high_bytes: Annotated[
        Size,
        Meta(ge=KIB, le=GIB, description="High-water mark of a connection's output in memory."),
        Hint(past="a WSGI response spills to an unlinked file, an ASGI application waits in `send`"),
    ] = 256 * KIB
    output_low_bytes: Annotated[
        Size,
        Meta(ge=0, le=GIB, description="Low-water mark: output drained to it lets a waiting application go on."),
    ] = 64 * KIB
    response_spill_bytes: Annotated[
        Size,
        Meta(
            ge=0,
            le=PIB,
            description="The part of one response that waits in a file for a slow client; `0` spills none.",
        ),
        Hint(past="the application waits until the client has read"),
    ] = GIB
    keepalive_requests: Annotated[
        int,
        Meta(ge=0, le=1_000_000_000, description="Requests on one connection; `0` is no limit."),
        Hint(past="the last response says `Connection: close`"),
    ] = 0
    chunk_extension_bytes: Annotated[
        Size,
        Meta(ge=0, le=MIB, description="All chunk extensions of one body."),
        Hint(past="400, and the connection is closed"),
    ] = 4 * KIB
    trailer_bytes: Annotated[
        Size,
        Meta(ge=0, le=MIB, description="The trailer section of a body."),
        Hint(past="431, and the connection is closed"),
    ] = 8 * KIB

    def conflicts(self) -> Iterator[Conflict]:
        """Output must drain before it may fill again."""
        if self.output_low_bytes >= self.output_high_bytes:
            yield Conflict(("output_low_bytes", "output_high_bytes"), "the low-water mark must be below the high one")
