"""PROXY headers: a verdict once given stands, and none reaches past the bytes it is about."""

import sys

import atheris

from drawbar.wire.proxy_header import parse
from tests.fuzz.guide import reach

LARGEST_HEADER = 4096


def verdict(data: bytes) -> object:
    """What parse() says or raises."""
    try:
        return parse(data)
    except ValueError as refusal:
        return refusal.args


def one_input(raw: bytes) -> None:
    """Holds one input against the invariants."""
    whole = verdict(raw)
    match whole:
        case None:
            reach("partial", len(raw).bit_length())
            assert len(raw) < LARGEST_HEADER, raw
        case (int(size), said):
            reach("done", said if isinstance(said, str) else "an address", size.bit_length())
            assert size <= min(len(raw), LARGEST_HEADER), raw
            assert verdict(raw[: size - 1]) is None, raw
            assert verdict(raw[:size]) == whole, raw
        case (str(why), int(at)):
            reach("refused", why, at.bit_length())
            assert at <= len(raw), raw
    for size in range(0, len(raw), 1 + len(raw) // 64):
        part = verdict(raw[:size])
        assert part is None or part == whole, (raw, size)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
