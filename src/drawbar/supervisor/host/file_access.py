"""Files that several users write to: access lists as the file systems of Linux keep them (acl(5)).

A file has one owner, and logs have as many writers as there are applications with users of their own. A list names
each of them; a group they all share would let them read and write more than that.
"""

import errno
import os
import struct
from collections.abc import Iterable
from typing import Final, NamedTuple

ATTRIBUTE: Final = "system.posix_acl_access"

# linux/posix_acl_xattr.h: a version, then entries of tag, permissions and id.
VERSION: Final = struct.pack("<I", 2)
ENTRY: Final = struct.Struct("<HHI")
USER_OBJ, USER, GROUP_OBJ, GROUP, MASK, OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
NOBODY: Final = 0xFFFF_FFFF
"""The id of entries that name nobody."""

WRITE: Final = 0o2


class Entry(NamedTuple):
    """One line of a list."""

    tag: int
    permissions: int
    id: int = NOBODY


def let_write(descriptor: int, uids: Iterable[int]) -> None:
    """Lets these users write to the file, whatever others may. Raises OSError where its file system has no lists."""
    stat = os.fstat(descriptor)
    wanted = set(uids) - {stat.st_uid}
    if not wanted:
        return
    present = _read(descriptor, stat.st_mode)
    if {entry.id for entry in present if entry.tag == USER and entry.permissions & WRITE} >= wanted:
        return
    os.setxattr(descriptor, ATTRIBUTE, to_bytes(with_writers(present, wanted)))


def with_writers(present: Iterable[Entry], uids: Iterable[int]) -> list[Entry]:
    """The list with these users as writers, in the order the kernel wants: by tag, then by id."""
    found = {(entry.tag, entry.id): entry.permissions for entry in present if entry.tag != MASK}
    for uid in uids:
        found[USER, uid] = found.get((USER, uid), 0) | WRITE
    mask = 0
    for (tag, _), permissions in found.items():
        if tag in (USER, GROUP_OBJ, GROUP):
            mask |= permissions
    found[MASK, NOBODY] = mask
    return [Entry(tag, permissions, of) for (tag, of), permissions in sorted(found.items())]


def to_bytes(entries: Iterable[Entry]) -> bytes:
    """As the kernel takes it."""
    return VERSION + b"".join(ENTRY.pack(*entry) for entry in entries)


def from_bytes(data: bytes) -> list[Entry]:
    """As the kernel gives it."""
    return [Entry(*fields) for fields in ENTRY.iter_unpack(data[len(VERSION) :])]


def _read(descriptor: int, mode: int) -> list[Entry]:
    """The file's list; where it has none, what its mode says."""
    try:
        return from_bytes(os.getxattr(descriptor, ATTRIBUTE))
    except OSError as error:
        if error.errno != errno.ENODATA:
            raise
    return [Entry(USER_OBJ, mode >> 6 & 7), Entry(GROUP_OBJ, mode >> 3 & 7), Entry(OTHER, mode & 7)]
