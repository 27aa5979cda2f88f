"""What the master and its fork server say to each other: orders one way, replies the other, and what both call it.

A Unix socket of packets: an order arrives whole or not at all, and with it the descriptors the new worker gets. One
order is under way at a time, and each is answered. What a descriptor is follows from its place: the pipe for reports,
the worker's end of its own socket for orders, then the listeners.
"""

import socket
from collections.abc import Callable
from typing import Any, Final

import msgspec

GO: Final = b"go"
"""To the worker on its own socket: the master knows it. A worker that was forked for nobody hears the end instead."""

MAX_LISTENERS: Final = 250
"""In one order: the kernel passes at most 253 descriptors with a packet (SCM_MAX_FD, unix(7))."""

PACKET_BYTES: Final = 4096
"""More than the longest order or reply."""

FORKING: Final = "forking "
"""Before the interface: a promoted worker reports that it is a fork server now."""
NOT_FORKING: Final = "not forking: "
"""Before the reason: a worker that was to be promoted ends instead, as one that was told to stop."""

TITLE: Final = ("drawbar: fork server", "drawbar-fork")
"""What a fork server is called in ps and in top."""

CellOf = Callable[[int], Any]
"""A worker's cell on the scoreboard by its index."""


class Order(msgspec.Struct, frozen=True):
    """To fork a worker."""

    slot: int
    cell: int
    """Its place on the scoreboard; -1: it has none."""


class Reply(msgspec.Struct, frozen=True):
    """The worker's process id, or why there is none: an errno."""

    pid: int = 0
    errno: int = 0


_encode = msgspec.json.Encoder().encode
_orders = msgspec.json.Decoder(Order)
_replies = msgspec.json.Decoder(Reply)


def send_order(channel: socket.socket, order: Order, descriptors: list[int]) -> None:
    """Raises OSError when the other end is gone or does not read."""
    socket.send_fds(channel, [_encode(order)], descriptors)


def receive_order(channel: socket.socket) -> tuple[Order, list[int]] | None:
    """The next order with its descriptors, which are the caller's to close; None when the master has hung up."""
    data, descriptors, _, _ = socket.recv_fds(channel, PACKET_BYTES, MAX_LISTENERS + 2, flags=socket.MSG_CMSG_CLOEXEC)
    return (_orders.decode(data), descriptors) if data else None


def send_reply(channel: socket.socket, reply: Reply) -> None:
    """Raises OSError when the other end is gone."""
    channel.send(_encode(reply))


def receive_reply(channel: socket.socket) -> Reply | None:
    """The reply to the last order; None when the fork server is gone. Raises TimeoutError by the socket's timeout."""
    data = channel.recv(PACKET_BYTES)
    return _replies.decode(data) if data else None
