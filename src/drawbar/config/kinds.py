"""How one value is written: from text or TOML to a Python value and back.

Lives here: `Kind`, the pair of functions between the two, and the kinds that several sections use. A kind belonging to
one idea (addresses, thread ranges, networks) stands beside that idea's type. A `parse` takes a `str` (environment,
command line) or what TOML gave, and raises ValueError saying what is wrong and what would be right. Invariant:
`kind.parse(kind.show(value)) == value`.
"""

from collections.abc import Callable
from typing import Annotated, Any

import msgspec

SIZE_UNITS = {"": 1, "b": 1, "k": 1 << 10, "kb": 1 << 10, "kib": 1 << 10, "m": 1 << 20, "mb": 1 << 20, "mib": 1 << 20}
SIZE_UNITS |= {"g": 1 << 30, "gb": 1 << 30, "gib": 1 << 30, "t": 1 << 40, "tb": 1 << 40, "tib": 1 << 40}
DURATION_UNITS = {"": 1.0, "s": 1.0, "ms": 0.001, "m": 60.0, "h": 3600.0}
BOOLEANS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}


class Listing(msgspec.Struct, frozen=True):
    """How several values are written: what was given split into one for each, None when that is no list; and back."""

    split: Callable[[object], list[object] | None]
    join: Callable[[list[str]], str]


def split_at_commas(raw: object) -> list[object] | None:
    """The parts of a text, empty ones left out; a list is its own."""
    if isinstance(raw, str):
        return [part.strip() for part in raw.split(",") if part.strip()]
    return raw if isinstance(raw, list) else None


COMMAS = Listing(split_at_commas, ",".join)


class Kind(msgspec.Struct, frozen=True):
    """One way of writing values: `metavar` stands for a value in help, `form` describes it in the manual.

    `listing` is how several of them are written.
    """

    metavar: str
    form: str
    parse: Callable[[object], Any]
    show: Callable[[Any], str] = str
    listing: Listing = COMMAS


class Hint(msgspec.Struct, frozen=True, kw_only=True):
    """What a field's name, type and description do not say.

    `option` is its name on the command line where the section's pattern gives a clumsy one; `variable` that of its
    environment variable, where another command has an option of that name for something else; `past` what happens past
    a limit; `fallback` an environment variable of common use, honoured when nothing else sets the field.
    """

    option: str = ""
    variable: str = ""
    past: str = ""
    fallback: str = ""


def parse_boolean(raw: object) -> bool:
    """`true`, `yes`, `on`, `1` and their opposites."""
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and raw.strip().lower() in BOOLEANS:
        return BOOLEANS[raw.strip().lower()]
    raise ValueError(f"{raw!r} is not a yes or no; write true or false")


def parse_integer(raw: object) -> int:
    """A whole number in decimal; `_` may group digits."""
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    if isinstance(raw, str):
        try:
            return int(raw)
        except ValueError:
            pass
    raise ValueError(f"{raw!r} is not a whole number; write one such as 100")


def parse_text(raw: object) -> str:
    """Any text without control characters."""
    if not isinstance(raw, str):
        raise ValueError(f"{raw!r} is not text; put it in quotes")
    if any(ord(character) < 32 or ord(character) == 127 for character in raw):
        raise ValueError(f"{raw!r} holds a control character; write printable text")
    return raw


def split_unit(text: str) -> tuple[float, str] | None:
    """The number and the lower-case unit of "1.5 MB", or None when it does not start with a number."""
    text = text.strip().replace("_", "")
    digits = text.rstrip("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
    # float() also takes signs, exponents, "nan" and blanks inside: none of them is a size or a duration.
    if not digits or digits.strip("0123456789.") or digits.count(".") > 1 or digits == ".":
        return None
    return float(digits), text[len(digits) :].strip().lower()


def parse_size(raw: object) -> int:
    """Bytes: a whole number, or a number with k, m, g or t (powers of 1024)."""
    if isinstance(raw, int) and not isinstance(raw, bool) and raw >= 0:
        return raw
    parts = split_unit(raw) if isinstance(raw, str) else None
    if parts is not None and parts[1] in SIZE_UNITS:
        size = parts[0] * SIZE_UNITS[parts[1]]
        if size == int(size):
            return int(size)
    raise ValueError(f"{raw!r} is not a size; write bytes such as 65536, or 64k, 1m, 2g")


def show_size(size: int) -> str:
    """The shortest exact way to write `size` bytes."""
    for unit, factor in (("t", 1 << 40), ("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10)):
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return str(size)


def parse_duration(raw: object) -> float:
    """Seconds: a number, or a number with ms, s, m or h."""
    if isinstance(raw, int | float) and not isinstance(raw, bool) and 0 <= raw < float("inf"):
        return float(raw)
    parts = split_unit(raw) if isinstance(raw, str) else None
    if parts is not None and parts[1] in DURATION_UNITS:
        return parts[0] / 1000 if parts[1] == "ms" else parts[0] * DURATION_UNITS[parts[1]]
    raise ValueError(f"{raw!r} is not a duration; write seconds such as 30, or 500ms, 30s, 2m, 1h")


def show_duration(seconds: float) -> str:
    """`seconds` with its unit: "24h", "30s", "0.5s"."""
    if seconds and seconds % 3600 == 0:
        return f"{int(seconds) // 3600}h"
    return f"{int(seconds)}s" if seconds == int(seconds) else f"{seconds!r}s"


def show_boolean(value: bool) -> str:
    """The word TOML uses."""
    return "true" if value else "false"


BOOLEAN = Kind("BOOL", "true or false", parse_boolean, show_boolean)
INTEGER = Kind("N", "a whole number", parse_integer)
TEXT = Kind("TEXT", "text", parse_text)
PATH = Kind("PATH", "a path, relative to the directory the server is started in", parse_text)
SIZE = Kind("SIZE", "bytes: `65536`, `64k`, `1m`, `2g`", parse_size, show_size)
DURATION = Kind("SECONDS", "seconds: `30`, or `500ms`, `30s`, `2m`, `1h`", parse_duration, show_duration)

Path = Annotated[str, PATH]
# Bytes.
Size = Annotated[int, SIZE]
# Seconds.
Seconds = Annotated[float, DURATION]


def choice(values: tuple[str, ...]) -> Kind:
    """The kind of a field that takes one of `values`."""

    def parse(raw: object) -> str:
        if isinstance(raw, str) and raw.strip().lower() in values:
            return raw.strip().lower()
        raise ValueError(f"{raw!r} is not one of {', '.join(values)}")

    metavar = "|".join(values)
    # A long list would push the help's second column to the right edge; the text beside it lists the values then.
    return Kind(
        metavar if len(metavar) < 30 else "NAME", "one of " + ", ".join(f"`{value}`" for value in values), parse
    )
