"""PROXY headers of both versions: what they say, that pieces never matter, and what is none."""

import socket
import struct
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawbar.wire.proxy_header import parse

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
V2_LIMIT = 4096

Said = tuple[int, object] | None


def v2(version_command: int, family: int, block: bytes, length: int | None = None) -> bytes:
    return SIGNATURE + struct.pack("!BBH", version_command, family, len(block) if length is None else length) + block


def tcp4(source: str = "203.0.113.7", port: int = 56324) -> bytes:
    return socket.inet_aton(source) + socket.inet_aton("192.0.2.1") + struct.pack("!HH", port, 443)


def tcp6(source: str = "2001:db8::7", port: int = 56324) -> bytes:
    packed = socket.inet_pton(socket.AF_INET6, source)
    return packed + socket.inet_pton(socket.AF_INET6, "2001:db8::1") + struct.pack("!HH", port, 443)


VALID: list[tuple[bytes, object]] = [
    (b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\r\n", (bytes([203, 0, 113, 7]), 56324)),
    (b"PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n", (bytes(4), 0)),
    (b"PROXY TCP6 2001:db8::7 2001:DB8::1 56324 443\r\n", (socket.inet_pton(socket.AF_INET6, "2001:db8::7"), 56324)),
    (b"PROXY TCP6 ::ffff:203.0.113.7 ::1 1 2\r\n", (bytes([203, 0, 113, 7]), 1)),
    (
        b"PROXY TCP6 " + b" ".join([b"ffff:" * 7 + b"ffff"] * 2) + b" 65535 65535\r\n",
        (b"\xff" * 16, 65535),
    ),
    (b"PROXY UNKNOWN\r\n", "unknown"),
    (b"PROXY UNKNOWN ffff::1 \x00\xff what not\r\n", "unknown"),
    (b"PROXY UNKNOWN " + b"x" * 91 + b"\r\n", "unknown"),
    (v2(0x20, 0x00, b""), "local"),
    # "The family is ignored", and so is what is in the block.
    (v2(0x20, 0xFF, b"anything"), "local"),
    (v2(0x21, 0x11, tcp4()), (bytes([203, 0, 113, 7]), 56324)),
    (v2(0x21, 0x21, tcp6()), (socket.inet_pton(socket.AF_INET6, "2001:db8::7"), 56324)),
    (v2(0x21, 0x21, tcp6("::ffff:203.0.113.7")), (bytes([203, 0, 113, 7]), 56324)),
    (v2(0x21, 0x11, tcp4() + b"\x04\x00\x03\x00\x00\x00"), (bytes([203, 0, 113, 7]), 56324)),
    (v2(0x21, 0x11, tcp4() + bytes(V2_LIMIT - 28)), (bytes([203, 0, 113, 7]), 56324)),
    (v2(0x21, 0x00, b""), "unknown"),
    (v2(0x21, 0x10, b""), "unknown"),
    (v2(0x21, 0x12, tcp4()), "unknown"),
    (v2(0x21, 0x22, tcp6()), "unknown"),
    (v2(0x21, 0x31, bytes(216)), "unknown"),
    (v2(0x21, 0x32, bytes(216)), "unknown"),
]

NONE = "the connection does not begin with a PROXY header"
ADDRESS = "the PROXY line has an address that is none of its family"
PORT = "the PROXY line has a port that is none"

INVALID: list[tuple[bytes, str, int]] = [
    (b"GET / HTTP/1.1\r\n", NONE, 0),
    (b"POST / HTTP/1.1\r\n", NONE, 1),
    (b"PROXYTCP4", NONE, 5),
    (b"PROXY\tTCP4", NONE, 5),
    (b"\r\nGET / HTTP/1.1\r\n", NONE, 2),
    (SIGNATURE[:-1] + b"\r", NONE, 11),
    (b"PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n", "the PROXY line names neither TCP4 nor TCP6 nor UNKNOWN", 6),
    (b"PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n", "the PROXY line names neither TCP4 nor TCP6 nor UNKNOWN", 6),
    (b"PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n", "the PROXY line names neither TCP4 nor TCP6 nor UNKNOWN", 6),
    (b"PROXY UNKNOWNX\r\n", "the PROXY line names neither TCP4 nor TCP6 nor UNKNOWN", 6),
    (b"PROXY TCP4\r\n", "the PROXY line names neither TCP4 nor TCP6 nor UNKNOWN", 6),
    (b"PROXY \r\n", "the PROXY line names neither TCP4 nor TCP6 nor UNKNOWN", 6),
    (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", "the PROXY line ends with a bare LF", 30),
    (b"PROXY TCP4 1.2.3.4\r1.2.3.4 1 2\r\n", "the PROXY line has a bare CR", 18),
    (b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n", "the PROXY line is longer than 107 bytes", 107),
    (b"PROXY TCP4 ::1 ::1 1 2\r\n", ADDRESS, 11),
    (b"PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n", ADDRESS, 11),
    (b"PROXY TCP4 01.2.3.4 1.2.3.4 1 2\r\n", ADDRESS, 11),
    (b"PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n", ADDRESS, 11),
    (b"PROXY TCP4 1.2.3.256 1.2.3.4 1 2\r\n", ADDRESS, 11),
    (b"PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n", ADDRESS, 19),
    (b"PROXY TCP4 1.2.3.4 1.2.3.4\r\n", ADDRESS, 19),
    (b"PROXY TCP4 1.2.3.4\x00 1.2.3.4 1 2\r\n", ADDRESS, 11),
    (b"PROXY TCP6 fe80::1%lo ::1 1 2\r\n", ADDRESS, 11),
    (b"PROXY TCP6 " + b"1" * 60 + b" ::1 1 2\r\n", ADDRESS, 11),
    (b"PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n", PORT, 32),
    (b"PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n", PORT, 29),
    (b"PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n", PORT, 27),
    (b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", PORT, 28),
    (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n", PORT, 29),
    (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n", PORT, 30),
    (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 100000\r\n", PORT, 34),
    (v2(0x11, 0x11, tcp4()), "the PROXY header's version is not 2, or its command unknown", 12),
    (v2(0x22, 0x11, tcp4()), "the PROXY header's version is not 2, or its command unknown", 12),
    (v2(0x21, 0x41, tcp4()), "the PROXY header's family or transport is unknown", 13),
    (v2(0x21, 0x13, tcp4()), "the PROXY header's family or transport is unknown", 13),
    (v2(0x21, 0x11, tcp4(), 11), "the PROXY header is shorter than its addresses", 14),
    (v2(0x21, 0x21, tcp4()), "the PROXY header is shorter than its addresses", 14),
    (v2(0x21, 0x31, bytes(215)), "the PROXY header is shorter than its addresses", 14),
    (v2(0x21, 0x11, b"", V2_LIMIT - 15), "the PROXY header is longer than 4096 bytes", 14),
    (v2(0x20, 0x00, b"", 65535), "the PROXY header is longer than 4096 bytes", 14),
]


def verdict(data: bytes) -> object:
    try:
        return parse(data)
    except ValueError as refusal:
        return refusal.args


@pytest.mark.parametrize(("header", "said"), VALID)
def test_a_header_says_whose_the_connection_is(header: bytes, said: object) -> None:
    assert parse(header) == (len(header), said)
    assert parse(header + b"GET / HTTP/1.1\r\n") == (len(header), said)


@pytest.mark.parametrize(("header", "said"), VALID)
def test_no_header_is_taken_before_its_last_byte(header: bytes, said: object) -> None:
    assert [parse(header[:size]) for size in range(len(header))] == [None] * len(header)


@pytest.mark.parametrize(("data", "why", "at"), INVALID)
def test_what_is_no_header_is_refused(data: bytes, why: str, at: int) -> None:
    assert verdict(data) == (why, at)


@pytest.mark.parametrize(("data", "why", "at"), INVALID)
def test_pieces_change_no_refusal(data: bytes, why: str, at: int) -> None:
    verdicts = [verdict(data[:size]) for size in range(len(data) + 1)]
    first = verdicts.index((why, at))
    assert verdicts == [None] * first + [(why, at)] * (len(data) + 1 - first)


PORTS = st.integers(0, 65535)


@given(st.ip_addresses(v=4), st.ip_addresses(v=4), PORTS, PORTS)
def test_every_ipv4_client(source: IPv4Address, target: IPv4Address, port: int, other: int) -> None:
    line = f"PROXY TCP4 {source} {target} {port} {other}\r\n".encode()
    block = source.packed + target.packed + struct.pack("!HH", port, other)
    for header in (line, v2(0x21, 0x11, block)):
        assert parse(header) == (len(header), (source.packed, port))


@given(st.ip_addresses(v=6), st.ip_addresses(v=6), PORTS, PORTS, st.booleans())
def test_every_ipv6_client(source: IPv6Address, target: IPv6Address, port: int, other: int, whole: bool) -> None:
    text = source.exploded if whole else source.compressed
    line = f"PROXY TCP6 {text} {target} {port} {other}\r\n".encode()
    block = source.packed + target.packed + struct.pack("!HH", port, other)
    packed = source.ipv4_mapped.packed if source.ipv4_mapped else source.packed
    for header in (line, v2(0x21, 0x21, block)):
        assert parse(header) == (len(header), (packed, port))


HEADERS = st.sampled_from([header for header, _ in VALID] + [data for data, _, _ in INVALID])


@given(HEADERS, st.integers(0, 120), st.binary(max_size=6), st.integers(0, 3))
def test_a_verdict_once_given_stands(header: bytes, place: int, put: bytes, taken: int) -> None:
    changed = header[:place] + put + header[place + taken :]
    whole = verdict(changed)
    for size in range(min(len(changed), 150)):
        part = verdict(changed[:size])
        assert part is None or part == whole
