"""uvicorn, hypercorn, granian: command lines, and hypercorn's files."""

from pathlib import Path

import pytest

from drawbar.cli.importing.asgi_servers import (
    GRANIAN_FLAGS,
    GRANIAN_RULES,
    HYPERCORN_FLAGS,
    HYPERCORN_RULES,
    UVICORN_FLAGS,
    UVICORN_RULES,
)
from drawbar.cli.importing.draft import Rule
from drawbar.cli.importing.flags import Flag
from drawbar.config import OperatorError
from tests.cli.importing.imported import from_file, from_line


@pytest.mark.parametrize(
    ("flags", "rules"),
    [(UVICORN_FLAGS, UVICORN_RULES), (HYPERCORN_FLAGS, HYPERCORN_RULES), (GRANIAN_FLAGS, GRANIAN_RULES)],
)
def test_every_option_has_a_rule(flags: dict[str, Flag], rules: dict[str, Rule]) -> None:
    assert {flag.name for flag in flags.values()} <= set(rules)


def test_uvicorn(tmp_path: Path) -> None:
    line = "uvicorn a:app --host 0.0.0.0 --workers 2 --loop uvloop --limit-concurrency 10 --no-server-header --ws auto"
    done = from_line([*line.split(), "--timeout-keep-alive", "9", "--log-level", "trace"], tmp_path)
    assert done.settings == {
        "server.bind": "0.0.0.0:8000",
        "server.workers": "2",
        "server.server_header": "",
        "app.target": "a:app",
        "app.loop": "uvloop",
        "app.max_concurrency": "10",
        "timeouts.keepalive": "9s",
        "proxy.trusted": "127.0.0.1",
        "log.level": "debug",
        "log.access": "-",
    }
    assert done.different == [
        "--limit-concurrency 10: app.max_concurrency: requests past it wait in the worker "
        "instead of being refused with 503"
    ]
    assert [line.split(":")[0] for line in done.needless] == ["--ws auto"]


def test_uvicorn_may_be_told_to_log_nothing_and_believe_nobody(tmp_path: Path) -> None:
    done = from_line("uvicorn a:app --no-access-log --no-proxy-headers --uds /run/a", tmp_path)
    assert done.settings == {"server.bind": "unix:/run/a", "app.target": "a:app", "log.access": "off"}


def test_hypercorn(tmp_path: Path) -> None:
    done = from_line("hypercorn -b [::1]:9 -b unix:/run/a -k trio -w 2 -g 33 a:app", tmp_path)
    assert done.settings == {
        "server.bind": "[::1]:9,unix:/run/a",
        "server.workers": "2",
        "server.unix_owner": ":33",
        "app.target": "a:app",
    }
    assert done.missing == ["-k trio: applications run on asyncio or uvloop"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("hypercorn.toml", 'bind = "0.0.0.0:80"\nkeep_alive_timeout = 7\n'),
        ("hypercorn.py", 'bind = ["0.0.0.0:80"]\nkeep_alive_timeout = 7\n'),
    ],
)
def test_hypercorns_files(tmp_path: Path, name: str, content: str) -> None:
    done = from_file(tmp_path / name, content)
    assert done.settings == {"server.bind": "0.0.0.0:80", "timeouts.keepalive": "7s"}


def test_granian(tmp_path: Path) -> None:
    line = "granian --interface asginl a:app --workers-max-rss 300 --http1-header-read-timeout 500 --metrics --no-ws"
    done = from_line([*line.split(), "--uds", "/run/a", "--uds-permissions", "660"], tmp_path)
    assert done.settings == {
        "server.bind": "unix:/run/a",
        "server.unix_mode": "0660",
        "app.target": "a:app",
        "app.interface": "asgi",
        "lifecycle.max_memory": "300m",
        "timeouts.head": "0.5s",
        "control.metrics_bind": "127.0.0.1:9090",
    }
    assert [line.split(":")[0] for line in done.needless] == ["--no-ws"]


def test_granians_own_interface_is_not_served(tmp_path: Path) -> None:
    done = from_line("granian --interface rsgi a:app", tmp_path)
    assert "RSGI applications are not served" in done.missing[0]


def test_granian_calls_wsgi_in_one_thread_unasked(tmp_path: Path) -> None:
    assert from_line("granian --interface wsgi a:app", tmp_path).settings["app.threads"] == "1"
    done = from_line("granian --interface wsgi --blocking-threads 4 a:app", tmp_path)
    assert done.settings["app.threads"] == "1:4"


def test_servers_without_a_file_say_so(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="uvicorn has no configuration file"):
        from_file(tmp_path / "x", "", "uvicorn")
