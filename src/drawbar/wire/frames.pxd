"""Where WebSocket frames end (RFC 6455 section 5.2)."""
from libc.stdint cimport uint8_t, uint64_t

cdef enum FramePart:
    FRAME_OPCODE                # between two frames
    FRAME_LENGTH
    FRAME_EXTENDED              # the length that did not fit
    FRAME_PAYLOAD               # and the mask before it

cdef struct Frames:             # of one direction of a connection; all zero at its start
    uint64_t left               # bytes to the frame's end
    uint8_t part
    uint8_t more                # bytes of the length to come
    uint8_t mask                # bytes of it
    bint closes                 # a Close frame has begun

# Walks on to the end of a frame, or of what is there; the bytes walked over.
cdef size_t frames_walk(Frames* at, const uint8_t* data, size_t size) noexcept nogil
