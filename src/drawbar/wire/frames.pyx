# cython: language_level=3
"""Where WebSocket frames end (RFC 6455 section 5.2), for whoever passes them on and must put one of its own between.

Law: counts and checks nothing. What is wrong with a frame, its receiver says.
"""
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memset

cdef enum:
    OPCODE_CLOSE = 8
    LENGTH_OF_2 = 126           # bytes that follow
    LENGTH_OF_8 = 127
    MASK_BYTES = 4


cdef size_t frames_walk(Frames* at, const uint8_t* data, size_t size) noexcept nogil:
    cdef size_t used = 0
    cdef uint8_t byte
    while used < size:
        if at.part == FRAME_PAYLOAD:
            if at.left > size - used:
                at.left -= size - used
                return size
            used += <size_t>at.left
            at.part = FRAME_OPCODE
            return used
        byte = data[used]
        used += 1
        if at.part == FRAME_OPCODE:
            at.closes = at.closes or byte & 15 == OPCODE_CLOSE
            at.part = FRAME_LENGTH
            continue
        if at.part == FRAME_LENGTH:
            at.mask = MASK_BYTES if byte & 128 else 0
            at.left = byte & 127
            at.more = 2 if at.left == LENGTH_OF_2 else 8 if at.left == LENGTH_OF_8 else 0
            if at.more:
                at.left = 0
                at.part = FRAME_EXTENDED
                continue
        else:
            at.left = at.left << 8 | byte
            at.more -= 1
            if at.more:
                continue
            # "the most significant bit MUST be 0"
            at.left &= <uint64_t>0x7fffffffffffffff
        at.left += at.mask
        at.part = FRAME_PAYLOAD
        if at.left == 0:
            at.part = FRAME_OPCODE
            return used
    return used


def frame_ends(*pieces):
    """The offsets at which frames end in bytes that come in `pieces`, and whether a Close frame has begun."""
    cdef Frames at
    cdef const uint8_t[:] piece
    cdef size_t used, start
    cdef size_t before = 0
    cdef list ends = []
    memset(&at, 0, sizeof(at))
    for data in pieces:
        start = 0
        piece = data
        while start < <size_t>len(piece):
            used = frames_walk(&at, &piece[start], len(piece) - start)
            start += used
            if at.part == FRAME_OPCODE:
                ends.append(before + start)
        before += len(piece)
    return ends, bool(at.closes)
