"""What ready means: the verdict, from plain figures."""

import pytest

from drawbar.pull.status import ABSENT_MS, STUCK_MS, Figures, why_stuck

CALM = Figures(is_stopped=False, is_paused=False, queued=0, idle=0, leased=0, unseen_ms=None, resting_ms=0)


@pytest.mark.parametrize(
    ("figures", "why"),
    [
        (CALM, "no worker is there"),
        (CALM._replace(idle=1), None),
        (CALM._replace(leased=1, resting_ms=10**6), None),
        (CALM._replace(unseen_ms=ABSENT_MS - 1), None),
        (CALM._replace(unseen_ms=ABSENT_MS), "no worker is there"),
        (CALM._replace(queued=1_000, resting_ms=STUCK_MS - 1), None),
        (
            CALM._replace(queued=1, idle=1, resting_ms=STUCK_MS),
            "1 requests wait, and none was taken or answered for 5 s",
        ),
        (CALM._replace(queued=1, is_paused=True, resting_ms=10**6), None),
        (CALM._replace(is_stopped=True, idle=1), "it is stopped"),
    ],
)
def test_ready_means_that_the_queue_moves(figures: Figures, why: str | None) -> None:
    assert why_stuck(figures) == why
