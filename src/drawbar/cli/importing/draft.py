"""A drawbar.toml in the making: settings taken over, and remarks on those that are not.

Values are checked as they come in, by the configuration itself; one that is refused becomes a remark. Pure: what was
read goes in, text comes out.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from drawbar.config.settings import SETTINGS, Setting, sections
from drawbar.config.sources import Effective, Origin, all_conflicts, build
from drawbar.config.written import toml

SHOWN_CHARACTERS: Final = 60
"""Of a value in a remark; the rest is left out."""

_KNOWN: Final = {setting.key: setting for setting in SETTINGS}


class Said(NamedTuple):
    """A setting as it was found. `server` is whose it is, `name` as an operator wrote it."""

    server: str
    name: str
    value: Any

    def __str__(self) -> str:
        bare = self.name.startswith("-") and (self.value is False or self.value == "")
        if self.value is True or self.value is None or bare:
            return self.name
        text = ", ".join(map(str, self.value)) if type(self.value) in (list, tuple) else str(self.value)
        text = " ".join(text.split())
        shown = text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "..."
        return f"{self.name} {shown}" if self.name.startswith("-") else f"{self.name} = {shown}"


class Verdict(enum.Enum):
    """Under which heading a remark stands, in this order."""

    DIFFERENT = "Taken over, but it works differently:"
    MISSING = "No counterpart:"
    NEEDLESS = "Not needed any more:"
    UNKNOWN = "Not understood:"


class To(NamedTuple):
    """Becomes the setting `key`. `convert` turns the value into one of ours; ValueError says why it cannot be."""

    key: str
    convert: Callable[[Any], Any] | None = None
    differs: str = ""


class Needless(NamedTuple):
    """Has no use here; `why` says what does its work."""

    why: str


class Missing(NamedTuple):
    """Has no counterpart; `instead` says what to do."""

    instead: str


class Off(NamedTuple):
    """A switch: left off it changes nothing, turned on `rule` says what becomes of it."""

    rule: To | Needless | Missing


Rule = To | Needless | Missing | Off | Callable[["Draft", Said], None]
Rules = Mapping[str, Rule]


class Draft:
    """What is known so far. A setting that is said again replaces what was said before."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        """Key -> the value as the configuration has it."""
        self.asides: dict[str, str] = {}
        """Key -> why it is set though nobody said it."""
        self.files: list[str] = []
        """What was read."""
        self._remarks: dict[Verdict, dict[str, str]] = {verdict: {} for verdict in Verdict}
        self._sayings: dict[str, Said] = {}

    def apply(self, rules: Rules, name: str, said: Said) -> None:
        """Does with a setting what the table says about `name`, or calls it not understood."""
        rule = rules.get(name)
        if rule is None:
            self.remark(Verdict.UNKNOWN, said, f"no setting of {said.server}'s is called so")
        elif isinstance(rule, Off):
            if said.value not in (False, 0, None, "", "0", "false", "off", "no"):
                self.apply({name: rule.rule}, name, said)
        elif isinstance(rule, To):
            self.put(rule.key, said, rule.convert, rule.differs)
        elif isinstance(rule, Needless):
            self.remark(Verdict.NEEDLESS, said, rule.why)
        elif isinstance(rule, Missing):
            self.remark(Verdict.MISSING, said, rule.instead)
        else:
            rule(self, said)

    def put(self, key: str, said: Said, convert: Callable[[Any], Any] | None = None, differs: str = "") -> None:
        """Takes a value over as the setting `key`, unless the configuration would refuse it."""
        setting = _KNOWN[key]
        if _has_variable(said.value):
            how = f"--{setting.option} or {setting.env}"
            self.remark(Verdict.MISSING, said, f"drawbar.toml has no variables: give it to Drawbar with {how}")
            return
        try:
            raw = convert(said.value) if convert else said.value
            value = setting.parse(list(raw) if isinstance(raw, tuple) else raw)
        except (ValueError, TypeError) as error:
            self.remark(Verdict.MISSING, said, f"not for {key}: {error}")
            return
        self.values[key] = value
        self.asides.pop(key, None)
        self._sayings[key] = said
        if differs:
            self.remark(Verdict.DIFFERENT, said, f"{key}: {differs}")

    def imply(self, key: str, raw: object, why: str) -> None:
        """Sets what the other server does unasked, unless something was said about it."""
        if key not in self.values:
            self.values[key] = _KNOWN[key].parse(raw)
            self.asides[key] = why

    def remark(self, verdict: Verdict, said: Said | str, words: str) -> None:
        """A line at the end; the last one about a setting counts."""
        for remarks in self._remarks.values():
            remarks.pop(str(said), None)
        self._remarks[verdict][str(said)] = words

    def resolve_conflicts(self) -> None:
        """Takes back what contradicts another setting, so that the file is valid."""
        while conflict := next(all_conflicts(build(self._effective())), None):
            keys, why = conflict
            # What nobody said gives way first.
            key = min((key for key in keys if key in self.values), key=lambda key: key not in self.asides)
            del self.values[key]
            self.remark(Verdict.MISSING, self._sayings.pop(key, key), f"not with the rest, for {why}")

    def render(self) -> str:
        """The file."""
        self.resolve_conflicts()
        lines = [f"# Written by `drawbar import` from {', '.join(self.files)}."]
        for section in sections():
            settings = [setting for setting in SETTINGS if setting.section == section and setting.key in self.values]
            if settings:
                lines += ["", f"[{section}]", *map(self._line, settings)]
        for verdict, remarks in self._remarks.items():
            if remarks:
                lines += ["", f"# {verdict.value}", *(f"#   {what}: {words}" for what, words in remarks.items())]
        return "\n".join(map(_printable, lines)) + "\n"

    def _line(self, setting: Setting) -> str:
        aside = self.asides.get(setting.key)
        line = f"{setting.field} = {toml(setting, self.values[setting.key])}"
        return line + (f"  # {aside}" if aside else "")

    def _effective(self) -> tuple[Effective, ...]:
        return tuple(
            Effective(setting, self.values.get(setting.key, setting.default), Origin.DEFAULT, "")
            for setting in SETTINGS
        )


def _has_variable(value: object) -> bool:
    """Whether a shell would have put something in."""
    return any(isinstance(part, str) and "$" in part for part in (value if isinstance(value, list) else [value]))


def _printable(line: str) -> str:
    """A line that nothing in it can end."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in line
    )
