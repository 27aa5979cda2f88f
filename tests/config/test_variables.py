"""Variables of an environment."""

from pathlib import Path

import pytest

from drawbar.config import Config, OperatorError
from drawbar.config.settings import SETTINGS
from drawbar.config.sources import load
from drawbar.config.variables import VARIABLE, Variable, merged, parse_variable

(SETTING,) = (setting for setting in SETTINGS if setting.key == "app.env")


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test starts in an empty directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def env(config: Config) -> dict[str, str]:
    return {variable.name: variable.value for variable in config.app.env}


@pytest.mark.parametrize("text", ["A=", "A=b", "A=b=c", "A=b,c d", "A=b\nc", "LANG=C.UTF-8"])
def test_what_is_written_comes_back(text: str) -> None:
    assert str(parse_variable(text)) == text
    assert SETTING.parse(SETTING.show((parse_variable(text),))) == (parse_variable(text),)


@pytest.mark.parametrize("raw", ["", "A", "=b", "A B=c", "A=\0", 7])
def test_what_sets_nothing_is_refused_with_the_form(raw: object) -> None:
    with pytest.raises(ValueError, match="sets no variable; write NAME=VALUE"):
        VARIABLE.parse(raw)


def test_a_table_a_list_and_a_text_say_the_same(directory: Path) -> None:
    expected = {"A": "one, two", "N": "3"}
    ways = ('[app.env]\nA = "one, two"\nN = 3', 'app.env = ["A=one, two", "N=3"]', "app.env = \"'A=one, two' N=3\"")
    for text in ways:
        (directory / "drawbar.toml").write_text(text)
        assert env(load({}, {}).config) == expected
    (directory / "drawbar.toml").unlink()
    assert env(load({}, {"DRAWBAR_ENV": "'A=one, two' N=3"}).config) == expected
    assert env(load({"app.env": ["A=one, two", "N=3"]}, {}).config) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[app.env]\nA = true", "drawbar.toml: app.env: A = True is no text; write what the variable shall hold in"),
        ("[app.env]\nA = [1]", "A = [1] is no text"),
        ("app.env = 3", "drawbar.toml: app.env: 3 is not a list"),
        ('app.env = "\'A=b"', "sets no variables (No closing quotation); write NAME=VALUE"),
    ],
)
def test_mistakes_are_told_with_their_place(directory: Path, text: str, message: str) -> None:
    (directory / "drawbar.toml").write_text(text)
    with pytest.raises(OperatorError) as raised:
        load({}, {})
    assert message in str(raised.value)


def test_an_application_has_the_general_ones_and_its_own_before_them(directory: Path) -> None:
    (directory / "drawbar.toml").write_text(
        '[app.env]\nA = "general"\nB = "general"\n[apps.blog]\nenv = { B = "own", C = "own" }\n'
    )
    config = load({}, {}).config
    assert env(config.for_app("blog")) == {"A": "general", "B": "own", "C": "own"}
    assert env(config) == {"A": "general", "B": "general"}


def test_the_last_of_a_name_counts() -> None:
    assert merged((Variable("A", "1"), Variable("A", "2")), ()) == (Variable("A", "2"),)
