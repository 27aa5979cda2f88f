"""Trusted peers."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawbar.config.networks import EVERYONE, UNIX_PEERS, Network, pack_address, parse_network


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("10.0.0.0/8", Network(bytes([10, 0, 0, 0]), 8)),
        ("10.0.0.1", Network(bytes([10, 0, 0, 1]), 32)),
        ("0.0.0.0/0", Network(bytes(4), 0)),
        ("fd00::/8", Network(b"\xfd" + bytes(15), 8)),
        ("::1", Network(bytes(15) + b"\1", 128)),
        ("::ffff:10.0.0.1", Network(bytes([10, 0, 0, 1]), 32)),
        ("::ffff:10.0.0.0/104", Network(bytes([10, 0, 0, 0]), 8)),
        ("::/0", Network(bytes(16), 0)),
        ("*", EVERYONE),
        (" unix ", UNIX_PEERS),
    ],
)
def test_forms(text: str, network: Network) -> None:
    assert parse_network(text) == network
    assert parse_network(str(network)) == network


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ("", "'' is not a network; write an address such as 10.0.0.1"),
        ("localhost", "'localhost' is not a network"),
        ("10.0.0/8", "'10.0.0/8' is not a network"),
        ("10.0.0.1\0", "is not a network"),
        ("10.é.0.1", "is not a network"),
        (10, "10 is not a network"),
        ("10.0.0.0/33", "has no valid prefix length; write a number from 0 to 32 after the slash"),
        ("::/129", "write a number from 0 to 128 after the slash"),
        ("10.0.0.0/", "has no valid prefix length"),
        ("10.0.0.0/-1", "has no valid prefix length"),
        ("10.0.0.1/8", "'10.0.0.1/8' has bits set behind its prefix; write 10.0.0.0/8"),
    ],
)
def test_mistakes(raw: object, why: str) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - the text is compared below
        parse_network(raw)
    assert why in str(raised.value)


# Mapped addresses are their IPv4 addresses here, unlike there.
ADDRESSES = st.ip_addresses().filter(lambda address: getattr(address, "ipv4_mapped", None) is None)


@given(ADDRESSES, ADDRESSES, st.integers(0, 128))
def test_membership_agrees_with_ipaddress(
    base: ipaddress.IPv4Address | ipaddress.IPv6Address, peer: ipaddress.IPv4Address | ipaddress.IPv6Address, bits: int
) -> None:
    oracle = ipaddress.ip_network((base, min(bits, base.max_prefixlen)), strict=False)
    network = parse_network(str(oracle))
    assert network.contains(pack_address(str(peer))) == (peer in oracle)
    assert network.contains(pack_address(str(base)))


def test_a_dual_stack_peer_is_its_ipv4_address() -> None:
    mapped = b"\0" * 10 + b"\xff\xff" + bytes([10, 1, 2, 3])
    assert parse_network("10.0.0.0/8").contains(mapped)
    assert not parse_network("11.0.0.0/8").contains(mapped)


def test_unix_peers_are_inside_only_what_names_them() -> None:
    assert UNIX_PEERS.contains(None)
    assert EVERYONE.contains(None)
    assert not parse_network("0.0.0.0/0").contains(None)
    assert not UNIX_PEERS.contains(bytes(4))
    assert EVERYONE.contains(bytes(4))
