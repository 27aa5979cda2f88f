"""Options made from settings, and the help they give."""

import click
import pytest
from click.testing import CliRunner

from drawbar.cli.commands import program
from drawbar.cli.options import ARGUMENTS, ConfigCommand, SettingOption, default_of, describe, given_options
from drawbar.config.settings import SETTINGS, Setting, sections

OPTIONS = [setting for setting in SETTINGS if setting.key not in ARGUMENTS]
BY_KEY = {setting.key: setting for setting in SETTINGS}


def parse(*arguments: str, command: str = "run") -> dict[str, object]:
    """What a command takes these arguments for."""
    return given_options(ConfigCommand(command).make_context(command, list(arguments)))


def test_nothing_given() -> None:
    assert parse() == {}


def test_an_option_that_may_be_repeated() -> None:
    assert parse("--bind", ":80", "--bind", "unix:/a,:81") == {"server.bind": ":80,unix:/a,:81"}


def test_variables_may_have_commas_and_blanks() -> None:
    given = parse("--env", "A=b, c", "--env", "D='e'")
    assert given == {"app.env": ["A=b, c", "D='e'"]}
    assert [str(variable) for variable in BY_KEY["app.env"].parse(given["app.env"])] == ["A=b, c", "D='e'"]


def test_the_last_of_others_counts() -> None:
    assert parse("--workers", "2", "--workers=3") == {"server.workers": "3"}


def test_flags_and_their_opposites() -> None:
    assert parse("--reload", "--no-websocket-compression") == {"server.reload": True, "websocket.compression": False}


def test_an_empty_value_is_given() -> None:
    assert parse("--server-header", "", "--trusted-proxies", "") == {"server.server_header": "", "proxy.trusted": ""}


@pytest.mark.parametrize("setting", OPTIONS, ids=[setting.key for setting in OPTIONS])
def test_every_setting_has_an_option(setting: Setting) -> None:
    arguments = [f"--{setting.option}"] if setting.is_flag else [f"--{setting.option}", setting.show(setting.default)]
    given = parse(*arguments, command=(sections()[setting.section].COMMANDS or ("run",))[0])
    assert list(given) == [setting.key]
    assert setting.is_flag or setting.parse(given[setting.key]) == setting.default


def described(key: str) -> str:
    """A setting as `run` tells of it."""
    return describe(BY_KEY[key], default_of(BY_KEY[key], "run"))


def test_a_description_says_what_else_to_know() -> None:
    assert described("limits.fields") == (
        "Header fields of a request, and trailer fields of a body. Past it: 431, and the connection is closed. "
        "[from 1 to 256; default: 100]"
    )
    assert described("app.chdir") == "Directory to change to before the application is imported."
    assert "Takes one of forwarded, x-forwarded-for," in described("proxy.headers")


@pytest.mark.parametrize("command", ["run", "dev", "check", "serve", "work"])
def test_help_shows_every_option_in_its_section_within_its_columns(command: str) -> None:
    result = CliRunner().invoke(program, [command, "--help"], terminal_width=None, env={"COLUMNS": "200"})
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    heads = [line for line in lines if line.startswith("[")]
    its = [name for name, section in sections().items() if not section.COMMANDS or command in section.COMMANDS]
    assert [head.split("]")[0][1:] for head in heads] == its
    assert "queue" in its if command == "serve" else "app" in its
    for setting in (setting for setting in OPTIONS if setting.section in its):
        (line,) = [line for line in lines if line.lstrip().startswith((f"--{setting.option} ", f"--{setting.option}/"))]
        above = [head for head in lines[: lines.index(line)] if head in heads]
        assert above[-1].startswith(f"[{setting.section}]")


def test_an_option_knows_its_setting() -> None:
    (option,) = [
        param
        for param in ConfigCommand("run").params
        if isinstance(param, SettingOption) and param.setting.key == "app.threads"
    ]
    record = option.get_help_record(click.Context(ConfigCommand("run")))
    assert record[0] == "--threads N|MIN:MAX"
    assert record[1].endswith("[default: 1:8]")


@pytest.mark.parametrize(
    ("command", "option", "default"),
    [("serve", "bind", "0.0.0.0:8080"), ("serve", "api", "127.0.0.1:4242"), ("run", "bind", "127.0.0.1:8000")],
)
def test_help_shows_the_default_of_its_command(command: str, option: str, default: str) -> None:
    command_of = ConfigCommand(command)
    context = click.Context(command_of)
    (said,) = [
        param.get_help_record(context)[1]
        for param in command_of.params
        if isinstance(param, SettingOption) and param.setting.option == option
    ]
    assert said.endswith(f"[default: {default}]")
