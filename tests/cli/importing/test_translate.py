"""Which reader for which file, and what goes before what."""

from pathlib import Path

import pytest

from drawbar.cli.importing import KINDS, translate
from drawbar.cli.importing.translate import kind_of
from drawbar.config import OperatorError


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("gunicorn.conf.py", "", "gunicorn"),
        ("my_gunicorn_prod.py", "", "gunicorn"),
        ("Procfile", "", "procfile"),
        ("Procfile.prod", "", "procfile"),
        ("uwsgi.ini", "", "uwsgi"),
        ("puma.rb", "", "puma"),
        ("unicorn.conf.rb", "", "unicorn"),
        ("thin.yaml", "", "thin"),
        ("hypercorn.toml", "", "hypercorn"),
        ("site.ini", "# x\n[uwsgi]\n", "uwsgi"),
        ("site.rb", "worker_processes 4\n", "unicorn"),
        ("production.rb", "threads 1, 5\n", "puma"),
        ("conf.py", "import os\nbind = ':80'\n", "gunicorn"),
        ("site.yml", "max_conns: 3\n", "thin"),
        ("procs", "web: gunicorn\n", "procfile"),
    ],
)
def test_a_file_is_known_by_its_name_else_its_content(tmp_path: Path, name: str, content: str, kind: str) -> None:
    (tmp_path / name).write_text(content)
    assert kind_of(str(tmp_path / name)) == kind


def test_a_file_that_is_not_known_must_be_named(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("hello")
    with pytest.raises(OperatorError, match="it is not plain whose settings these are; say --from gunicorn"):
        translate([str(tmp_path / "x")])


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_is_not_there_is_the_operators(tmp_path: Path, kind: str) -> None:
    with pytest.raises(OperatorError):
        translate([str(tmp_path / "none")], kind=kind)


@pytest.mark.parametrize("kind", ["gunicorn", "uwsgi", "puma", "unicorn", "thin", "procfile", "hypercorn"])
def test_a_file_of_bytes_is_the_operators(tmp_path: Path, kind: str) -> None:
    (tmp_path / "x").write_bytes(b"\xff\xfe\x00web: \x80")
    with pytest.raises(OperatorError) as raised:
        translate([str(tmp_path / "x")], kind=kind)
    assert "\n" not in str(raised.value)


def test_files_of_several_servers_make_one(tmp_path: Path) -> None:
    (tmp_path / "puma.rb").write_text("workers 2\npidfile '/a'\n")
    (tmp_path / "unicorn.rb").write_text("worker_processes 3\n")
    text = translate([str(tmp_path / "puma.rb"), str(tmp_path / "unicorn.rb")])
    assert "workers = 3\n" in text
    assert 'pid_file = "/a"\n' in text


def test_a_command_line_needs_no_name_behind_from() -> None:
    assert 'target = "a:app"' in translate([], ["-w", "2", "a:app"], "gunicorn")


def test_a_command_line_of_nobody_is_the_operators() -> None:
    with pytest.raises(OperatorError, match="no server of these is started by it; begin with gunicorn"):
        translate([], ["nginx", "-c", "x"])


def test_a_module_named_as_file_is_told() -> None:
    assert "import the module's file" in translate([], ["gunicorn", "-c", "python:a.conf", "a:app"])
