"""How many connections wait at a listening socket to be accepted, as the kernel counts them.

For TCP by TCP_INFO (tcp(7); in LISTEN its `unacked` and `sacked` are the queue and its limit, net/ipv4/tcp.c), for Unix
sockets by asking the socket diagnostics (sock_diag(7)), which is what `ss -lx` does. Both are answered at once.
"""

import contextlib
import os
import socket
import struct

from drawbar.supervisor.control.status import Backlog

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST = 1
_UDIAG_SHOW_RQLEN = 0x10
_UNIX_DIAG_RQLEN = 4
_TCP_LISTEN_BIT = 1 << 10

_TCP_INFO = struct.Struct("=24xII")
"""struct tcp_info up to `unacked` and `sacked`."""
_REQUEST = struct.Struct("=IHHIIBBHIIIII")
"""struct nlmsghdr, struct unix_diag_req."""
_HEAD_BYTES = 16 + 16
"""struct nlmsghdr, struct unix_diag_msg: what stands before the attributes of an answer."""
_ATTRIBUTE = struct.Struct("=HH")
_LENGTHS = struct.Struct("=II")


def backlog_of(listener: socket.socket) -> Backlog | None:
    """The queue of a listening socket; None where the system does not tell."""
    with contextlib.suppress(OSError, struct.error):
        if listener.family == socket.AF_UNIX:
            return parse_unix_diag(_ask_unix_diag(os.fstat(listener.fileno()).st_ino))
        return parse_tcp_info(listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size))
    return None


def parse_tcp_info(data: bytes) -> Backlog:
    """From struct tcp_info of a listening socket."""
    waiting, limit = _TCP_INFO.unpack_from(data)
    return Backlog(waiting, limit)


def parse_unix_diag(data: bytes) -> Backlog | None:
    """From an answer of the socket diagnostics; None when it is an error or does not hold the lengths."""
    if len(data) < _HEAD_BYTES or struct.unpack_from("=IH", data)[1] != _SOCK_DIAG_BY_FAMILY:
        return None
    at = _HEAD_BYTES
    while at + _ATTRIBUTE.size <= len(data):
        size, kind = _ATTRIBUTE.unpack_from(data, at)
        if kind == _UNIX_DIAG_RQLEN:
            waiting, limit = _LENGTHS.unpack_from(data, at + _ATTRIBUTE.size)
            return Backlog(waiting, limit)
        # Attributes are padded to four bytes (netlink(7)).
        at += max(_ATTRIBUTE.size, (size + 3) & ~3)
    return None


def _ask_unix_diag(inode: int) -> bytes:
    anybody = 0xFFFFFFFF
    header = (_REQUEST.size, _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 0, 0)
    question = (socket.AF_UNIX, 0, 0, _TCP_LISTEN_BIT, inode, _UDIAG_SHOW_RQLEN, anybody, anybody)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as diagnostics:
        # The kernel has answered when send() returns: there is nothing to wait for.
        diagnostics.setblocking(False)
        diagnostics.sendto(_REQUEST.pack(*header, *question), (0, 0))
        return diagnostics.recv(1024)
