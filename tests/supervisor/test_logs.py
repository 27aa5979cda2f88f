"""The error log: one event, one line, whole."""

import os
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drawbar.config import LogConfig, OperatorError
from drawbar.supervisor.logs import LINE_BYTES, Log


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "error.log"


def test_a_line_has_time_process_level_and_message(path: Path) -> None:
    Log(path=str(path), clock=lambda: 1_000_000_000.25).info("hello")
    line = path.read_text()
    assert re.fullmatch(rf"2001-09-\d\d \d\d:\d\d:40\.250 [+-]\d{{4}} \[{os.getpid()}\] info: hello\n", line)


@pytest.mark.parametrize(
    ("level", "written"),
    [
        ("debug", ["debug", "info", "warning", "error", "critical"]),
        ("info", ["info", "warning", "error", "critical"]),
        ("warning", ["warning", "error", "critical"]),
        ("error", ["error", "critical"]),
    ],
)
def test_writes_its_level_and_above(path: Path, level: str, written: list[str]) -> None:
    log = Log(level, str(path))
    for write in (log.debug, log.info, log.warning, log.error, log.critical):
        write("x")
    assert re.findall(r"\] (\w+): x", path.read_text()) == written


def test_a_message_cannot_forge_a_line(path: Path) -> None:
    Log(path=str(path)).error("a\nb\r\x1b[31m\x00\x7f\x85\ud800é")
    assert path.read_text().endswith(": a\\nb\\r\\x1b[31m\\x00\\x7f\\x85\\ud800é\n")


def test_a_long_message_is_cut(path: Path) -> None:
    Log(path=str(path)).error("x" * 100_000)
    assert path.stat().st_size == LINE_BYTES + 1


def test_reopens_after_a_rotation(path: Path) -> None:
    log = Log(path=str(path))
    log.info("before")
    path.rename(path.with_suffix(".1"))
    log.info("still the old one")
    log.reopen()
    log.info("after")
    assert path.with_suffix(".1").read_text().count("\n") == 2
    assert path.read_text().endswith("after\n")


def test_keeps_the_old_file_when_it_cannot_be_reopened(path: Path) -> None:
    log = Log(path=str(path))
    path.rename(path.with_suffix(".1"))
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        log.reopen()
    log.info("goes on")
    assert "goes on" in path.with_suffix(".1").read_text()


def test_a_traceback_is_a_line_for_each_line(path: Path) -> None:
    log = Log(path=str(path))
    try:
        raise ValueError("the reason")
    except ValueError as error:
        log.traceback("error", error)
        log.traceback("debug", error)
    lines = path.read_text().splitlines()
    assert lines[0].endswith("error: Traceback (most recent call last):")
    assert lines[-1].endswith("error: ValueError: the reason")
    assert path.read_text().count("the reason") == 2, "once in the source line, once in the message"


def test_a_full_disk_is_told_once_on_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    log = Log(path="/dev/full")
    for _ in range(3):
        log.error("x")
    [line] = capfd.readouterr().err.splitlines()
    assert line.endswith("error: the error log loses lines: cannot write /dev/full: No space left on device")


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file may grow longer (setrlimit(2)); Python ignores the signal that would go with it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_becomes_full_in_the_middle_of_a_line(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    # Longer than what standard error is captured in will be.
    path.write_bytes(b"x" * 100_000)
    log = Log(path=str(path))
    with room_for(path.stat().st_size + 20):
        log.error("x")
    why = "only part of a line could be written"
    assert capfd.readouterr().err.endswith(f"the error log loses lines: cannot write {path}: {why}\n")
    log.error("there is room again")
    assert path.read_text().endswith("there is room again\n")
    with room_for(path.stat().st_size):
        log.error("x")
    assert "the error log loses lines" in capfd.readouterr().err


def test_off_writes_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    Log.from_config(LogConfig(error="off")).critical("x")
    assert capfd.readouterr().err == ""


def test_standard_is_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    Log.from_config(LogConfig(error="-", level="error")).critical("x")
    assert capfd.readouterr().err.endswith("critical: x\n")


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(OperatorError) as caught:
        Log.from_config(LogConfig(error=f"{tmp_path}/none/error.log"))
    assert str(caught.value) == (
        f"--error-log: cannot write {tmp_path}/none/error.log (No such file or directory); "
        "write a path that can be opened, - or off"
    )


def test_the_logs_of_one_configuration_are_reopened_as_one(path: Path) -> None:
    config = LogConfig(error=str(path))
    parents, own = Log.from_config(config), Log.from_config(config)
    path.rename(path.with_suffix(".1"))
    own.reopen()
    parents.info("after")
    assert path.read_text().endswith("after\n")
    assert path.with_suffix(".1").read_text() == ""


def test_another_file_is_another_log(path: Path) -> None:
    first = Log.from_config(LogConfig(error=str(path)))
    second = Log.from_config(LogConfig(error=str(path.with_suffix(".2"))))
    first.info("first")
    second.info("second")
    assert path.read_text().endswith("first\n")
    assert path.with_suffix(".2").read_text().endswith("second\n")


def test_a_file_that_is_shared_must_still_be_there_to_open(path: Path) -> None:
    config = LogConfig(error=str(path))
    Log.from_config(config)
    path.unlink()
    path.mkdir()
    with pytest.raises(OperatorError, match="Is a directory"):
        Log.from_config(config)
