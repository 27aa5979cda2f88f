"""uWSGI: uwsgi.ini and its command line."""

from pathlib import Path

import pytest

from drawbar.config import OperatorError
from tests.cli.importing.imported import from_file, from_line


def test_a_whole_file(tmp_path: Path) -> None:
    done = from_file(
        tmp_path / "uwsgi.ini",
        "[other]\nprocesses = 9\n[uwsgi]\n"
        "; a comment\n# another\n"
        "base = /srv/shop\n"
        "chdir = %(base)/src\n"
        "module = shop.wsgi\n"
        "master = true\n"
        "processes = 5\n"
        "threads = 2\n"
        "http-socket = :8080\n"
        "http-socket = 127.0.0.1:8081\n"
        "chmod-socket = 664\n"
        "harakiri = 30\n"
        "reload-on-rss = 200\n"
        "vacuum\n"
        "disable-logging = true\n"
        "static-map = /static=/srv/static\n"
        "foo-bar = 3\n",
    )
    assert done.settings == {
        "server.bind": ":8080,127.0.0.1:8081",
        "server.unix_mode": "0664",
        "server.workers": "5",
        "app.target": "shop.wsgi:application",
        "app.chdir": "/srv/shop/src",
        "app.threads": "1:2",
        "lifecycle.max_memory": "200m",
        "timeouts.request": "30s",
        "log.access": "off",
    }
    assert done.needless == ["master = true: it is always so", "vacuum = true: it is always so"]
    assert [line.split(":")[0] for line in done.missing] == ["static-map = /static=/srv/static"]
    assert [line.split(":")[0] for line in done.unknown] == ["foo-bar = 3"]


def test_a_socket_speaks_http_now(tmp_path: Path) -> None:
    done = from_file(tmp_path / "shop.ini", "[uwsgi]\nsocket = /run/%n.sock\nwsgi-file = app.py\n", "uwsgi")
    assert done.settings == {
        "server.bind": "unix:/run/shop.sock",
        "app.target": "app.py:application",
        "app.threads": "1",
        "log.access": "-",
    }
    assert done.different == [
        "socket = /run/shop.sock: server.bind: Drawbar speaks HTTP there: change uwsgi_pass to proxy_pass in nginx"
    ]


def test_a_socket_beside_an_address_is_told(tmp_path: Path) -> None:
    done = from_file(tmp_path / "uwsgi.ini", "[uwsgi]\nhttp = :80\nsocket = /run/a\n")
    assert done.settings["server.bind"] == ":80"
    assert done.missing[0].startswith("socket = /run/a: Drawbar speaks HTTP")


def test_names_may_mean_themselves(tmp_path: Path) -> None:
    assert from_file(tmp_path / "uwsgi.ini", "[uwsgi]\nchdir = %(chdir)/a\n").config.app.chdir is not None


def test_daemonize_names_the_log(tmp_path: Path) -> None:
    done = from_file(tmp_path / "uwsgi.ini", "[uwsgi]\ndaemonize = /var/log/a.log\n")
    assert (done.config.process.daemonize, done.config.log.error) == (True, "/var/log/a.log")


def test_the_command_line_and_the_file_it_names(tmp_path: Path) -> None:
    (tmp_path / "a.ini").write_text("[uwsgi]\nprocesses = 2\nlisten = 50\n")
    done = from_line(["uwsgi", "--ini", str(tmp_path / "a.ini"), "-p", "3", "--master", "-w", "a:app"], tmp_path)
    assert done.settings["server.workers"] == "3"
    assert done.settings["server.backlog"] == "50"
    assert done.settings["app.target"] == "a:app"


def test_a_line_that_is_no_setting_is_the_operators(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match=r"uwsgi\.ini: line 2 is no setting: <uwsgi/>; write name = value"):
        from_file(tmp_path / "uwsgi.ini", "[uwsgi]\n<uwsgi/>\n")
