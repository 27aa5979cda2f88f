"""Where the next fork server comes from when there was no process for one."""

import math
import os
import resource

import pytest

from drawbar.config import Config
from drawbar.supervisor.logs import Log
from drawbar.supervisor.poller import Poller
from drawbar.supervisor.preload.nursery import Nursery
from drawbar.supervisor.reports import Reports


def test_a_fork_server_that_cannot_be_begun_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    # This process is no master for good.
    monkeypatch.setattr("drawbar.supervisor.preload.fork_server.adopt_grandchildren", lambda: None)
    nursery = Nursery(
        reports=Reports(Poller(), lambda pid, line: None),
        private=list,
        cell_of=lambda index: pytest.fail("no worker"),
        on_ready=lambda: pytest.fail("not ready"),
        on_failed=pytest.fail,
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # No descriptor is left for its socket.
    resource.setrlimit(resource.RLIMIT_NOFILE, (os.dup(0), hard))
    try:
        for expected in (100.1, 100.2):
            with pytest.raises(OSError, match="Too many open files"):
                nursery.begin(Config(), Log("critical"), 100.0)
            assert nursery.retry_at == pytest.approx(expected)
            assert not nursery.is_preparing
    finally:
        lowest, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        os.close(lowest)
    nursery.close()
    assert nursery.retry_at == math.inf
