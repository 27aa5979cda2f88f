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
    """An IP address in network byte order, 4 or 16 bytes; None when `text` is none."""
    try:
        return inet_pton(AF_INET6 if ":" in text else AF_INET, text)
    except (OSError, ValueError):  # ValueError: a NUL inside, or a character outside ASCII
        return None


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
    length = length if slash else str(width)
    if not (length.isascii() and length.isdigit() and len(length) < 4 and int(length) <= width):
        raise ValueError(f"{text!r} has no valid prefix length; write a number from 0 to {width} after the slash")
    return network_of(address, int(length), text)


def network_of(address: bytes, bits: int, text: str) -> Network:
    """The network written `text`, one of mapped addresses as the IPv4 network it maps."""
    width = len(address) * 8
    masked = (int.from_bytes(address) >> (width - bits) << (width - bits)).to_bytes(width // 8)
    if masked != address:
        raise ValueError(f"{text!r} has bits set behind its prefix; write {Network(masked, bits)}")
    if width == 128 and bits >= 96 and address.startswith(MAPPED_IPV4):
        return Network(address[12:], bits - 96)
    return Network(address, bits)


NETWORK = Kind("CIDR", "an address, a network such as `10.0.0.0/8`, `unix` or `*`", parse_network)
TrustedPeer = Annotated[Network, NETWORK]
