"""The picture of `drawbar top`."""

from drawbar.cli.control.screen import Change, line, picture
from tests.support.statuses import status, status_of_front, status_of_split, worker

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
    (heading,) = shown.headings
    assert shown.lines[heading].startswith("#   PID")


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


OF_A_FRONT = """\
drawbar 1.2.3  a front for shop, blog, serving, up 2 h, pid 4711
front          1 of 1 ready, connections 10, 22 MB
requests       queued 3, oldest 1.5 s, running 4, room 1
answered       505/s, 2xx 500/s, 4xx 5/s
in             p50 0.6 ms  p95 8.2 ms  p99 10 ms, queued for p99 1.0 ms
traffic        512 kB/s in, 10 MB/s out
backlog        http://127.0.0.1:8000 1/2048

APP    QUEUED  OLDEST  RUNNING  ROOM  REQ/S  WAIT P99  WORK P99  LOST  STATE
shop  3/1 000   1.5 s        4     1    500    9.9 ms     99 ms     1  ready
blog     0/10       -        0     0      0         -         -     0  paused

APP   LABEL  RUNNING  ROOM  GIVEN  FAILED  LOST  STATE
shop  v7           2     0    900       0     0
shop  v8           2     1    100       2     1

WORKER     APP   LABEL  LANE    RUNNING  ROOM
web1:4712  shop  v7     attach        2     0
web2:981   shop  v8     attach        2     1

  AGE  APP   TRY  AT            REQUEST
2.5 s  shop    2  web1:4712 v7  GET /cart?id=\\x1b7
1.5 s  shop    0  the queue     GET /waits
… 4 more"""


def test_a_front() -> None:
    shown = picture(Change(status_of_front(2, 12.0), status_of_front(1, 10.0)), 80, 24)
    assert "\n".join(shown.lines) == OF_A_FRONT
    assert [shown.lines[number].split()[0] for number in sorted(shown.headings)] == ["APP", "APP", "WORKER", "AGE"]


def test_a_front_with_workers_of_its_own() -> None:
    change = Change(status_of_split(2, 12.0), status_of_split(1, 10.0))
    tall = picture(change, 80, 50)
    assert any(line.startswith("app 1 ") for line in tall.lines)
    assert len(tall.headings) == 5
    # What is asked first stays: who waits, and for whom.
    short = picture(change, 80, 20)
    assert [short.lines[number].split()[0] for number in sorted(short.headings)] == ["APP", "WORKER", "AGE"]


def test_tables_that_do_not_fit_say_how_much_is_missing() -> None:
    busy = status_of_front()
    assert busy.front is not None
    queue = busy.front.queues[0]
    queue.workers = queue.workers * 50
    queue.workers_in_all = 1_000
    shown = picture(Change(busy, None), 80, 30)
    rows = sum(line.startswith("web") for line in shown.lines)
    assert rows > 1
    assert f"… {1_000 - rows} more" in shown.lines
    assert len(shown.lines) == 30


def test_every_size_of_terminal_for_a_front() -> None:
    for made in (status_of_front, status_of_split):
        for width in (1, 20, 80, 300):
            for height in (1, 3, 8, 9, 15, 20, 50):
                shown = picture(Change(made(2, 1.0), made(1, 0.0)), width, height)
                assert len(shown.lines) <= height
                assert max(map(len, shown.lines)) <= width
                assert all(number < len(shown.lines) for number in shown.headings)


def test_a_front_that_came_anew_has_figures_of_its_own() -> None:
    rows = picture(Change(status_of_front(1, 12.0), status_of_front(2, 10.0)), 80, 24).lines
    (row,) = [row for row in rows if row.startswith("shop  3/1 000")]
    assert row.split()[7:10] == ["-", "9.9", "ms"]


def test_a_front_in_one_line() -> None:
    assert line(Change(status_of_front(2, 12.0), status_of_front(1, 10.0))) == (
        "workers 1 of 1 ready, requests/s 505, queued 3, oldest 1.5 s, running 4, room 1, connections 10, backlog 1, "
        "p50 0.6 ms  p95 8.2 ms  p99 10 ms"
    )


def test_one_line() -> None:
    change = Change(status(2, taken=12.0), status(1, taken=10.0))
    assert line(change) == (
        "workers 2 of 2 ready, requests/s 505, busy 3/16, connections 20, backlog 1, "
        "p50 0.6 ms  p95 8.2 ms  p99 10 ms, oldest 2.5 s GET /slow"
    )
