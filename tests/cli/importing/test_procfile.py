"""Procfile, and a server's command line out of a shell's."""

from pathlib import Path

import pytest

from drawbar.cli.importing.procfile import find_command
from drawbar.config import OperatorError
from tests.cli.importing.imported import from_file

SERVERS = ["gunicorn", "puma"]


@pytest.mark.parametrize(
    ("text", "wrapper"),
    [
        ("gunicorn -w 4", []),
        ("exec gunicorn -w 4", []),
        ("/venv/bin/gunicorn -w 4", []),
        ("python -m gunicorn -w 4", []),
        ("uv run gunicorn -w 4", []),
        ("env A=1 B='x y' gunicorn -w 4", []),
        ("newrelic-admin run-program gunicorn -w 4", ["newrelic-admin", "run-program"]),
        ("cd site && gunicorn -w 4", []),
        ("gunicorn -w 4 > log 2>&1", []),
    ],
)
def test_a_server_is_found_behind_what_starts_it(text: str, wrapper: list[str]) -> None:
    command = find_command(text, SERVERS, "here")
    assert command is not None
    assert (command.server, command.words, command.wrapper) == ("gunicorn", ["-w", "4"], wrapper)


def test_the_shells_part_is_kept() -> None:
    command = find_command("cd site && A=1 B='x y' gunicorn a:app | tee log", SERVERS, "here")
    assert command is not None
    assert command.directory == "site"
    assert command.environment == {"A": "1", "B": "x y"}
    assert command.rest == ["|", "tee", "log"]


def test_other_commands_are_none() -> None:
    assert find_command("celery -A shop worker", SERVERS, "here") is None


def test_an_open_quote_is_the_operators() -> None:
    with pytest.raises(OperatorError, match="here: cannot be read: No closing quotation; close the quotes"):
        find_command("gunicorn 'a", SERVERS, "here")


def test_a_whole_file(tmp_path: Path) -> None:
    (tmp_path / "gunicorn.conf.py").write_text("backlog = 100\nworkers = 9\n")
    done = from_file(
        tmp_path / "Procfile",
        "# what runs\nrelease: python manage.py migrate\n"
        "web: DEBUG=0 gunicorn shop.wsgi -b 0.0.0.0:$PORT -w 4 --log-file -\n"
        "worker: celery -A shop worker\n",
    )
    assert done.settings == {
        "server.backlog": "100",
        "server.workers": "4",
        "app.target": "shop.wsgi",
        "app.env": "DEBUG=0",
        "app.threads": "1",
        "log.error": "-",
    }
    assert [line.split(":")[0] for line in done.missing] == ["release", "worker", "-b 0.0.0.0"]
    assert "give it to Drawbar with --bind or DRAWBAR_BIND" in done.missing[-1]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("", "has no process"),
        ("worker: celery\n", "has no web process"),
        ("web: nginx\n", "no server of these is started by: nginx"),
        ("no colon here\n", "line 1 is no process: no colon here"),
    ],
)
def test_mistakes_are_the_operators(tmp_path: Path, content: str, what: str) -> None:
    with pytest.raises(OperatorError, match=what):
        from_file(tmp_path / "Procfile", content)
