"""Log files: where a request's lines go when the files change under it, and when an old file is let go of."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from drawbar.exchange.log_files import OLD_FILES, LogFile, LogFiles, RotatedFile
from tests.support.inprocess import Site


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log"


def rotate(path: Path, number: int) -> Path:
    """Renames the log away, as logrotate does; where it is now."""
    away = path.with_name(f"log.{number}")
    path.rename(away)
    return away


def open_files(folder: Path) -> list[str]:
    """Names of the files in a folder that this process holds open."""
    names = []
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            target = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        except FileNotFoundError:  # The descriptor of the listing itself.
            continue
        if target.parent == folder:
            names.append(target.name)
    return sorted(names)


def test_a_rotated_file_is_open_as_long_as_somebody_holds_it(path: Path) -> None:
    log = RotatedFile(str(path))
    held = log.file
    rotate(path, 1)
    log.reopen()
    held.write(b"old\n")
    log.file.write(b"new\n")
    assert open_files(path.parent) == ["log", "log.1"]
    del held
    assert open_files(path.parent) == ["log"]
    assert (path.with_name("log.1").read_bytes(), path.read_bytes()) == (b"old\n", b"new\n")


def test_a_name_that_leads_where_it_did_changes_nothing(path: Path) -> None:
    log = RotatedFile(str(path))
    file = log.file
    for _ in range(3):
        log.reopen()
    assert log.file is file
    assert open_files(path.parent) == ["log"]


def test_old_files_are_bounded_and_lines_for_the_oldest_move_on(path: Path) -> None:
    log = RotatedFile(str(path))
    held: list[LogFile] = []
    rotations = OLD_FILES + 3
    for number in range(rotations):
        held.append(log.file)
        rotate(path, number)
        log.reopen()
    assert len(set(open_files(path.parent))) == OLD_FILES + 1
    for number, file in enumerate(held):
        file.write(b"%d\n" % number)
    written = [path.with_name(f"log.{number}").read_bytes() for number in range(rotations)]
    gone = rotations - OLD_FILES
    assert written[:gone] == [b""] * gone
    assert sorted(written[gone].split()) == [b"%d" % number for number in range(gone + 1)]
    assert written[gone + 1 :] == [b"%d\n" % number for number in range(gone + 1, rotations)]


def lose_folder(path: Path) -> None:
    path.parent.rename(path.parent.with_name("moved"))


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("spoil", [lose_folder, make_folder, make_fifo])
def test_a_name_that_cannot_be_opened_keeps_the_file(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    path = tmp_path / "folder" / "log"
    path.parent.mkdir()
    log = RotatedFile(str(path))
    file = log.file
    spoil(path)
    with pytest.raises(OSError, match=r"No such file|directory|device"):
        log.reopen()
    assert log.file is file
    assert file.write(b"on\n") == 3


def test_threads_lose_no_line_and_part_no_request(path: Path) -> None:
    log = RotatedFile(str(path))
    lines, writers = 3, 4
    rotated = threading.Event()
    served = [0] * writers
    go = threading.Barrier(writers + 1)

    def serve(writer: int) -> None:
        go.wait()
        # One more behind the last rotation.
        last = False
        while not last:
            last = rotated.is_set()
            file = log.file
            for line in range(lines):
                file.write(b"%d %d %d\n" % (writer, served[writer], line))
            served[writer] += 1

    threads = [threading.Thread(target=serve, args=(writer,)) for writer in range(writers)]
    for thread in threads:
        thread.start()
    go.wait()
    for number in range(OLD_FILES):
        rotate(path, number)
        log.reopen()
    rotated.set()
    for thread in threads:
        thread.join()
    places: dict[tuple[bytes, bytes], list[str]] = {}
    for file in path.parent.iterdir():
        for text in file.read_bytes().splitlines():
            writer, request, _ = text.split()
            places.setdefault((writer, request), []).append(file.name)
    assert len(places) == sum(served)
    assert all(len(found) == lines and len(set(found)) == 1 for found in places.values())


class Books:
    """The log files of a site in this process, as its policy has them."""

    def __init__(self, folder: Path) -> None:
        self.access = RotatedFile(str(folder / "access"))
        self.error = RotatedFile(str(folder / "error"))

    def present(self) -> LogFiles:
        """Those of requests that begin now."""
        return LogFiles(self.access.file, self.error.file)


@pytest.fixture
def books(tmp_path: Path) -> Books:
    return Books(tmp_path)


def test_an_exchange_has_the_files_of_its_beginning(books: Books) -> None:
    began: list[LogFiles | None] = []

    def app(environ: dict[str, object], start_response: Callable[..., object]) -> list[bytes]:
        # The policy changes while the request runs.
        began.append(site.policy.log_files)
        site.policy.log_files = LogFiles(None, None)
        start_response("200 OK", [])
        return [b""]

    with Site(app, log=True) as site:
        site.policy.log_files = first = books.present()
        site.get()
        site.get()
        assert began == [first, LogFiles(None, None)]
        assert [exchange.log_files for exchange in site.completed] == began


def test_an_idle_connection_holds_no_old_file(books: Books, tmp_path: Path) -> None:
    def app(environ: dict[str, object], start_response: Callable[..., object]) -> list[bytes]:
        start_response("200 OK", [])
        return [b""]

    with Site(app) as site:
        site.policy.log_files = books.present()
        client = site.connect()
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.response().status == 200
        (tmp_path / "access").rename(tmp_path / "access.1")
        books.access.reopen()
        site.policy.log_files = books.present()
        assert open_files(tmp_path) == ["access", "error"]
