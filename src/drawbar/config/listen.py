"""[listen]: what the listening sockets are made with."""

from typing import Annotated

from msgspec import Meta

from drawbar.config.kinds import TEXT, Seconds, Size
from drawbar.config.section import Section

WORKER_NUMBER = "{n}"
"""In a worker's own address: its number, from 1."""
GIB = 1 << 30


class ListenConfig(Section, frozen=True, kw_only=True):
    """What the listening sockets are made with."""

    worker_bind: Annotated[
        tuple[Annotated[str, TEXT], ...],
        Meta(description="Addresses each worker has for itself beside the shared ones; `{n}` is its number, from 1."),
    ] = ()
    reuseport: Annotated[
        bool,
        Meta(description="A listening socket for each worker (SO_REUSEPORT): the kernel spreads connections."),
    ] = False
    defer_accept: Annotated[
        Seconds,
        Meta(
            ge=0,
            le=60,
            description="Accept a connection when its first bytes are there, or after so long; `0` at once.",
        ),
    ] = 0.0
    nodelay: Annotated[bool, Meta(description="Send small responses at once (TCP_NODELAY).")] = True
    receive_buffer: Annotated[
        Size,
        Meta(ge=0, le=GIB, description="The kernel's receive buffer of each connection; `0` leaves it to the system."),
    ] = 0
    send_buffer: Annotated[
        Size,
        Meta(ge=0, le=GIB, description="The kernel's send buffer of each connection; `0` leaves it to the system."),
    ] = 0
    ipv6_only: Annotated[bool, Meta(description="`:PORT` listens on IPv6 alone.")] = False
    bind_tries: Annotated[
        int, Meta(ge=0, le=1_000_000, description="Attempts at an address that is in use; `0` is without end.")
    ] = 5
    bind_delay: Annotated[Seconds, Meta(ge=0, le=3600, description="Between two such attempts.")] = 0.5
