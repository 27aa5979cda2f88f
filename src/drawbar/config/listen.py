"""[listen]: what the listening sockets are made with."""

from typing import Annotated

from msgspec import Meta

from drawbar.config.binds import FdBind, parse_bind
from drawbar.config.kinds import Kind, Seconds, Size, parse_text
from drawbar.config.section import Section

WORKER_NUMBER = "{n}"
"""In a worker's own address: its number, from 1."""
GIB = 1 << 30


def parse_worker_bind(raw: object) -> str:
    """An address with the worker's number in it, without which two workers would have the same."""
    text = parse_text(raw).strip()
    if WORKER_NUMBER not in text:
        raise ValueError(f"{raw!r} is the same for every worker; write {WORKER_NUMBER} where its number goes")
    if isinstance(parse_bind(text.replace(WORKER_NUMBER, "1")), FdBind):
        raise ValueError(f"{raw!r} is a descriptor, which a worker cannot have for itself; write an address")
    return text


WORKER_BIND = Kind("ADDRESS", "an address with `{n}` in it, such as `127.0.0.1:900{n}`", parse_worker_bind)


class ListenConfig(Section, frozen=True, kw_only=True):
    """What the listening sockets are made with."""

    worker_bind: Annotated[
        tuple[Annotated[str, WORKER_BIND], ...],
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
    ] = 1
    bind_delay: Annotated[Seconds, Meta(ge=0, le=3600, description="Between two such attempts.")] = 0.5
