"""What `drawbar.wire.h1.Parser` says about the bytes it was fed: plain values, nothing that acts.

The serving path does not come by here; it reads the parser's C structures in place.
"""

from enum import Enum, IntFlag
from typing import NamedTuple

Fields = tuple[tuple[bytes, bytes], ...]


class Flag(IntFlag):
    """What the fields of a head say together; the values are those of `HeadFlag` in head.pxd."""

    CHUNKED = 1
    KEEP_ALIVE = 2
    UPGRADE = 4
    EXPECT_CONTINUE = 8
    TRAILERS = 16
    CLOSE = 32


class Form(Enum):
    """The forms of a request-target, RFC 9112 section 3.2; the values are those of `TargetForm` in head.pxd."""

    ORIGIN = 0
    ABSOLUTE = 1
    AUTHORITY = 2
    ASTERISK = 3


class Request(NamedTuple):
    """The head of a request. `path` and `query` are the target's, `authority` and `https` what an absolute one says."""

    method: bytes
    target: bytes
    form: Form
    path: bytes
    query: bytes
    authority: bytes
    https: bool
    version: str
    fields: Fields
    flags: Flag
    content_length: int | None


class Response(NamedTuple):
    """The head of a response; `reason` may be empty."""

    status: int
    reason: bytes
    version: str
    fields: Fields
    flags: Flag
    content_length: int | None


class Data(NamedTuple):
    """A piece of a body, framing taken off."""

    data: bytes


class End(NamedTuple):
    """The message is complete."""

    trailers: Fields


class Tunnel(NamedTuple):
    """Bytes after a 101, or after a 2xx to CONNECT: no longer HTTP/1.1."""

    data: bytes


class Refused(NamedTuple):
    """The end of the connection: `status` is what to answer, `offset` counts from the first byte ever fed."""

    status: int
    why: str
    offset: int


Event = Request | Response | Data | End | Tunnel | Refused
