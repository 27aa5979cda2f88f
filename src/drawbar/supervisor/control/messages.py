"""What master and control process say to each other: JSON objects over a SEQPACKET socket pair, one a message.

The control process asks: {"id": 1, "do": "reload", "with": {...}}. The master answers, when it can and in any order:
{"id": 1, "ok": {...}} or {"id": 1, "error": "why", "kind": "conflict"}.

A message arrives whole or not at all (unix(7), SOCK_SEQPACKET), so there is no framing and no half-read state. Nothing
here blocks: who finds the other's buffer full is told so. What is too long for a message goes into a memory file whose
descriptor rides along, so a long answer never fills the buffer either.
"""

import array
import os
import socket
from typing import Any, Literal

from msgspec import Struct, field
from msgspec.json import Decoder, Encoder

MESSAGE_BYTES = 64 * 1024
"""Longest message that is read. What is longer never gets into one, see MOST_BYTES."""
INLINE_BYTES = 8 * 1024
"""Longest that travels in the message itself. A dozen unread ones still fit the socket's buffer (208 KiB)."""
MOST_BYTES = 64 * 1024 * 1024
"""Longest text in a memory file: the stacks of thousands of threads. A longer answer is an error."""

Kind = Literal["unknown", "conflict", "invalid", "failed"]
"""Why a command was refused: what it names does not exist, it does not fit the server's state, it makes no sense, or
it was tried and went wrong."""


class Ask(Struct, rename={"verb": "do", "arguments": "with"}):
    """The control process wants something."""

    id: int
    verb: str
    arguments: dict[str, Any] = field(default_factory=dict)


class Answer(Struct, omit_defaults=True):
    """What came of it: `ok` or `error`."""

    id: int
    ok: dict[str, Any] | None = None
    error: str | None = None
    kind: Kind = "failed"


_ask_decoder = Decoder(Ask)
_answer_decoder = Decoder(Answer)
_encoder = Encoder()


class Hangup(Exception):
    """The other side is gone, or does not read."""


def channel() -> tuple[socket.socket, socket.socket]:
    """Both ends, non-blocking and close-on-exec. Raises OSError."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        end.setblocking(False)
    return ends


def send(end: socket.socket, message: Ask | Answer) -> None:
    """Sends without waiting. Raises Hangup when that cannot be, ValueError when it is longer than MOST_BYTES."""
    data = _encoder.encode(message)
    try:
        if len(data) <= INLINE_BYTES:
            end.send(data)
        else:
            _send_in_file(end, data)
    except OSError as error:
        raise Hangup(error.strerror) from error


def receive_ask(end: socket.socket) -> Ask | None:
    """The next question; None when there is none yet. Raises Hangup at the end of the channel."""
    data = _receive(end)
    return None if data is None else _ask_decoder.decode(data)


def receive_answer(end: socket.socket) -> Answer | None:
    """The next answer; None when there is none yet. Raises Hangup at the end of the channel."""
    data = _receive(end)
    return None if data is None else _answer_decoder.decode(data)


def _send_in_file(end: socket.socket, data: bytes) -> None:
    if len(data) > MOST_BYTES:
        raise ValueError(f"the answer is {len(data)} bytes long, at most {MOST_BYTES} can be sent")
    file = os.memfd_create("drawbar-answer", os.MFD_CLOEXEC)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(file, view) :]
        # A message must have a byte for the descriptor to ride on; no JSON text begins with this one.
        end.sendmsg([b"@"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [file]))])
    finally:
        os.close(file)


def _receive(end: socket.socket) -> bytes | None:
    try:
        data, files, _, _ = socket.recv_fds(end, MESSAGE_BYTES, 1, socket.MSG_CMSG_CLOEXEC)
    except BlockingIOError:
        return None
    except OSError as error:
        raise Hangup(error.strerror) from error
    if not data:
        raise Hangup("the channel is closed")
    if not files:
        return data
    try:
        return os.pread(files[0], MOST_BYTES, 0)
    finally:
        os.close(files[0])
