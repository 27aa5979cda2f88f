"""What the rules and the manual say of settings: each key they name must be one."""

import re
from pathlib import Path

import pytest

from drawbar.cli.importing.asgi_servers import GRANIAN_RULES, HYPERCORN_RULES, UVICORN_RULES
from drawbar.cli.importing.draft import Missing, Needless, Off, Rule, To
from drawbar.cli.importing.gunicorn import RULES as GUNICORN_RULES
from drawbar.cli.importing.puma import PUMA_RULES
from drawbar.cli.importing.thin import THIN_RULES
from drawbar.cli.importing.unicorn import LISTEN_RULES, UNICORN_RULES
from drawbar.cli.importing.uwsgi import RULES as UWSGI_RULES
from drawbar.cli.importing.words import address, application, level, octal
from drawbar.config.settings import SETTINGS, sections

DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGES = ["signals.md", "importing.md", "from-gunicorn.md", "from-uvicorn.md", "from-puma-and-unicorn.md"]
KEYS = {setting.key for setting in SETTINGS}
OPTIONS = {setting.option for setting in SETTINGS}
KEY = re.compile(rf"\b((?:{'|'.join(sections())})\.[a-z0-9_]+)")
TABLES: dict[str, dict[str, Rule]] = {
    "gunicorn": GUNICORN_RULES,
    "uvicorn": UVICORN_RULES,
    "hypercorn": HYPERCORN_RULES,
    "granian": GRANIAN_RULES,
    "uwsgi": UWSGI_RULES,
    "puma": PUMA_RULES,
    "unicorn": UNICORN_RULES,
    "listen": LISTEN_RULES,
    "thin": THIN_RULES,
}
# Pages that look like keys.
NO_KEYS = {"control.md"}


def text_of(rule: Rule) -> str:
    """All that a rule says."""
    if isinstance(rule, Off):
        return text_of(rule.rule)
    if isinstance(rule, To):
        return f"{rule.key} {rule.differs}"
    if isinstance(rule, Needless):
        return rule.why
    return rule.instead if isinstance(rule, Missing) else ""


@pytest.mark.parametrize("table", TABLES)
def test_rules_name_settings_that_exist(table: str) -> None:
    named = {key for rule in TABLES[table].values() for key in KEY.findall(text_of(rule))}
    assert named <= KEYS
    assert named


@pytest.mark.parametrize("page", PAGES)
def test_the_manual_names_settings_that_exist(page: str) -> None:
    text = (DOCS / page).read_text()
    assert set(KEY.findall(text)) - NO_KEYS <= KEYS


def test_the_manual_names_options_that_exist() -> None:
    rows = re.findall(r"^\|[^|]*\| ([^|]*) \|", (DOCS / "from-uvicorn.md").read_text(), re.MULTILINE)
    options = {option for row in rows for option in re.findall(r"--([a-z-]+)", row)}
    assert options <= OPTIONS
    assert len(options) > 20


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8000", "127.0.0.1:8000"),
        ("host", "host:80"),
        ("host:9", "host:9"),
        (":9", ":9"),
        ("::1", "[::1]:80"),
        ("[::1]", "[::1]:80"),
        ("[::1]:9", "[::1]:9"),
        ("tcp://0.0.0.0:9/", "0.0.0.0:9"),
        ("http://0.0.0.0:9", "0.0.0.0:9"),
        ("unix:/a", "unix:/a"),
        ("unix:///a", "unix:/a"),
        ("/a", "unix:/a"),
        ("@a", "unix:@a"),
        ("fd://3", "fd://3"),
    ],
)
def test_addresses_in_all_their_spellings(text: str, expected: str) -> None:
    assert address(text, port=80) == expected


@pytest.mark.parametrize(("value", "expected"), [(0o22, "022"), ("22", "022"), ("0o22", "0o22"), ("0660", "0660")])
def test_modes(value: object, expected: str) -> None:
    assert octal(value) == expected


def test_levels_have_neighbours() -> None:
    assert [level(name) for name in ("CRITICAL", "trace", "info")] == ["error", "debug", "info"]


def test_an_application_is_the_argument_of_most() -> None:
    assert GUNICORN_RULES["wsgi_app"] is application
