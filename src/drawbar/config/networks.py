"""Peers that are trusted: a CIDR, a single address, `unix` for Unix sockets, or `*` for everyone.

Pure text to value and back, and the question whether an address is inside. `str(network)` reads back to the same value.
"""

from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import Annotated

import msgspec

from drawbar.config.kinds import Kind

FORMS = "write an address such as 10.0.0.1, a network such as 10.0.0.0/8 or fd00::/8, unix or *"
# RFC 4291 section 2.5.5.2: a dual-stack socket reports IPv4 peers as ::ffff:a.b.c.d.
MAPPED_IPV4 = b"\0" * 10 + b"\xff\xff"


class Network(msgspec.Struct, frozen=True):
    """The addresses that share the first `bits` bits of `address` (network byte order, 4 or 16 bytes).

    An empty `address` is not an IP network: `bits` 0 then stands for every peer, 1 for peers on Unix sockets.
    """

    address: bytes
    bits: int

    def contains(self, address: bytes | None) -> bool:
        """Whether a peer is inside: its packed address, or None for a peer on a Unix socket."""
        if not self.address:
            return self.bits == 0 or address is None
        if address is None:
            return False
        if len(address) == 16 and address.startswith(MAPPED_IPV4):
            address = address[12:]
        if len(address) != len(self.address):
            return False
        shift = len(address) * 8 - self.bits
        return int.from_bytes(address) >> shift == int.from_bytes(self.address) >> shift

    def __str__(self) -> str:
        if not self.address:
            return "unix" if self.bits else "*"
        text = inet_ntop(AF_INET if len(self.address) == 4 else AF_INET6, self.address)
        return text if self.bits == len(self.address) * 8 else f"{text}/{self.bits}"


EVERYONE = Network(b"", 0)
UNIX_PEERS = Network(b"", 1)


def pack_address(text: str) -> bytes | None:
    """An IP address in network byte order, an IPv4 one mapped into IPv6 as 4 bytes; None when `text` is none."""
    try:
        packed = inet_pton(AF_INET6 if ":" in text else AF_INET, text)
    except (OSError, ValueError):  # ValueError: a NUL inside, or a character outside ASCII
        return None
    return packed[12:] if packed.startswith(MAPPED_IPV4) and len(packed) == 16 else packed


def parse_network(raw: object) -> Network:
    """The peers `raw` names; raises ValueError saying what is wrong and what would be right."""
    if not isinstance(raw, str):
        raise ValueError(f"{raw!r} is not a network; {FORMS}")
    text = raw.strip()
    if text in ("*", "unix"):
        return EVERYONE if text == "*" else UNIX_PEERS
    host, slash, length = text.partition("/")
    address = pack_address(host)
    if address is None:
        raise ValueError(f"{text!r} is not a network; {FORMS}")
    width = len(address) * 8
    if not slash:
        return Network(address, width)
    if not (length.isascii() and length.isdigit() and len(length) < 4 and int(length) <= width):
        raise ValueError(f"{text!r} has no valid prefix length; write a number from 0 to {width} after the slash")
    bits = int(length)
    network = (int.from_bytes(address) >> (width - bits) << (width - bits)).to_bytes(width // 8)
    if network != address:
        raise ValueError(f"{text!r} has bits set behind its prefix; write {Network(network, bits)}")
    return Network(address, bits)


NETWORK = Kind("CIDR", "an address, a network such as `10.0.0.0/8`, `unix` or `*`", parse_network)
TrustedPeer = Annotated[Network, NETWORK]
