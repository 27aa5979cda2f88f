"""Places on disk: absolute, and writable, or one line that says which is not."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from drawbar.config import Config, LogConfig, OperatorError, ServerConfig
from drawbar.supervisor.host.places import go_home, go_home_if_lost, home, settle_places


def settle(access: str = "off", temp_dir: str | None = None) -> tuple[str, str | None]:
    """Access log and spill directory, settled."""
    config = settle_places(Config(log=LogConfig(access=access), server=ServerConfig(temp_dir=temp_dir)))
    return config.log.access, config.server.temp_dir


def test_paths_no_longer_depend_on_the_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("spill").mkdir()
    assert settle("access.log", "spill") == (str(tmp_path / "access.log"), str(tmp_path / "spill"))


@pytest.mark.parametrize("access", ["off", "-"])
def test_what_is_no_path_stays(access: str) -> None:
    assert settle(access) == (access, None)


def test_a_pipe_without_a_reader_does_not_make_the_start_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OperatorError, match="No such device or address"):
        settle(str(tmp_path / "pipe"))


def test_what_cannot_be_written(tmp_path: Path) -> None:
    missing, file = tmp_path / "missing", tmp_path / "file"
    file.touch()
    with pytest.raises(OperatorError) as error:
        settle(access=str(missing / "log"))
    right = "write a path that can be opened, - or off"
    assert str(error.value) == f"--access-log: cannot write {missing}/log (No such file or directory); {right}"
    for path, why in ((missing, "No such file or directory"), (file, "Not a directory")):
        with pytest.raises(OperatorError) as error:
            settle(temp_dir=str(path))
        right = "name a directory that exists and can be written"
        assert str(error.value) == f"--temp-dir: cannot use {path} ({why}); {right}"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_of_others(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OperatorError, match=r"--temp-dir: cannot write to "):
        settle(temp_dir=str(tmp_path))


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A process that has just been started in a directory, by a link to it."""
    (tmp_path / "release").mkdir()
    link = tmp_path / "current"
    link.symlink_to("release")
    monkeypatch.chdir(link)
    monkeypatch.setenv("PWD", str(link))
    home.cache_clear()
    yield link
    home.cache_clear()


def test_the_start_has_the_name_its_starter_knows(start: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert home() == str(start)
    home.cache_clear()
    # Of somebody who changed the directory and not the variable.
    monkeypatch.setenv("PWD", "/")
    assert home() == str(start.resolve())


def test_home_is_where_the_name_leads_now(start: Path) -> None:
    home()
    (start.parent / "next").mkdir()
    start.unlink()
    start.symlink_to("next")
    go_home_if_lost()
    assert os.getcwd() == str(start.parent / "release")
    go_home()
    assert os.getcwd() == str(start.parent / "next")


def test_who_is_lost_goes_home(start: Path) -> None:
    home()
    start.resolve().rmdir()
    go_home_if_lost()
    (start.parent / "release").mkdir()
    go_home_if_lost()
    assert os.getcwd() == str(start.parent / "release")


def test_a_start_in_a_directory_that_is_gone(start: Path) -> None:
    start.resolve().rmdir()
    assert home() == str(start)
