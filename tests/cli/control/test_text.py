"""Numbers, times and tables in a terminal."""

import math

import pytest

from drawbar.cli.control import text
from drawbar.cli.control.table import Column, pairs, table


@pytest.mark.parametrize(
    ("value", "shown"), [(0, "0"), (0.4, "0.4"), (1, "1"), (9.96, "10.0"), (12.4, "12"), (1204311, "1 204 311")]
)
def test_count(value: float, shown: str) -> None:
    assert text.count(value) == shown


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (31 << 20, "31 MB"),
        (int(1.25 * 2**30), "1.2 GB"),
        (2**60, "1048576 TB"),
    ],
)
def test_size(amount: int, shown: str) -> None:
    assert text.size(amount) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "-"),
        (0, "0.0 ms"),
        (0.00021, "0.2 ms"),
        (0.0312, "31 ms"),
        (0.9996, "1.0 s"),
        (75.2, "75 s"),
        (119.6, "2 min"),
        (7200, "2 h"),
        (86400 * 4, "4 d"),
        (math.inf, "> 60 s"),
    ],
)
def test_time(seconds: float | None, shown: str) -> None:
    assert text.time(seconds) == shown


def test_nothing_moves_the_cursor() -> None:
    assert text.plain("GET /\x1b[2J\r\n\x9b5A é") == "GET /\\x1b[2J\\r\\n\\x9b5A é"


def test_cut() -> None:
    assert text.cut("drawbar", 7) == "drawbar"
    assert text.cut("drawbar", 4) == "dra…"
    assert text.cut("drawbar", 1) == "…"
    assert text.cut("drawbar", 0) == ""


def test_a_table_lines_up_and_is_cut_at_the_edge() -> None:
    columns = (Column("N"), Column("NAME", right=False), Column("SIZE"))
    rows = [["1", "one", "5"], ["20", "twenty", "12345"]]
    assert table(columns, rows, 80) == [" N  NAME     SIZE", " 1  one         5", "20  twenty  12345"]
    assert table(columns, rows, 10) == [" N  NAME …", " 1  one  …", "20  twent…"]


def test_pairs_line_up_and_go_on_below() -> None:
    rows = [("a", "short"), ("longer", "one two three four five six")]
    assert pairs(rows, 22) == ["a       short", "longer  one two three…"]
    assert pairs(rows, 28, wrap=True) == ["a       short", "longer  one two three four", "        five six"]
