"""What clients saw against what applications wrote down: each way in which the two may differ is counted."""

import pytest

from benchmarks.reckoning import Fate, Reckoning, Run, delays_s, fates, reckon, runs

SECOND = 1_000_000_000


def fate(number: str, outcome: str = "200", asked_s: float = 0, ended_s: float = 1) -> Fate:
    return Fate(number, outcome, int(asked_s * SECOND), int(ended_s * SECOND))


def run(number: str, process: int = 7, began_s: float = 0) -> Run:
    return Run(number, process, int(began_s * SECOND))


def test_lines_of_both_sides_are_read() -> None:
    assert list(fates(["3 200 10 20", "4 reset 11 12"])) == [Fate("3", "200", 10, 20), Fate("4", "reset", 11, 12)]
    assert list(runs(["3 812 15 1700000000.25"])) == [Run("3", 812, 15)]


@pytest.mark.parametrize(
    ("known", "ran", "expected"),
    [
        ([fate("1"), fate("2")], [run("1"), run("2")], Reckoning(2, 0, 0, 0, 0)),
        # Its worker died in it, or before it had begun.
        ([fate("1", "502"), fate("2", "502")], [run("1")], Reckoning(0, 2, 0, 0, 0)),
        ([fate("1")], [run("1", 7), run("1", 8)], Reckoning(1, 0, 0, 1, 0)),
        ([fate("1", "502")], [run("1", 7), run("1", 8)], Reckoning(0, 1, 0, 1, 0)),
        ([fate("1")], [], Reckoning(1, 0, 0, 0, 1)),
        (
            [fate("1", "lost"), fate("2", "503"), fate("3", "foreign"), fate("4", "cut")],
            [run("1")],
            Reckoning(0, 0, 4, 0, 0),
        ),
    ],
    ids=["all well", "lost and told", "twice", "twice and told", "never run", "not answered"],
)
def test_reckon(known: list[Fate], ran: list[Run], expected: Reckoning) -> None:
    assert reckon(known, ran) == expected


def test_a_delay_runs_from_the_moment_or_the_asking_to_the_last_run() -> None:
    known = [
        fate("before", ended_s=4),
        fate("taken", asked_s=4, ended_s=17),
        fate("asked later", asked_s=6, ended_s=18),
        fate("at once", asked_s=4.5, ended_s=5.5),
        fate("told", "502", asked_s=4, ended_s=15),
    ]
    ran = [
        run("before", began_s=3),
        run("taken", 8, began_s=16),
        run("taken", 7, began_s=4),
        run("asked later", began_s=16.5),
        run("at once", began_s=4.5),
        run("told", began_s=4),
    ]
    assert delays_s(known, ran, 5 * SECOND) == [11.0, 10.5, 0.0]
