"""Whose figures a new master goes on with."""

import os

import pytest

from drawbar.net.scoreboard import Scoreboard
from drawbar.supervisor.succession import CELLS_PER_WORKER, SPARE_CELLS, take_scoreboard
from drawbar.supervisor.upgrade import Inheritance


def left(descriptor: int) -> Inheritance:
    return Inheritance(master=os.getpid(), ready=-1, scoreboard=descriptor, listeners="", doors={})


def test_a_first_master_begins_figures_with_room() -> None:
    made = take_scoreboard(None, 3, pytest.fail)
    assert made.capacity == 3 * CELLS_PER_WORKER + SPARE_CELLS
    made.close()


def test_a_new_master_goes_on_with_the_former_ones() -> None:
    former = Scoreboard.create(3 * CELLS_PER_WORKER)
    former.count_restart("crash")
    taken = take_scoreboard(left(os.dup(former.fd)), 3, pytest.fail)
    assert taken.restarts()["crash"] == 1
    taken.close()
    former.close()


def test_figures_without_room_for_all_workers_begin_anew() -> None:
    former = Scoreboard.create(3 * CELLS_PER_WORKER)
    told: list[str] = []
    descriptor = os.dup(former.fd)
    made = take_scoreboard(left(descriptor), 4, told.append)
    assert told == ["the figures begin anew: there was no room in them for 4 workers"]
    assert made.capacity >= 4 * CELLS_PER_WORKER
    made.close()
    former.close()


def test_what_is_no_scoreboard_is_closed() -> None:
    descriptor = os.memfd_create("nothing")
    told: list[str] = []
    take_scoreboard(left(descriptor), 1, told.append).close()
    assert "no scoreboard" in told[0]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
