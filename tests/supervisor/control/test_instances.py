"""Where control sockets are looked for, and which directories are trusted."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from drawbar.supervisor.control import instances
from drawbar.supervisor.control.instances import Instance

UID = os.geteuid()


def test_the_directories_in_order() -> None:
    assert instances.directories({"XDG_RUNTIME_DIR": "/run/user/7"}, 7) == ["/run/user/7/drawbar", "/tmp/drawbar-7"]
    assert instances.directories({}, 0) == ["/run/drawbar", "/tmp/drawbar-0"]
    # What is no absolute path is ignored, as the specification of the variable asks.
    assert instances.directories({"XDG_RUNTIME_DIR": "run"}, 7) == ["/tmp/drawbar-7"]


def test_a_directory_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    environ = {"XDG_RUNTIME_DIR": str(tmp_path)}
    directory = instances.make_directory(environ, UID)
    assert directory == str(tmp_path / "drawbar")
    assert os.stat(directory).st_mode & 0o777 == 0o700
    assert instances.make_directory(environ, UID) == directory


def unsafe_link(path: Path) -> None:
    (path.parent / "real").mkdir(0o700)
    path.symlink_to(path.parent / "real")


def open_to_others(path: Path) -> None:
    path.mkdir()
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("make", "why"),
    [(unsafe_link, "no directory"), (open_to_others, "open to other users"), (Path.touch, "no directory")],
)
def test_a_directory_that_somebody_else_may_have_made_is_not_trusted(tmp_path: Path, make: object, why: str) -> None:
    path = tmp_path / "drawbar"
    make(path)  # type: ignore[operator]
    with pytest.raises(PermissionError, match=why):
        instances.check_directory(str(path), UID)


def test_a_directory_of_another_user_is_not_trusted(tmp_path: Path) -> None:
    with pytest.raises(PermissionError, match=f"belongs to user {UID}"):
        instances.check_directory(str(tmp_path), UID + 1)


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Path]:
    """A directory with the socket of one living and one dead server, and a file that is none."""
    directory = tmp_path / "drawbar"
    directory.mkdir(0o700)
    with socket.socket(socket.AF_UNIX) as alive, socket.socket(socket.AF_UNIX) as dead:
        alive.bind(str(directory / "4194301.sock"))
        alive.listen()
        dead.bind(str(directory / "4194302.sock"))
        (directory / "notes.sock").touch()
        yield directory


def test_only_servers_that_answer_are_found(listening: Path) -> None:
    environ = {"XDG_RUNTIME_DIR": str(listening.parent)}
    found = instances.find(environ, UID)
    assert Instance(4194301, str(listening / "4194301.sock")) in found
    assert all(instance.pid != 4194302 for instance in found)


def test_nothing_is_found_in_a_directory_that_is_not_trusted(listening: Path) -> None:
    listening.chmod(0o777)
    assert not [
        found for found in instances.find({"XDG_RUNTIME_DIR": str(listening.parent)}, UID) if "pytest" in found.path
    ]


def test_stale_sockets_are_removed_and_nothing_else(listening: Path) -> None:
    instances.remove_stale(str(listening))
    assert sorted(path.name for path in listening.iterdir()) == ["4194301.sock", "notes.sock"]
