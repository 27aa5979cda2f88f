"""Columns that line up: as wide as what is in them, the last cut to what is left of the line. Pure."""

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

from drawbar.cli.control.text import cut

GAP = "  "


class Column(NamedTuple):
    """A heading, and on which side its cells stand."""

    heading: str
    right: bool = True


def table(columns: Sequence[Column], rows: Sequence[Sequence[str]], width: int) -> list[str]:
    """The heading and the rows, each at most `width` characters. `rows` have a cell for each column."""
    lines = [[column.heading for column in columns], *map(list, rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(columns))]
    return [_line(columns, line, widths, width) for line in lines]


def pairs(rows: Sequence[tuple[str, str]], width: int, *, wrap: bool = False) -> list[str]:
    """Names and what is to say of them, the latter in one column; what is too long is cut, or goes on below."""
    left = max((len(name) for name, _ in rows), default=0) + len(GAP)
    lines: list[str] = []
    for name, value in rows:
        parts = textwrap.wrap(value, max(20, width - left)) if wrap else [value]
        names = [name, *[""] * len(parts)]
        lines += [cut(f"{head:<{left}}{part}".rstrip(), width) for head, part in zip(names, parts, strict=False)]
    return lines


def _line(columns: Sequence[Column], cells: Sequence[str], widths: Sequence[int], width: int) -> str:
    parts = [
        cell.rjust(widths[index]) if columns[index].right else cell.ljust(widths[index])
        for index, cell in enumerate(cells)
    ]
    return cut(GAP.join(parts).rstrip(), width)
