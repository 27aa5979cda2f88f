"""Variables of an environment, as `--env` and `env` have them: NAME=VALUE, or a table in TOML. Pure.

Several in one text are split as a shell splits words, not at commas: values have those.
"""

from typing import Annotated

import msgspec

from drawbar.config.kinds import Kind, Listing

FORM = 'write NAME=VALUE, or in TOML a table such as { LANG = "C.UTF-8" }'


class Variable(msgspec.Struct, frozen=True):
    """A variable and what it is set to."""

    name: str
    value: str

    def __str__(self) -> str:
        return f"{self.name}={self.value}"


def parse_variable(raw: object) -> Variable:
    """NAME=VALUE, whatever stands in the value; raises ValueError saying what would be right."""
    # A key or a certificate has several lines, so text need not be printable here.
    name, equals, value = raw.partition("=") if isinstance(raw, str) else ("", "", "")
    if not equals or not name or any(letter.isspace() for letter in name) or "\0" in name + value:
        raise ValueError(f"{raw!r} sets no variable; {FORM}")
    return Variable(name, value)


def parts_of(raw: object) -> list[object] | None:
    """The variables of a table, a list or one text."""
    if isinstance(raw, dict):
        return [_of_table(name, value) for name, value in raw.items()]
    if isinstance(raw, str):
        import shlex  # Few servers set any.

        try:
            return [*shlex.split(raw)]
        except ValueError as error:
            raise ValueError(f"{raw!r} sets no variables ({error}); {FORM}") from None
    return raw if isinstance(raw, list) else None


def _of_table(name: str, value: object) -> str:
    if not isinstance(value, str) and (not isinstance(value, int) or isinstance(value, bool)):
        raise ValueError(f"{name} = {value!r} is no text; write what the variable shall hold in quotes")
    return f"{name}={value}"


def join(texts: list[str]) -> str:
    """One text that is split into these."""
    import shlex

    return shlex.join(texts)


def merged(first: tuple[Variable, ...], second: tuple[Variable, ...]) -> tuple[Variable, ...]:
    """Each variable once, the last value said of it: `second` goes before `first`."""
    return tuple({variable.name: variable for variable in (*first, *second)}.values())


VARIABLE = Kind("NAME=VALUE", "`NAME=VALUE`; a table in TOML", parse_variable, listing=Listing(parts_of, join))
Variables = tuple[Annotated[Variable, VARIABLE], ...]
