"""The pid file, beside real processes that are masters by name and such that are not."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drawbar.config import OperatorError
from drawbar.supervisor.host.pid_file import PidFile, is_master

Start = Callable[[str], int]

NAMED = """
import os, sys
with open("/proc/self/comm", "w") as file:
    file.write(sys.argv[1])
os.write(1, b"x")
sys.stdin.read()
"""


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts a process that goes by a name, and ends with the test."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(name: str) -> int:
        command = [sys.executable, "-c", NAMED, name]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        running.append(process)
        assert process.stdout is not None
        assert process.stdout.read(1) == b"x"
        return process.pid

    yield begin
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "drawbar.pid"


OURS = f"{os.getpid()}\n"


def dead() -> int:
    """The number of a process that is no more."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_it_names_this_process_and_goes_with_it(path: Path) -> None:
    file = PidFile(str(path))
    file.create()
    assert path.read_text() == OURS
    assert path.stat().st_mode & 0o777 == 0o644
    assert file.path == str(path)
    assert os.listdir(path.parent) == ["drawbar.pid"]
    file.remove()
    assert os.listdir(path.parent) == []
    file.remove()


def test_a_relative_path_holds_after_a_change_of_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file = PidFile("drawbar.pid")
    file.create()
    monkeypatch.chdir("/")
    file.remove()
    assert os.listdir(tmp_path) == []


def test_without_a_path_nothing_happens() -> None:
    file = PidFile(None)
    file.create()
    file.rename_to_old()
    file.restore()
    file.move_to(None)
    file.remove()
    assert file.path is None


@pytest.mark.parametrize("left", ["", "\n", OURS, OURS.strip(), "99999999999999999999\n"])
def test_what_names_no_other_process_is_replaced(path: Path, left: str) -> None:
    path.write_text(left)
    PidFile(str(path)).create()
    assert path.read_text() == OURS
    assert os.listdir(path.parent) == ["drawbar.pid"]


def test_what_names_a_dead_process_is_replaced(path: Path) -> None:
    path.write_text(f"{dead()}\n")
    PidFile(str(path)).create()
    assert path.read_text() == OURS


def test_what_names_a_process_that_is_no_master_is_replaced(path: Path, start: Start) -> None:
    path.write_text(f"{start('postgres')}\n")
    PidFile(str(path)).create()
    assert path.read_text() == OURS


def test_what_names_a_dead_master_nobody_has_buried_is_replaced(path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", NAMED, "drawbar-master"], stdin=subprocess.DEVNULL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    path.write_text(f"{process.pid}\n")
    PidFile(str(path)).create()
    assert path.read_text() == OURS
    process.wait()


def test_what_names_a_running_master_is_not_touched(path: Path, start: Start) -> None:
    master = start("drawbar-master")
    path.write_text(f"{master}\n")
    with pytest.raises(OperatorError) as refused:
        PidFile(str(path)).create()
    assert str(refused.value) == (
        f"--pid-file {path}: names a running server (pid {master}); stop that server or name another file"
    )
    assert path.read_text() == f"{master}\n"
    assert os.listdir(path.parent) == ["drawbar.pid"]


@pytest.mark.parametrize("precious", ["import os\n", "12 34\n", "-5", "0\n", "1" * 40])
def test_a_file_that_holds_something_else_is_not_touched(path: Path, precious: str) -> None:
    path.write_text(precious)
    with pytest.raises(OperatorError, match="the file holds something else"):
        PidFile(str(path)).create()
    assert path.read_text() == precious


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"--pid-file /.*/nowhere/x.pid: cannot be written \(No such file or dir"):
        PidFile(str(tmp_path / "nowhere" / "x.pid")).create()
    (tmp_path / "directory").mkdir()
    with pytest.raises(OperatorError, match="--pid-file"):
        PidFile(str(tmp_path / "directory")).create()
    assert os.listdir(tmp_path) == ["directory"]


def test_a_file_another_process_has_written_since_is_left(path: Path) -> None:
    file = PidFile(str(path))
    file.create()
    path.write_text("1\n")
    file.remove()
    assert path.read_text() == "1\n"


def test_a_symbolic_link_is_replaced_and_not_followed(path: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("")
    path.symlink_to(target)
    PidFile(str(path)).create()
    assert target.read_text() == ""
    assert not path.is_symlink()


def test_an_upgrade_that_goes_well(path: Path) -> None:
    file = PidFile(str(path))
    file.create()
    file.rename_to_old()
    old = Path(f"{path}.oldbin")
    assert file.path == str(old)
    assert (path.exists(), old.read_text()) == (False, OURS)
    path.write_text("1\n")
    file.remove()
    assert (path.read_text(), old.exists()) == ("1\n", False)


def test_an_upgrade_that_fails(path: Path) -> None:
    file = PidFile(str(path))
    file.create()
    file.rename_to_old()
    path.write_text(f"{dead()}\n")
    file.restore()
    assert path.read_text() == OURS
    assert os.listdir(path.parent) == ["drawbar.pid"]
    file.restore()
    file.remove()
    assert os.listdir(path.parent) == []


def test_the_name_is_not_taken_back_from_a_running_master(path: Path, start: Start) -> None:
    file = PidFile(str(path))
    file.create()
    file.rename_to_old()
    master = start("drawbar-master")
    path.write_text(f"{master}\n")
    with pytest.raises(OperatorError, match=f"names a running server \\(pid {master}\\)"):
        file.restore()
    assert file.path == f"{path}.oldbin"


def test_a_second_upgrade_waits_for_the_first(path: Path, start: Start) -> None:
    master = start("drawbar-master")
    Path(f"{path}.oldbin").write_text(f"{master}\n")
    file = PidFile(str(path))
    file.create()
    with pytest.raises(OperatorError, match=r"\.oldbin: names a running server"):
        file.rename_to_old()
    assert file.path == str(path)


def test_a_file_that_vanished_does_not_hinder_an_upgrade(path: Path) -> None:
    file = PidFile(str(path))
    file.create()
    path.unlink()
    file.rename_to_old()
    assert Path(f"{path}.oldbin").read_text() == OURS
    Path(f"{path}.oldbin").unlink()
    file.restore()
    assert path.read_text() == OURS


def test_a_directory_that_vanished_is_told_and_changes_nothing(tmp_path: Path) -> None:
    directory = tmp_path / "run"
    directory.mkdir()
    file = PidFile(str(directory / "x.pid"))
    file.create()
    (directory / "x.pid").unlink()
    directory.rmdir()
    with pytest.raises(OperatorError, match="cannot be written"):
        file.rename_to_old()
    assert file.path == str(directory / "x.pid")
    file.remove()


def test_it_moves_when_the_setting_changes(path: Path, tmp_path: Path, start: Start) -> None:
    file = PidFile(str(path))
    file.create()
    other = tmp_path / "other.pid"
    file.move_to(str(other))
    assert (path.exists(), other.read_text()) == (False, OURS)
    taken = tmp_path / "taken.pid"
    taken.write_text(f"{start('drawbar-master')}\n")
    with pytest.raises(OperatorError, match="names a running server"):
        file.move_to(str(taken))
    assert other.read_text() == OURS
    file.move_to(None)
    assert (other.exists(), file.path) == (False, None)
    file.move_to(str(path))
    assert path.read_text() == OURS


def test_it_does_not_move_during_an_upgrade(path: Path, tmp_path: Path) -> None:
    file = PidFile(str(path))
    file.create()
    file.rename_to_old()
    file.move_to(str(path))
    with pytest.raises(OperatorError, match=r"process\.pid_file: cannot be changed during an upgrade"):
        file.move_to(str(tmp_path / "other.pid"))


def test_who_is_a_master(start: Start) -> None:
    assert is_master(start("drawbar-master"))
    assert not is_master(start("drawbar-worker"))
    assert not is_master(dead())
