"""Settings written as TOML, and read back."""

import tomllib

import pytest

from drawbar.config.settings import SETTINGS
from drawbar.config.written import quoted, toml

KNOWN = {setting.key: setting for setting in SETTINGS}


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_a_default_is_read_back(setting: object) -> None:
    assert setting in SETTINGS
    known = KNOWN[setting.key]
    assert known.parse(tomllib.loads(f"key = {toml(known, known.default)}")["key"]) == known.default


@pytest.mark.parametrize(
    ("key", "text", "written"),
    [
        ("server.workers", "4", "4"),
        ("server.bind", ":80,unix:/run/a b.sock", '[":80", "unix:/run/a b.sock"]'),
        ("process.umask", "027", '"027"'),
        ("process.umask", "", '""'),
        ("lifecycle.preload", "yes", "true"),
        ("timeouts.head", "90", '"90s"'),
        ("app.target", 'odd"\\name:app', '"odd\\"\\\\name:app"'),
    ],
)
def test_a_value(key: str, text: str, written: str) -> None:
    setting = KNOWN[key]
    assert toml(setting, setting.parse(text)) == written
    assert setting.parse(tomllib.loads(f"key = {written}")["key"]) == setting.parse(text)


def test_text_cannot_end_its_string() -> None:
    odd = 'a"b\\c\nd\x1b\x7fé\u2028'
    assert tomllib.loads(f"key = {quoted(odd)}") == {"key": odd}
    assert quoted(odd).isprintable()
