"""Where WebSocket frames end, held against the frames of the `websockets` library."""

import itertools

from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from drawbar.wire.frames import frame_ends

sizes = st.one_of(st.integers(0, 130), st.sampled_from([65_535, 65_536, 70_000]))
frames = st.builds(
    lambda opcode, size, fin, mask: Frame(opcode, bytes(size), fin).serialize(mask=mask),
    st.sampled_from([Opcode.CONT, Opcode.TEXT, Opcode.BINARY]),
    sizes,
    st.booleans(),
    st.booleans(),
)


def ends_of(written: list[bytes]) -> list[int]:
    return [sum(map(len, written[: count + 1])) for count in range(len(written))]


@given(written=st.lists(frames, max_size=5), cuts=st.lists(st.integers(0, 400_000), max_size=5))
def test_frames_end_where_they_do_however_they_are_cut(written: list[bytes], cuts: list[int]) -> None:
    data = b"".join(written)
    at = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    pieces = [data[start:end] for start, end in itertools.pairwise(at)]
    assert frame_ends(*pieces) == (ends_of(written), False)


def test_frames_end_where_they_do_byte_by_byte() -> None:
    written = [Frame(Opcode.BINARY, bytes(size)).serialize(mask=True) for size in (0, 1, 125, 126, 65_535, 65_536)]
    data = b"".join(written)
    assert frame_ends(*(data[at : at + 1] for at in range(len(data))))[0] == ends_of(written)


def test_a_close_frame_is_seen_as_it_begins() -> None:
    close = Frame(Opcode.CLOSE, b"\x03\xe9").serialize(mask=True)
    assert frame_ends(close[:1]) == ([], True)
    assert frame_ends(close) == ([len(close)], True)
    assert frame_ends(Frame(Opcode.PING, b"").serialize(mask=False)) == ([2], False)


def test_the_longest_length_overflows_nothing() -> None:
    assert frame_ends(b"\x82\xff" + b"\xff" * 8 + bytes(1_000)) == ([], False)
