"""Where a front's workers reach it: who may, what stays, and what goes."""

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from drawbar.config import OperatorError
from drawbar.supervisor.front.place import FIGURES, PrivatePlace, remove_stale

MINE = (os.getuid(), os.getgid())
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")


@pytest.fixture
def place(tmp_path: Path) -> Iterator[PrivatePlace]:
    """One in a directory of the test's."""
    directory = tmp_path / "4711.apps"
    directory.mkdir()
    found = PrivatePlace(str(directory))
    yield found
    found.close()


@pytest.fixture
def above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where new places are made."""
    monkeypatch.setattr("drawbar.supervisor.front.place.make_directory", lambda environ, uid: str(tmp_path))
    return tmp_path


def answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0


def test_each_application_has_a_socket_that_waits_for_a_front(place: PrivatePlace) -> None:
    place.update({"blog": MINE, "shop": MINE})
    assert set(place.sockets()) == {"blog", "shop", FIGURES}
    for app in place.sockets():
        assert stat.S_IMODE(os.stat(place.path(app)).st_mode) == 0o600
        # Nobody accepts, and the worker is connected all the same.
        assert answers(place.path(app))


@as_root
def test_a_socket_is_for_the_user_of_its_workers(place: PrivatePlace) -> None:
    place.update({"blog": (65534, 65534)})
    assert os.stat(place.path("blog")).st_uid == 65534
    assert os.stat(place.path(FIGURES)).st_uid == 0
    # A reload may say another.
    place.update({"blog": MINE})
    assert os.stat(place.path("blog")).st_uid == 0


def test_what_is_wanted_still_stays_the_same_socket(place: PrivatePlace) -> None:
    place.update({"blog": MINE})
    before = place.sockets()["blog"]
    place.update({"blog": MINE, "shop": MINE})
    assert place.sockets()["blog"] is before


def test_what_is_not_wanted_any_more_stays_until_no_front_has_it(place: PrivatePlace) -> None:
    place.update({"blog": MINE, "shop": MINE})
    place.update({"blog": MINE})
    assert set(place.sockets()) == {"blog", FIGURES}
    assert answers(place.path("shop"))
    assert len(place.descriptors()) == 3
    place.drop_left()
    assert not os.path.exists(place.path("shop"))
    assert len(place.descriptors()) == 2


def test_an_application_may_go_and_come_back(place: PrivatePlace) -> None:
    place.update({"blog": MINE})
    place.update({})
    place.drop_left()
    place.update({"blog": MINE})
    assert answers(place.path("blog"))


def test_an_update_that_fails_changes_nothing(place: PrivatePlace) -> None:
    place.update({"blog": MINE})
    Path(place.path("shop")).write_text("no socket")
    with pytest.raises(OperatorError, match="no socket"):
        place.update({"wiki": MINE, "shop": MINE})
    assert set(place.sockets()) == {"blog", FIGURES}
    assert not os.path.exists(place.path("wiki"))


def test_all_of_it_goes_with_its_master(place: PrivatePlace) -> None:
    place.update({"blog": MINE})
    place.close()
    assert not os.path.exists(place.directory)


def test_a_new_place_is_named_after_its_master_and_walked_through_by_others(
    above: Path,
) -> None:
    made = PrivatePlace.make(os.getuid(), {})
    assert made.directory == str(above / f"{os.getpid()}.apps")
    assert stat.S_IMODE(os.stat(made.directory).st_mode) == 0o711
    made.close()
    assert list(above.iterdir()) == []


def test_a_killed_master_of_the_same_number_is_no_hindrance(above: Path) -> None:
    # As in a container, in which the server is process 1 each time.
    left = above / f"{os.getpid()}.apps"
    left.mkdir()
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(left / "blog.sock"))
        gone.listen()
    made = PrivatePlace.make(os.getuid(), {})
    assert made.directory == str(left)
    assert list(left.iterdir()) == []
    made.close()


def test_the_place_of_a_master_of_the_same_number_in_another_container_is_left_to_it(above: Path) -> None:
    kept = above / f"{os.getpid()}.apps"
    kept.mkdir()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(kept / "blog.sock"))
        other.listen()
        made = PrivatePlace.make(os.getuid(), {})
        assert made.directory == str(above / f"{os.getpid()}-2.apps")
        made.close()
        assert [path.name for path in above.iterdir()] == [kept.name]
        assert answers(str(kept / "blog.sock"))


def test_what_a_killed_master_left_is_cleared_away_and_nothing_else(tmp_path: Path) -> None:
    # Above what the kernel numbers processes with (proc(5), pid_max), so there is none.
    dead, elsewhere, alive = (tmp_path / f"{pid}.apps" for pid in (4_194_305, 4_194_306, os.getppid()))
    for directory in (dead, elsewhere, alive, tmp_path / "notes.apps"):
        directory.mkdir()
    with socket.socket(socket.AF_UNIX) as left, socket.socket(socket.AF_UNIX) as kept:
        left.bind(str(dead / "blog.sock"))
        kept.bind(str(elsewhere / "blog.sock"))
        kept.listen()
        remove_stale(str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([alive.name, elsewhere.name, "notes.apps"])
