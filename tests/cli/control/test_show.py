"""What `drawbar ctl` prints, line by line."""

from drawbar.cli.control.screen import Change, picture
from drawbar.cli.control.show import deploys, settings_lines, stacks_lines, status_lines
from drawbar.supervisor.control.status import DeployRecord, Front, Histogram, Status, Totals, Trial
from tests.support.statuses import status, status_of_front, status_of_split

WHOLE = """\
drawbar 1.2.3  shop:app (wsgi), serving, up 2 h
master 4711    generation 3, drawbar.toml, 6.0 MB
workers        2 of 2 ready, 44 MB together
listens on     http://127.0.0.1:8000, 1 of 2048 waiting
listens on     unix:/run/shop.sock

WORKER   PID  PHASE    AGE  REQUESTS  BUSY  CONNS    RSS  SHARED
     1  4712  ready   60 s       500   1/8     10  48 MB   31 MB
     2  4713  ready  2 min       500   2/8     10  48 MB   31 MB

requests     1 010: 2xx 1 000, 4xx 10
answered in  p50 0.6 ms  p95 8.2 ms  p99 10 ms
queued for   p50 0.5 ms  p95 0.9 ms  p99 1.0 ms
bytes        1.0 MB in, 20 MB out
replaced     1 by crash

IN FLIGHT  WORKER  REQUEST
    2.5 s       2  GET /slow"""


OF_A_FRONT = """\
drawbar 1.2.3  a front for shop, blog, serving, up 2 h
master 4711    generation 3, drawbar.toml, 6.0 MB
front          1 of 1 ready, 22 MB together
requests now   queued 3, oldest 1.5 s, running 4, room 1
listens on     http://127.0.0.1:8000, 1 of 2048 waiting
listens on     unix:/run/shop.sock

PROCESS   PID  PHASE   AGE  REQUESTS  BUSY  CONNS    RSS  SHARED
front    4712  ready  60 s       500     4     10  48 MB   31 MB

APP    QUEUED  OLDEST  RUNNING  ROOM  ANSWERED  WAIT P99  WORK P99  LOST  STATE
shop  3/1 000   1.5 s        4     1     1 000    9.9 ms     99 ms     1  ready
blog     0/10       -        0     0         0         -         -     0  paused

APP   LABEL  RUNNING  ROOM  GIVEN  FAILED  LOST  STATE
shop  v7           2     0    900       0     0
shop  v8           2     1    100       2     1

WORKER     APP   LABEL  LANE    RUNNING  ROOM
web1:4712  shop  v7     attach        2     0
web2:981   shop  v8     attach        2     1

requests     1 010: 2xx 1 000, 4xx 10
answered in  p50 0.6 ms  p95 8.2 ms  p99 10 ms
queued for   p50 0.5 ms  p95 0.9 ms  p99 1.0 ms
bytes        1.0 MB in, 20 MB out
replaced     1 by crash

  AGE  APP   TRY  AT            REQUEST
2.5 s  shop    2  web1:4712 v7  GET /cart?id=\\x1b7
1.5 s  shop    0  the queue     GET /waits"""


def test_the_whole_status_of_a_front() -> None:
    assert "\n".join(status_lines(status_of_front(), 80)) == OF_A_FRONT


def test_how_far_deploys_have_come_and_how_they_ended() -> None:
    found = status_of_front()
    assert found.front is not None
    found.deploys = [
        DeployRecord("shop", "v8", "v7", "trial", 4.2),
        DeployRecord("blog", "v2", None, "waits", 75.0),
        DeployRecord("shop", "v7", "v6", "kept", 300.0, "shop: kept v7: not judged"),
    ]
    expected = [
        ("deploy", "shop to v8, for 4.2 s: is judged, 12 of 50 answers, 1 failed"),
        ("deploy", "blog to v2, for 75 s: waits for its workers"),
        ("last deploy", "5 min ago: shop: kept v7: not judged"),
    ]
    found.front.queues[0].trial = Trial("v8", 12, 1, 50)
    assert list(deploys(found)) == expected
    shown = [line.split(maxsplit=1)[1] for line in status_lines(found, 100) if line.startswith("deploy ")]
    assert shown == [text for key, text in expected if key == "deploy"]
    lines = picture(Change(found, None), 100, 40).lines
    assert "deploy         shop to v8, for 4.2 s: is judged, 12 of 50 answers, 1 failed" in lines
    # One that is silent, and one that judges what came before, say nothing of it.
    found.front.queues[0].trial = Trial("v7", 12, 1, 50)
    assert next(deploys(found)) == ("deploy", "shop to v8, for 4.2 s: is judged")
    found.front = Front(silent="it does not answer")
    assert next(deploys(found)) == ("deploy", "shop to v8, for 4.2 s: is judged")


def test_a_front_with_workers_of_its_own() -> None:
    lines = status_lines(status_of_split(), 80)
    assert lines[0] == "drawbar 1.2.3  shop:app (wsgi) behind a front, serving, up 2 h"
    assert lines[2] == "processes      2 of 2 ready, 44 MB together"
    assert [line[:13] for line in lines[8:10]] == ["front    4712", "app 1    4713"]


def test_a_front_that_does_not_answer_is_told_of() -> None:
    silent = status_of_front()
    silent.front = Front(silent="the front does not answer within 1 s")
    lines = status_lines(silent, 80)
    assert lines[0].startswith("drawbar 1.2.3  a front, serving")
    assert "requests now   the front does not answer within 1 s" in lines
    assert not any(line.startswith("APP") for line in lines)


def test_the_whole_status() -> None:
    assert "\n".join(status_lines(status(), 80)) == WHOLE


def test_no_line_is_wider_than_the_terminal() -> None:
    troubled = status()
    troubled.last_error = "worker 1 (pid 4712) died: " + "a very long story, " * 10
    for width in (40, 60, 80, 200):
        assert max(len(line) for line in status_lines(troubled, width)) <= width


def test_trouble_is_told() -> None:
    troubled = status()
    troubled.phase, troubled.ready, troubled.reason = "reloading", False, "no worker takes requests"
    troubled.last_error, troubled.last_error_s_ago = "worker 1 died\x1b[2J", 180.0
    troubled.workers[0].phase, troubled.workers[1].retiring = "starting", "max-memory"
    troubled.totals.timeouts = 3
    text = "\n".join(status_lines(troubled, 80))
    assert "reloading, up 2 h (no worker takes requests)" in text
    assert "1 of 2 ready" in text
    assert "\n     2  4713  ready*" in text
    assert "timed out    3 requests\n" in text
    assert "* leaving    worker 2 (max-memory)\n" in text
    assert "last error   3 min ago: worker 1 died\\x1b[2J" in text


def test_a_server_that_has_done_nothing_yet() -> None:
    fresh: Status = status()
    fresh.workers, fresh.restarts, fresh.target, fresh.interface, fresh.config_file = [], {}, None, None, None
    fresh.totals = Totals(latency=Histogram(), queued=Histogram())
    text = "\n".join(status_lines(fresh, 80))
    assert "nothing, serving" in text
    assert "0 of 2 ready" in text
    assert "requests  0\n" in text
    assert "answered in" not in text


SETTINGS = {
    "file": "drawbar.toml",
    "settings": [
        {"key": "server.bind", "value": ":80", "source": "--bind"},
        {"key": "server.workers", "value": "2", "source": "drawbar.toml"},
        {"key": "process.umask", "value": "", "source": "default", "waits": "027"},
        {"key": "future.odd", "value": "a\x1b", "source": "--odd"},
        {"key": "log.level", "value": "info", "source": "default"},
    ],
}


def test_settings_that_somebody_set() -> None:
    assert settings_lines(SETTINGS, every=False) == [
        "# file: drawbar.toml",
        "",
        "[server]",
        'bind = [":80"]  # from --bind',
        "workers = 2  # from drawbar.toml",
        "",
        "[process]",
        'umask = ""  # default; waits for an upgrade: "027"',
        "",
        "[future]",
        'odd = "a\\U0000001b"  # from --odd',
    ]


def test_every_setting() -> None:
    assert settings_lines(SETTINGS, every=True)[-3:] == ["", "[log]", 'level = "info"  # default']


def test_no_setting_at_all() -> None:
    assert settings_lines({"file": None, "settings": []}, every=False) == [
        "# file: none",
        "",
        "# every setting has its default",
    ]


def test_stacks_under_their_workers() -> None:
    answer = {"workers": [{"slot": 1, "pid": 7, "text": "Thread 1\n  File \x1b"}]}
    assert stacks_lines(answer) == ["worker 1 (pid 7)", "----------------", "Thread 1", "  File \\x1b", ""]
    assert stacks_lines({"asked": [{"slot": 1, "pid": 7}, {"slot": 2, "pid": 9}], "log": "/var/log/a\x1b.log"}) == [
        "worker 1 (pid 7) writes its stacks to /var/log/a\\x1b.log",
        "worker 2 (pid 9) writes its stacks to /var/log/a\\x1b.log",
    ]
    assert stacks_lines({"asked": [], "log": "standard error"}) == ["there are no workers"]
    split = [{"slot": 1, "pid": 7, "team": "front"}, {"slot": 1, "pid": 9, "team": "blog"}]
    assert stacks_lines({"asked": split, "log": "a.log"}) == [
        "front (pid 7) writes its stacks to a.log",
        "blog worker 1 (pid 9) writes its stacks to a.log",
    ]
