"""Decisions that cannot be carried out. What is, is tested with the master."""

from pathlib import Path

import pytest

from drawbar.config import Config, ListenConfig, ServerConfig, parse_bind
from drawbar.net.scoreboard import Scoreboard
from drawbar.supervisor.crew import Crew
from drawbar.supervisor.decisions import Fork
from drawbar.supervisor.front.fronts import Fronts
from drawbar.supervisor.listening.listeners import Listeners
from drawbar.supervisor.logs import Log
from drawbar.supervisor.poller import Poller
from drawbar.supervisor.preload.nursery import Nursery
from drawbar.supervisor.reports import Reports
from drawbar.supervisor.trade import Trade
from tests.supervisor.pools import pool


def test_a_worker_without_a_place_on_the_scoreboard_is_tried_again(tmp_path: Path) -> None:
    config = Config(server=ServerConfig(bind=(parse_bind("127.0.0.1:0"),)), listen=ListenConfig(bind_tries=1))
    listeners, scoreboard, log = Listeners(config), Scoreboard.create(1), Log("info", str(tmp_path / "log"))
    reports = Reports(Poller(), lambda pid, line: None)
    nursery = Nursery(
        reports=reports, private=list, cell_of=scoreboard.cell, on_ready=pytest.fail, on_failed=pytest.fail
    )
    subject = pool(slots=1)
    crew = Crew(
        subject,
        config=config,
        listeners=listeners,
        log=log,
        scoreboard=scoreboard,
        reports=reports,
        nursery=nursery,
        trade=Trade(lambda *arguments: pytest.fail("no worker")),
        fronts=Fronts(),
        private=list,
        on_ready=lambda boot, worker, interface: None,
        clock=lambda: 100.0,
    )
    taken = scoreboard.claim(1, 1)
    crew.carry_out(Fork(1, 1))
    assert subject.slots[0].retry_at == pytest.approx(100.1)
    assert "error: cannot start worker 1: all 1 cells of the scoreboard are taken" in (tmp_path / "log").read_text()
    assert scoreboard.cell(taken).slot == 1
    listeners.close()
    scoreboard.close()
