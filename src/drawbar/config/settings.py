"""The tree as a list of settings, read off its types.

The one place that looks at annotations. TOML, environment, command line and manual walk `SETTINGS`, so a new field of a
section is a setting everywhere at once. Names follow from the field: the key `timeouts.head` is `--head-timeout` and
DRAWBAR_HEAD_TIMEOUT. Invariants: options are unique among those of a command, variables among all.
"""

import types
import typing
from typing import Annotated, Any, Literal

import msgspec

from drawbar.config.app_table import AppTable
from drawbar.config.kinds import BOOLEAN, INTEGER, TEXT, Hint, Kind, choice
from drawbar.config.section import Section
from drawbar.config.tree import Config

PLAIN_KINDS: dict[Any, Kind] = {bool: BOOLEAN, int: INTEGER, str: TEXT}


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One leaf of the tree.

    `many` settings hold a tuple of what `kind` parses; `optional` ones are unset by empty text. `least` and `most` are
    inclusive bounds; a setting has both or neither.
    """

    section: str
    field: str
    kind: Kind
    many: bool
    optional: bool
    default: Any
    description: str
    least: float | None
    most: float | None
    option: str
    past: str
    fallback: str
    variable: str

    @property
    def key(self) -> str:
        """Its path in drawbar.toml: "server.bind"."""
        return f"{self.section}.{self.field}"

    @property
    def env(self) -> str:
        """Its environment variable: the option's name in capitals."""
        return self.variable or "DRAWBAR_" + self.option.replace("-", "_").upper()

    @property
    def is_flag(self) -> bool:
        """Whether its option takes no value: `--reload`, `--no-reload`."""
        return self.kind is BOOLEAN

    @property
    def bounds(self) -> str:
        """The allowed range in words ("from 256 to 1m"), "" where there is none."""
        if self.least is None or self.most is None:
            return ""
        return f"from {self.kind.show(self.least)} to {self.kind.show(self.most)}"

    def parse(self, raw: object) -> Any:
        """The value `raw` stands for; raises ValueError saying what is wrong and what would be right."""
        if self.optional and raw == "":
            return None
        if not self.many:
            return self._parse_one(raw)
        parts = self.kind.listing.split(raw)
        if parts is None:
            example = ", ".join(f'"{self.kind.show(part)}"' for part in self.default)
            raise ValueError(
                f"{raw!r} is not a list; write " + (f"one such as [{example}]" if example else "one in []")
            )
        return tuple(self._parse_one(part) for part in parts)

    def _parse_one(self, raw: object) -> Any:
        value = self.kind.parse(raw)
        if self.least is not None and self.most is not None and not self.least <= value <= self.most:
            raise ValueError(f"{raw!r} is out of range; write a value {self.bounds}")
        return value

    def show(self, value: Any) -> str:
        """The text that parses to `value`."""
        if value is None:
            return ""
        return self.kind.listing.join([*map(self.kind.show, value)]) if self.many else self.kind.show(value)


def unwrap(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """The bare type of an annotation, and what was said beside it, outermost last."""
    if typing.get_origin(annotation) is not Annotated:
        return annotation, ()
    bare, said = unwrap(annotation.__origin__)
    return bare, said + annotation.__metadata__


def shape_of(annotation: Any) -> tuple[Kind, bool, bool]:
    """The kind of an annotation's values, whether it holds many, and whether it may be None."""
    bare, said = unwrap(annotation)
    kinds = [item for item in said if isinstance(item, Kind)]
    origin, arguments = typing.get_origin(bare), typing.get_args(bare)
    if kinds:
        return kinds[-1], False, False
    if bare in PLAIN_KINDS:
        return PLAIN_KINDS[bare], False, False
    if origin is Literal:
        return choice(arguments), False, False
    if origin is tuple and arguments[1:] == (...,):
        return shape_of(arguments[0])[0], True, False
    if origin in (typing.Union, types.UnionType) and arguments[1:] == (type(None),):
        kind, many, _ = shape_of(arguments[0])
        return kind, many, True
    raise TypeError(f"{annotation} has no Kind: name one in its Annotated")


def setting_of(section: str, pattern: str, field: msgspec.structs.FieldInfo) -> Setting:
    """The setting a field of a section is; `pattern` makes its option's name."""
    kind, many, optional = shape_of(field.type)
    _, said = unwrap(field.type)
    # Bounds and words may come from a type alias and from the field: the field, outermost, has the last word.
    meta: dict[str, Any] = {}
    hint = Hint()
    for item in said:
        if isinstance(item, msgspec.Meta):
            known = {"description": item.description, "ge": item.ge, "le": item.le}
            meta |= {name: value for name, value in known.items() if value is not None}
        elif isinstance(item, Hint):
            hint = item
    return Setting(
        section=section,
        field=field.name,
        kind=kind,
        many=many,
        optional=optional,
        default=field.default,
        description=meta["description"],
        least=meta.get("ge"),
        most=meta.get("le"),
        option=hint.option or pattern.format(field.name.replace("_", "-")),
        past=hint.past,
        fallback=hint.fallback,
        variable=hint.variable,
    )


def sections() -> dict[str, type[Section]]:
    """The sections of the tree by name, in its order; without the tables of applications, of which there are any."""
    found = {field.name: field.type for field in msgspec.structs.fields(Config)}
    return {name: section for name, section in found.items() if isinstance(section, type)}


def settings_of(name: str, section: type[Section]) -> tuple[Setting, ...]:
    """The settings of a section called `name`."""
    return tuple(setting_of(name, section.OPTION, field) for field in msgspec.structs.fields(section))


SETTINGS: tuple[Setting, ...] = tuple(
    setting for name, section in sections().items() for setting in settings_of(name, section)
)

APPS = "apps"
"""The table of the tables."""


def settings_of_app(name: str) -> tuple[Setting, ...]:
    """The settings of the table `[apps.NAME]`. Only a file has them: they have no option and no variable."""
    return settings_of(f"{APPS}.{name}", AppTable)
