"""How a line of the error log begins, beside what the standard library makes of the same moment."""

import os
import time

import pytest

from drawbar.exchange.log_stamp import log_stamp


@pytest.mark.parametrize("zone", ["UTC0", "CET-1CEST,M3.5.0,M10.5.0/3", "<-0330>3:30"])
@pytest.mark.parametrize("second", [0, 1_000_000_000, 1_700_000_000, 253_402_300_799])
def test_is_local_time_and_the_process(monkeypatch: pytest.MonkeyPatch, zone: str, second: int) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        local = time.localtime(second)
        date, offset = time.strftime("%Y-%m-%d %H:%M:%S", local), time.strftime("%z", local)
        assert log_stamp(second + 0.25) == f"{date}.250 {offset} [{os.getpid()}]"
    finally:
        monkeypatch.undo()
        time.tzset()
