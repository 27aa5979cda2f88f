"""Leads new connections past listening sockets that are about to close.

Sockets of one address opened with SO_REUSEPORT form a group, and the kernel picks one for each new connection. What
waits in the queue of one that closes is lost. So before it closes a filter of three instructions is given to the group
(socket(7), SO_ATTACH_REUSEPORT_CBPF; it needs no privilege), which picks among the first of them only, by lot. Members
are numbered in the order they began to listen; when the last one closes the others keep their numbers.

The kernel's own way (net.ipv4.tcp_migrate_req, Linux 5.14) moves waiting connections to other members, but is a
setting of the whole machine and off by default.
"""

import array
import errno
import socket
import struct

# <asm-generic/socket.h>; the socket module has no names for them.
SO_ATTACH_REUSEPORT_CBPF = 51
SO_DETACH_REUSEPORT_BPF = 68

# <linux/bpf_common.h>, <linux/filter.h>
BPF_LD_W_ABS = 0x20
BPF_ALU_MOD_K = 0x94
BPF_RET_A = 0x16
SKF_AD_RANDOM = 0xFFFFF000 + 56


def steer(member: socket.socket, staying: int, *, of: int) -> None:
    """Has new connections go to the first `staying` members of this socket's group of `of`; to all when none goes.

    With nobody staying nothing is done: there is nowhere else to go. Raises OSError where the kernel refuses.
    """
    if 0 < staying < of:
        program = array.array("B", _pick_one_of(staying))
        address, size = program.buffer_info()
        member.setsockopt(socket.SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, struct.pack("@HP", size // 8, address))
        return
    try:
        member.setsockopt(socket.SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, 0)
    except OSError as error:
        # There was none.
        if error.errno != errno.ENOENT:
            raise


def _pick_one_of(count: int) -> bytes:
    """The filter: a random number modulo `count` is the member's number."""
    instructions = ((BPF_LD_W_ABS, SKF_AD_RANDOM), (BPF_ALU_MOD_K, count), (BPF_RET_A, 0))
    return b"".join(struct.pack("@HBBI", code, 0, 0, operand) for code, operand in instructions)
