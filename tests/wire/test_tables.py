"""The tables, against the grammar spelled out the slow way."""

import random
import string
from http import HTTPStatus

import pytest

from drawbar.wire import h1

TOKEN_CHARACTERS = frozenset((string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~").encode())
KNOWN_NAMES = [
    b"host",
    b"connection",
    b"content-length",
    b"content-type",
    b"transfer-encoding",
    b"expect",
    b"upgrade",
    b"keep-alive",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"date",
    b"server",
    b"proxy",
    b"x-forwarded-for",
    b"x-forwarded-proto",
    b"x-forwarded-host",
    b"x-forwarded-port",
    b"x-forwarded-prefix",
    b"x-forwarded-scheme",
    b"x-forwarded-ssl",
    b"forwarded",
    b"proxy-authenticate",
]


def clean_the_slow_way(data: bytes) -> bool:
    return all(byte == 0x09 or (byte >= 0x20 and byte != 0x7F) for byte in data)


@pytest.mark.parametrize("byte", range(256))
def test_clean_value_finds_a_byte_at_every_place_of_every_size(byte: int) -> None:
    expected = clean_the_slow_way(bytes([byte]))
    for size in range(1, 34):
        for place in range(size):
            data = b"\xffx" * 4 + b"a" * place + bytes([byte]) + b"~" * (size - place - 1) + b"\x00\x7f" * 8
            assert h1.clean_value(data, 8, 8 + size) == expected, (size, place)


def test_clean_value_at_every_alignment_of_random_bytes() -> None:
    source = random.Random(7)
    usual = bytes(byte for byte in range(256) if clean_the_slow_way(bytes([byte])))
    for _ in range(3000):
        data = bytes(source.choices(usual, k=64))
        if source.random() < 0.5:
            at = source.randrange(64)
            data = data[:at] + bytes([source.randrange(256)]) + data[at + 1 :]
        start = source.randrange(17)
        stop = source.randrange(start, 65)
        assert h1.clean_value(data, start, stop) == clean_the_slow_way(data[start:stop]), (data, start, stop)


def test_clean_value_of_nothing() -> None:
    assert h1.clean_value(b"\x00\x00", 1, 1)


def test_clean_value_refuses_a_slice_out_of_range() -> None:
    with pytest.raises(ValueError, match=r"no such slice: 1:4 of 3 bytes"):
        h1.clean_value(b"abc", 1, 4)


@pytest.mark.parametrize("byte", range(256))
def test_a_name_is_made_of_token_characters(byte: int) -> None:
    name = b"x" + bytes([byte])
    if byte in TOKEN_CHARACTERS:
        assert h1.response_head(200, [(name, b"v")]) == b"HTTP/1.1 200 OK\r\n" + name + b": v\r\n\r\n"
    else:
        with pytest.raises(ValueError, match="is not a token"):
            h1.response_head(200, [(name, b"v")])


@pytest.mark.parametrize(("number", "name"), list(enumerate(KNOWN_NAMES, start=1)))
def test_known_names_in_any_case(number: int, name: bytes) -> None:
    assert h1.known_name(name) == number
    assert h1.known_name(name.upper()) == number
    assert h1.known_name(name.title()) == number


@pytest.mark.parametrize("name", KNOWN_NAMES)
def test_lookalikes_are_not_known(name: bytes) -> None:
    for lookalike in (name + b"x", b"x" + name, name[:-1], name.replace(b"-", b"_") + b"_", name[:-1] + b"\x00"):
        assert h1.known_name(lookalike) in (
            0,
            *(KNOWN_NAMES.index(other) + 1 for other in KNOWN_NAMES if other == lookalike),
        )


def test_name_hash_is_fnv_1a_of_the_lower_cased_name() -> None:
    # The published test vectors of FNV-1a, 32 bits.
    assert h1.name_hash(b"") == 0x811C9DC5
    assert h1.name_hash(b"a") == h1.name_hash(b"A") == 0xE40C292C
    assert h1.name_hash(b"foobar") == h1.name_hash(b"FooBar") == 0xBF9CF968


def test_reason_phrases_are_the_registered_ones() -> None:
    # Python's table keeps names of RFC 7231 that RFC 9110 changed; which ones depends on its version.
    renamed = {
        413: "Content Too Large",
        414: "URI Too Long",
        416: "Range Not Satisfiable",
        422: "Unprocessable Content",
    }
    for status in HTTPStatus:
        assert h1.reason_phrase(status) == renamed.get(status, "I'm a teapot" if status == 418 else status.phrase)
    assert h1.reason_phrase(0) == h1.reason_phrase(299) == h1.reason_phrase(999) == h1.reason_phrase(-1) == "Unknown"
