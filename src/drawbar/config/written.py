"""Settings as drawbar.toml has them. Pure.

Invariant: what is written here, the configuration reads as the same value.
"""

from typing import Any

from drawbar.config.settings import Setting


def toml(setting: Setting, value: Any) -> str:
    """The value as the file has it; "" for one that is not set."""
    if value is None:
        return '""'
    if setting.many:
        return f"[{', '.join(_literal(setting, part) for part in value)}]"
    return _literal(setting, value)


def quoted(text: str) -> str:
    """A TOML string that nothing in it can end."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(letter if letter.isprintable() else f"\\U{ord(letter):08x}" for letter in escaped) + '"'


def _literal(setting: Setting, value: Any) -> str:
    text = setting.kind.show(value)
    if setting.is_flag or (text.isdigit() and _reads_as(setting, int(text), value)):
        return text
    return quoted(text)


def _reads_as(setting: Setting, raw: object, value: object) -> bool:
    """Whether `raw` in the file means `value`: of text and octal digits it does not."""
    try:
        return bool(setting.kind.parse(raw) == value)
    except ValueError:
        return False
