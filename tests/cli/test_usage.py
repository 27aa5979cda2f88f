"""What a command line that cannot be read is told."""

import click
import pytest
from click.testing import CliRunner

from drawbar.cli.commands import program
from drawbar.cli.usage import in_words, option_of_others, too_much


def told(*arguments: str) -> str:
    """The one line on standard error."""
    result = CliRunner().invoke(program, list(arguments))
    assert (result.exit_code, result.stdout) == (2, "")
    (line,) = result.stderr.splitlines()
    return line.removeprefix("drawbar: error: ")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ("run", "a:app", "b:app"),
            "b:app: the TARGET is a:app, and there is only one; write a table [apps.NAME] for each of several; "
            "see drawbar run --help",
        ),
        (
            ("serve", "a:app", "--threads", "4"),
            "--threads is no option of drawbar serve, which calls no application; drawbar run, drawbar dev, "
            "drawbar check, drawbar work have it; see drawbar serve --help",
        ),
        (
            ("run", "a:app", "--from", "http://a:1"),
            "--from is no option of drawbar run; drawbar work, drawbar check have it; see drawbar run --help",
        ),
        (("run", "--bind"), "Option '--bind' requires an argument; see drawbar run --help"),
        (("a:app",), "there is no command 'a:app'; write drawbar run a:app; see drawbar --help"),
        (("ctl", "a:app", "x"), "there is no command 'a:app'; commands are config, deploy, kill, "),
        (("ctl", "deplyo"), "there is no command 'deplyo'; did you mean drawbar ctl deploy?"),
        (("ctl", "logs", "open"), "there is no command 'open'; did you mean drawbar ctl logs reopen?"),
        (("--nothing", "run"), "No such option '--nothing'; see drawbar --help"),
        (
            ("ctl", "deploy", "--label", "v8"),
            "Missing argument 'APP'; write drawbar ctl deploy APP --label v8, where APP is the NAME of [apps.NAME] or "
            "of --app NAME=HOST/PREFIX, or app where one TARGET is served; see drawbar ctl deploy --help",
        ),
        (
            ("ctl", "deploy", "blog"),
            "Missing option '--label'; write drawbar ctl deploy blog --label TEXT; see drawbar ctl deploy --help",
        ),
        (("ctl", "kill"), "Missing argument 'PID'; write drawbar ctl kill PID; see drawbar ctl kill --help"),
    ],
)
def test_what_to_type_instead(arguments: tuple[str, ...], line: str) -> None:
    assert told(*arguments).startswith(line)


def test_an_option_that_no_command_has_is_left_to_the_parser() -> None:
    assert option_of_others("drawbar run", "--nothing") is None
    assert "Did you mean one of" in told("run", "--backlg", "4")


def test_a_flag_is_known_by_its_opposite() -> None:
    assert (option_of_others("drawbar serve", "--no-factory") or "").startswith("--no-factory is no option of")


def test_a_command_without_target_takes_nothing_but_options() -> None:
    assert too_much("drawbar check", None, ["a"]) == "a: drawbar check takes nothing but options"


def test_a_mistake_of_no_command_is_the_programs() -> None:
    assert in_words(click.UsageError("Wrong.")) == "Wrong; see drawbar --help"
