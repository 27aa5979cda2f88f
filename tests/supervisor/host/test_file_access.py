"""Files that several users write to."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from drawbar.supervisor.host.file_access import (
    GROUP_OBJ,
    MASK,
    OTHER,
    USER,
    USER_OBJ,
    Entry,
    from_bytes,
    let_write,
    to_bytes,
    with_writers,
)

PLAIN = [Entry(USER_OBJ, 6), Entry(GROUP_OBJ, 4), Entry(OTHER, 0)]

WRITES = "import os, sys; os.setgroups([]); os.setgid(7); os.setuid(int(sys.argv[2])); open(sys.argv[1], 'ab').close()"
READS = "import os, sys; os.setgroups([]); os.setgid(7); os.setuid(int(sys.argv[2])); open(sys.argv[1], 'rb').close()"


def may(program: str, path: Path, uid: int) -> bool:
    command = [sys.executable, "-c", program, str(path), str(uid)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def test_writers_are_added_in_the_kernels_order_and_the_mask_lets_them() -> None:
    found = with_writers(PLAIN, [20, 10])
    assert found == [
        Entry(USER_OBJ, 6),
        Entry(USER, 2, 10),
        Entry(USER, 2, 20),
        Entry(GROUP_OBJ, 4),
        Entry(MASK, 6),
        Entry(OTHER, 0),
    ]
    assert from_bytes(to_bytes(found)) == found


def test_what_the_list_has_stays() -> None:
    present = with_writers([*PLAIN, Entry(USER, 4, 30)], [10])
    again = with_writers(present, [30, 10])
    assert [entry for entry in again if entry.tag == USER] == [Entry(USER, 2, 10), Entry(USER, 6, 30)]
    assert again[0] == Entry(USER_OBJ, 6)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_those_named_can_write_and_nobody_else(tmp_path: Path) -> None:
    for directory in (tmp_path, *tmp_path.parents):
        if directory.stat().st_uid == os.getuid() and directory.stat().st_mode & 0o005 != 0o005:
            directory.chmod(directory.stat().st_mode | 0o055)
    log = tmp_path / "error.log"
    log.touch(mode=0o640)
    with log.open("ab") as file:
        let_write(file.fileno(), [4001, 4002])
        let_write(file.fileno(), [4002, 4003])
    assert [may(WRITES, log, uid) for uid in (4001, 4002, 4003, 4004)] == [True, True, True, False]
    assert not may(READS, log, 4001)
