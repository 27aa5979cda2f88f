"""The picture of `drawbar top`."""

from drawbar.cli.control.screen import Change, line, picture
from tests.support.statuses import status, worker

FIRST = """\
drawbar 1.2.3  shop:app (wsgi), serving, up 2 h, pid 4711
workers        2 of 2 ready, busy 3/16, waiting 0, connections 20, 44 MB
requests       -/s, 2xx -/s, 4xx -/s
answered in    p50 0.6 ms  p95 8.2 ms  p99 10 ms, queued for p99 1.0 ms
traffic        -/s in, -/s out
backlog        http://127.0.0.1:8000 1/2048

#   PID  PHASE  REQ/S  BUSY  CONNS    RSS  SHARED  OLDEST REQUEST
1  4712  ready      -   1/8     10  48 MB   31 MB
2  4713  ready      -   2/8     10  48 MB   31 MB  2.5 s GET /slow"""

SECOND = """\
requests       505/s, 2xx 500/s, 4xx 5/s
answered in    p50 0.6 ms  p95 8.2 ms  p99 10 ms, queued for p99 1.0 ms
traffic        512 kB/s in, 10 MB/s out
backlog        http://127.0.0.1:8000 1/2048

#   PID  PHASE  REQ/S  BUSY  CONNS    RSS  SHARED  OLDEST REQUEST
1  4712  ready    250   1/8     10  48 MB   31 MB
2  4713  ready    250   2/8     10  48 MB   31 MB  2.5 s GET /slow"""


def test_the_first_look_has_no_rates() -> None:
    shown = picture(Change(status(), None), 80, 24)
    assert "\n".join(shown.lines) == FIRST
    assert shown.lines[shown.head].startswith("#   PID")


def test_rates_are_those_since_the_last_look() -> None:
    change = Change(status(2, taken=12.0), status(1, taken=10.0))
    assert "\n".join(picture(change, 80, 24).lines[2:]) == SECOND


def test_a_wide_terminal_shows_ages() -> None:
    (heading,) = [found for found in picture(Change(status(), None), 120, 24).lines if found.startswith("#")]
    assert "AGE" in heading


def test_every_size_of_terminal() -> None:
    for width in (1, 20, 80, 300):
        for height in (1, 3, 8, 9, 50):
            shown = picture(Change(status(2, 1.0), status(1, 0.0)), width, height)
            assert len(shown.lines) <= height
            assert max(map(len, shown.lines)) <= width


def test_workers_that_do_not_fit_are_counted() -> None:
    many = status()
    many.workers = [worker(slot, 1) for slot in range(1, 101)]
    shown = picture(Change(many, None), 80, 20)
    assert len(shown.lines) == 20
    assert shown.lines[-1] == "… 89 more"


def test_a_worker_that_is_new_and_counters_that_begin_anew() -> None:
    before, now = status(1, 0.0), status(2, 1.0)
    before.workers.pop()
    rows = picture(Change(now, before), 80, 24).lines
    assert "1 000" in rows[-1]
    # Another server has taken the place of this one, with figures of its own.
    assert "-/s" in picture(Change(status(1, 1.0), status(2, 0.0)), 80, 24).lines[2]


def test_one_line() -> None:
    change = Change(status(2, taken=12.0), status(1, taken=10.0))
    assert line(change) == (
        "workers 2 of 2 ready, requests/s 505, busy 3/16, connections 20, backlog 1, "
        "p50 0.6 ms  p95 8.2 ms  p99 10 ms, oldest 2.5 s GET /slow"
    )
