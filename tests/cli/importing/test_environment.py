"""Variables of an environment, from every server that gives its workers some."""

from pathlib import Path

import pytest

from drawbar.cli.importing import translate
from tests.cli.importing.imported import Imported, from_file, from_line


def variables(done: Imported) -> list[str]:
    return [str(variable) for variable in done.config.app.env]


def test_gunicorns_file(tmp_path: Path) -> None:
    done = from_file(tmp_path / "gunicorn.conf.py", "raw_env = ['A=1', 'B=x, y=z', 'A=2']\nbacklog = 10\n")
    assert variables(done) == ["B=x, y=z", "A=2"]
    assert done.missing == []


def test_gunicorns_command_line_goes_before_what_stands_before_it(tmp_path: Path) -> None:
    done = from_line(["A=0", "C=3", "gunicorn", "-e", "A=1", "--env", "B=2", "a:b"], tmp_path)
    assert variables(done) == ["C=3", "A=1", "B=2"]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [("env = LANG=C.UTF-8\n", ["LANG=C.UTF-8"]), ("base = /a\nenv = A=%(base)/b\nenv = B=\n", ["A=/a/b", "B="])],
)
def test_uwsgis_file(tmp_path: Path, lines: str, expected: list[str]) -> None:
    assert variables(from_file(tmp_path / "uwsgi.ini", f"[uwsgi]\n{lines}")) == expected


@pytest.mark.parametrize("line", ["puma -e production", "unicorn -E production", "thin start -e production"])
def test_what_ruby_calls_an_environment(tmp_path: Path, line: str) -> None:
    done = from_line(line, tmp_path)
    assert variables(done) == ["RACK_ENV=production"]
    assert any("it stands in RACK_ENV; name the variable" in remark for remark in done.different)


def test_a_procfiles(tmp_path: Path) -> None:
    path = tmp_path / "Procfile"
    path.write_text("web: MODE=live gunicorn a:b\n")
    assert variables(Imported(translate([str(path)]), tmp_path)) == ["MODE=live"]


def test_what_is_no_variable_is_told_and_the_others_are_taken(tmp_path: Path) -> None:
    done = from_file(tmp_path / "gunicorn.conf.py", "raw_env = ['A', 'B=2', 3]\n")
    assert variables(done) == ["B=2"]
    assert [line.partition(":")[0] for line in done.missing] == ["raw_env = A", "raw_env = 3"]


def test_what_a_shell_would_put_in_is_told(tmp_path: Path) -> None:
    done = from_line(["gunicorn", "-e", "A=$HOME", "-e", "B=2"], tmp_path)
    assert variables(done) == ["B=2"]
    assert done.missing == ["-e A=$HOME: drawbar.toml has no variables: give it to Drawbar with --env or DRAWBAR_ENV"]


@pytest.mark.parametrize("name", ["PYTHONPATH", "LD_PRELOAD", "DRAWBAR_WORKERS"])
def test_what_is_read_before_python_starts_is_told(tmp_path: Path, name: str) -> None:
    done = from_line([f"{name}=a", "gunicorn", "a:b"], tmp_path)
    assert variables(done) == []
    assert done.missing == [f"{name} = a: it is read when a program starts: set it where Drawbar is started"]


def test_a_file_of_variables_is_told(tmp_path: Path) -> None:
    done = from_line("uvicorn --env-file .env a:b", tmp_path)
    assert done.missing[0].startswith("--env-file .env: what is in it may be secret")
