"""`drawbar import`, as an operator meets it."""

from pathlib import Path

from click.testing import CliRunner, Result

from drawbar.cli.commands import program


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(program, ["import", *arguments])


def test_a_file_is_printed_as_toml(tmp_path: Path) -> None:
    (tmp_path / "puma.rb").write_text("workers 2\n")
    result = invoke(str(tmp_path / "puma.rb"))
    assert result.exit_code == 0
    assert "[server]\n" in result.stdout
    assert "workers = 2\n" in result.stdout


def test_a_command_line_stands_behind_two_dashes() -> None:
    assert "workers = 4\n" in invoke("--", "uvicorn", "--workers", "4", "a:app").stdout
    assert "workers = 4\n" in invoke("--from", "gunicorn", "--", "-w", "4", "--help", "a:app").stdout


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    for arguments in ([], [str(tmp_path / "none")], ["--from", "apache", "x"], ["--", "nginx"]):
        result = invoke(*arguments)
        assert result.exit_code == 2
        assert result.stdout == ""
        assert result.stderr.startswith("drawbar: error: ")
        assert result.stderr.count("\n") == 1
