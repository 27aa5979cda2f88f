"""Command lines of other servers, read by a table of their options. Pure: words in, what was said out."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple


class Flag(NamedTuple):
    """An option: the setting it says, and the value it gives when it takes none of its own."""

    name: str
    const: object = None
    """None: the option takes a value."""
    many: bool = False
    """May be given again; its values are a list."""


Flags = Mapping[str, Flag]


class Option(NamedTuple):
    """An option as it was found; `name` is "" when the table has none such."""

    written: str
    name: str
    value: object


class Line(NamedTuple):
    """A command line taken apart."""

    options: list[Option]
    arguments: list[str]


def flags(*options: str, name: str = "", const: object = None, many: bool = False) -> dict[str, Flag]:
    """The same option under each of its spellings; by default the setting is called as the last one is."""
    flag = Flag(name or options[-1].lstrip("-").replace("-", "_"), const, many)
    return dict.fromkeys(options, flag)


def values(*options: str) -> dict[str, Flag]:
    """Options that take a value, each for the setting of its name."""
    return {option: flag for one in options for option, flag in flags(one).items()}


def switches(*options: str) -> dict[str, Flag]:
    """Options that take none and say true."""
    return {option: flag for one in options for option, flag in flags(one, const=True).items()}


def pairs(*options: str) -> dict[str, Flag]:
    """`--x` and `--no-x`, which say true and false."""
    table: dict[str, Flag] = {}
    for option in options:
        table |= flags(option, const=True)
        table |= flags("--no-" + option[2:], name=option[2:].replace("-", "_"), const=False)
    return table


def read_line(words: Sequence[str], table: Flags) -> Line:
    """Takes a command line apart, without the program's name."""
    line = Line([], [])
    rest = deque(words)
    while rest:
        word = rest.popleft()
        if word == "--":
            line.arguments.extend(rest)
            break
        if word.startswith("--"):
            line.options.append(_long(word, table, rest))
        elif word.startswith("-") and len(word) > 1:
            line.options.extend(_short(word, table, rest))
        else:
            line.arguments.append(word)
    return line


def gather(options: Sequence[Option], table: Flags) -> Iterator[Option]:
    """The options in order, each once: a repeatable one with the list of its values, another as it was given last."""
    lists: dict[str, list[object]] = {}
    last: dict[str, Option] = {}
    for option in options:
        flag = table.get(option.written)
        key = option.name or option.written
        if flag is not None and flag.many:
            lists.setdefault(key, []).append(option.value)
            option = option._replace(value=lists[key])
        last[key] = option
    yield from last.values()


def _next(rest: deque[str]) -> str:
    """The value of an option; nothing when it was forgotten."""
    return rest.popleft() if rest else ""


def _long(word: str, table: Flags, rest: deque[str]) -> Option:
    written, equals, value = word.partition("=")
    flag = table.get(written)
    if flag is None:
        # Nobody knows whether it takes a value; the word behind it is one unless it looks like an option or a target.
        takes = not equals and len(rest) > 1 and not rest[0].startswith("-") and ":" not in rest[0]
        return Option(written, "", value if equals else _next(rest) if takes else True)
    if flag.const is not None:
        # "--x=value" of an option that may go without: the value counts.
        return Option(written, flag.name, value if equals else flag.const)
    return Option(written, flag.name, value if equals else _next(rest))


def _short(word: str, table: Flags, rest: deque[str]) -> Iterator[Option]:
    """`-w4`, `-w 4`, and switches in a bunch: `-Dq`."""
    letters = word[1:]
    while letters:
        written = "-" + letters[0]
        flag = table.get(written)
        letters = letters[1:]
        if flag is None:
            yield Option(written, "", letters or True)
            return
        if flag.const is not None:
            yield Option(written, flag.name, flag.const)
            continue
        yield Option(written, flag.name, letters.removeprefix("=") if letters else _next(rest))
        return
