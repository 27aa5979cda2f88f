"""The access log: its lines, which nothing can forge, and the file they go to."""

import json as standard_json
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawbar.exchange.access_log import AccessLog
from drawbar.exchange.log_files import LogFiles
from drawbar.exchange.log_lines import Record, Values, combined, json, record_of, times_of

# The form as log tools read it.
COMBINED = re.compile(
    rb'(\S+) (\S+) (\S+) \[([^\]]+)\] "((?:[^"\\]|\\x[0-9a-f]{2})*)" (\d{3}|-) (\d+|-) '
    rb'"((?:[^"\\]|\\x[0-9a-f]{2})*)" "((?:[^"\\]|\\x[0-9a-f]{2})*)"\n'
)
START = 1_792_000_000.25


@dataclass
class Finished:
    """An exchange that has ended."""

    method: str = "GET"
    target: str = "/a?b"
    http_version: str = "1.1"
    remote: tuple[str, int] | None = ("203.0.113.7", 1234)
    status_code: int = 200
    body_bytes: int = 13
    duration_ns: int = 2_500_000
    client_ns: int = 100_000
    queue_ns: int = 400_000
    app_ns: int | None = 2_000_000
    complete: bool = True
    log_files: LogFiles | None = None
    fields: dict[bytes, str] = field(default_factory=dict)

    def header(self, name: bytes) -> str | None:
        """One of `fields`."""
        return self.fields.get(name)


def record(exchange: Finished) -> Record:
    return record_of(exchange, START)


latin_1 = st.text(st.characters(max_codepoint=255), max_size=60)


@pytest.fixture(autouse=True)
def _zone() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "XXX-02:30")
        time.tzset()
        yield
    time.tzset()


def test_combined_is_apaches() -> None:
    fields = {b"referer": "http://there/", b"user-agent": "Mozilla/5.0"}
    assert combined(record(Finished(fields=fields))) == (
        b'203.0.113.7 - - [14/Oct/2026:20:16:40 +0230] "GET /a?b HTTP/1.1" 200 13 "http://there/" "Mozilla/5.0"\n'
    )


def test_what_is_not_there_is_a_dash() -> None:
    line = combined(record(Finished(remote=None, status_code=0, body_bytes=0)))
    assert re.sub(rb"\[.*?\]", b"[]", line) == b'- - - [] "GET /a?b HTTP/1.1" - - "-" "-"\n'


def test_json_says_all_with_its_time_in_utc() -> None:
    line = json(record(Finished(fields={b"user-agent": "curl"}, complete=False)), times_of(Finished()))
    assert line.endswith(b"\n")
    assert standard_json.loads(line) == {
        "time": "2026-10-14T17:46:40.247Z",
        "remote": "203.0.113.7",
        "method": "GET",
        "target": "/a?b",
        "version": "1.1",
        "status": 200,
        "bytes": 13,
        "duration_ms": 2.5,
        "referer": None,
        "user_agent": "curl",
        "complete": False,
        "client_ms": 0.1,
        "queue_ms": 0.4,
        "app_ms": 2.0,
    }


def test_without_an_app_there_is_no_time_of_its() -> None:
    assert times_of(Finished(app_ns=None))["app_ms"] is None


@given(target=latin_1, referer=latin_1, agent=latin_1)
def test_no_byte_of_a_client_forges_a_line(target: str, referer: str, agent: str) -> None:
    finished = Finished(target=target, fields={b"referer": referer, b"user-agent": agent})
    line = combined(record(finished))
    found = COMBINED.fullmatch(line)
    assert found is not None
    assert all(32 <= byte < 127 for byte in line[:-1])
    for text, shown in ((f"GET {target} HTTP/1.1", found[5]), (referer or "-", found[8]), (agent or "-", found[9])):
        assert re.sub(rb"\\x(..)", lambda escaped: bytes([int(escaped[1], 16)]), shown).decode("latin-1") == text
    line = json(record(finished), {})
    assert line.count(b"\n") == 1
    assert standard_json.loads(line)["target"] == target


def test_each_form_is_written_line_by_line(tmp_path: Path) -> None:
    expected = {"combined": combined(record(Finished())), "json": json(record(Finished()), times_of(Finished()))}
    for form, line in expected.items():
        path = tmp_path / form
        log = AccessLog(str(path), form, pytest.fail, lambda: START)  # type: ignore[arg-type]
        for _ in range(2):
            log.write(Finished())
        assert path.read_bytes() == line * 2
        log.close()


def test_what_is_known_beside_stands_in_forms_that_name_values(tmp_path: Path) -> None:
    asked: list[object] = []

    def more(exchange: object) -> Values:
        asked.append(exchange)
        return {"worker": "w1"}

    for form, asks in (("combined", 0), ("json", 1), ((("s", ""),), 0), ((("", "by "), ("x", "worker")), 1)):
        path = tmp_path / "log"
        log = AccessLog(str(path), form, pytest.fail)  # type: ignore[arg-type]
        log.more = more
        log.write(Finished())
        log.close()
        assert len(asked) == asks
        asked.clear()
    lines = path.read_bytes().splitlines()
    assert standard_json.loads(lines[1])["worker"] == "w1"
    assert lines[2:] == [b"200", b"by w1"]


def test_standard_output_is_a_dash(capfd: pytest.CaptureFixture[str]) -> None:
    log = AccessLog("-", "combined", pytest.fail)
    log.write(Finished())
    log.reopen()
    log.write(Finished())
    log.close()
    log.write(Finished())
    assert capfd.readouterr().out.count("GET /a?b") == 2
    assert os.fstat(1), "closing the log leaves standard output open"


def test_reopening_follows_the_name(tmp_path: Path) -> None:
    path = tmp_path / "log"
    log = AccessLog(str(path), "combined", pytest.fail)
    log.write(Finished(target="/1"))
    path.rename(tmp_path / "log.1")
    log.write(Finished(target="/2"))
    log.reopen()
    log.write(Finished(target="/3"))
    log.close()
    assert [len((tmp_path / name).read_bytes().splitlines()) for name in ("log.1", "log")] == [2, 1]


def test_two_writers_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    logs = [AccessLog(str(path), "combined", pytest.fail) for _ in range(2)]
    for log in logs * 3:
        log.write(Finished())
    assert len(path.read_bytes().splitlines()) == 6
    for log in logs:
        log.close()


def test_a_path_that_cannot_be_written_is_said_once_and_harms_nothing(tmp_path: Path) -> None:
    said: list[str] = []
    log = AccessLog(str(tmp_path / "missing" / "log"), "combined", said.append)
    log.write(Finished())
    log.write(Finished())
    assert said == [f"the access log loses lines: cannot write {tmp_path}/missing/log: No such file or directory"]
    (tmp_path / "missing").mkdir()
    log.reopen()
    log.write(Finished())
    log.close()
    assert len((tmp_path / "missing" / "log").read_bytes().splitlines()) == 1
    assert len(said) == 1


def test_a_full_disk_is_said_once() -> None:
    said: list[str] = []
    log = AccessLog("/dev/full", "json", said.append)
    for _ in range(3):
        log.write(Finished())
    log.close()
    assert said == ["the access log loses lines: cannot write /dev/full: No space left on device"]


def test_a_name_that_cannot_be_reopened_keeps_the_old_file(tmp_path: Path) -> None:
    said: list[str] = []
    folder = tmp_path / "folder"
    folder.mkdir()
    log = AccessLog(str(folder / "log"), "combined", said.append)
    folder.rename(tmp_path / "moved")
    log.reopen()
    log.write(Finished())
    log.close()
    assert len(said) == 1
    assert len((tmp_path / "moved" / "log").read_bytes().splitlines()) == 1
