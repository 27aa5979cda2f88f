"""The list of settings read off the types."""

from typing import Annotated

import pytest

from drawbar.config.settings import SETTINGS, Setting, sections, shape_of
from drawbar.config.tree import Config

BY_KEY = {setting.key: setting for setting in SETTINGS}
EACH = pytest.mark.parametrize("setting", SETTINGS, ids=[setting.key for setting in SETTINGS])


@EACH
def test_a_setting_describes_itself(setting: Setting) -> None:
    assert setting.description.endswith(".")
    assert setting.kind.metavar
    assert setting.kind.form
    assert (setting.least is None) == (setting.most is None)


@EACH
def test_a_default_reads_back(setting: Setting) -> None:
    assert setting.parse(setting.show(setting.default)) == setting.default


@EACH
def test_the_tree_holds_the_default(setting: Setting) -> None:
    assert getattr(getattr(Config(), setting.section), setting.field) == setting.default


def test_options_are_unique_in_each_command() -> None:
    for command in ("run", "dev", "check", "serve", "work"):
        its = {name for name, section in sections().items() if not section.COMMANDS or command in section.COMMANDS}
        options = [setting.option for setting in SETTINGS if setting.section in its]
        assert len(set(options)) == len(options)
        # `--config` and DRAWBAR_CONFIG name the file.
        assert "config" not in options


def test_variables_are_unique() -> None:
    assert len({setting.env for setting in SETTINGS}) == len(SETTINGS)


@pytest.mark.parametrize(
    ("key", "option", "env"),
    [
        ("server.bind", "bind", "DRAWBAR_BIND"),
        ("limits.head_bytes", "limit-head-bytes", "DRAWBAR_LIMIT_HEAD_BYTES"),
        ("timeouts.keepalive", "keepalive-timeout", "DRAWBAR_KEEPALIVE_TIMEOUT"),
        ("proxy.trusted", "trusted-proxies", "DRAWBAR_TRUSTED_PROXIES"),
        ("log.access", "access-log", "DRAWBAR_ACCESS_LOG"),
        ("websocket.ping_timeout", "websocket-ping-timeout", "DRAWBAR_WEBSOCKET_PING_TIMEOUT"),
    ],
)
def test_names(key: str, option: str, env: str) -> None:
    assert (BY_KEY[key].option, BY_KEY[key].env) == (option, env)


def test_bounds_are_inclusive() -> None:
    fields = BY_KEY["limits.fields"]
    assert [fields.parse(raw) for raw in (1, 256)] == [1, 256]
    for raw in (0, 257):
        with pytest.raises(ValueError, match=f"{raw} is out of range; write a value from 1 to 256"):
            fields.parse(raw)


def test_every_limit_that_refuses_says_so() -> None:
    silent = {setting.field for setting in SETTINGS if setting.section == "limits" and not setting.past}
    assert silent == {"output_low_bytes"}


def test_lists_are_arrays_or_comma_separated() -> None:
    bind = BY_KEY["server.bind"]
    assert bind.parse([":80", ":81"]) == bind.parse(":80, :81,") == bind.parse(":80,:81")
    with pytest.raises(ValueError, match=r'8000 is not a list; write one such as \["127.0.0.1:8000"\]'):
        bind.parse(8000)
    with pytest.raises(ValueError, match=r"3 is not a list; write one in \[\]"):
        BY_KEY["proxy.trusted"].parse(3)


def test_empty_text_unsets_what_may_be_unset() -> None:
    assert BY_KEY["server.unix_mode"].parse("") is None
    assert BY_KEY["server.server_header"].parse("") == ""
    with pytest.raises(ValueError, match="is not a duration"):
        BY_KEY["timeouts.head"].parse("")


def test_a_type_without_a_kind_is_refused() -> None:
    with pytest.raises(TypeError, match="name one in its Annotated"):
        shape_of(Annotated[bytes, "unknown"])
