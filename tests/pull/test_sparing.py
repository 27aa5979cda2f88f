"""A log that others can make lines in: the first few are there, and the others are counted."""

import pytest

from drawbar.pull.sparing import Sparing


@pytest.fixture
def told() -> list[str]:
    """What was written."""
    return []


@pytest.fixture
def log(told: list[str]) -> Sparing:
    """Two lines in ten seconds."""
    return Sparing(told.append, span_s=10, most=2)


def test_a_few_lines_are_written_as_they_come(log: Sparing, told: list[str]) -> None:
    log.say("one", 0)
    log.say("two", 9.9)
    assert (told, log.due) == (["one", "two"], None)


def test_the_others_are_counted_when_the_span_is_over(log: Sparing, told: list[str]) -> None:
    for number in range(5):
        log.say(str(number), 1)
    assert (told, log.due) == (["0", "1"], 11)
    log.settle(10.9)
    assert told == ["0", "1"]
    log.settle(11)
    assert told == ["0", "1", "3 more lines of this kind within 10 s were not written"]
    assert log.due is None


def test_after_a_span_lines_are_written_again(log: Sparing, told: list[str]) -> None:
    for _ in range(3):
        log.say("before", 0)
    log.say("after", 10)
    assert told == ["before", "before", "1 more lines of this kind within 10 s were not written", "after"]


def test_a_span_begins_with_its_first_line(log: Sparing, told: list[str]) -> None:
    log.say("one", 0)
    log.settle(50)
    for _ in range(3):
        log.say("later", 55)
    assert (told, log.due) == (["one", "later", "later"], 65)


def test_the_end_tells_what_was_counted(log: Sparing, told: list[str]) -> None:
    for _ in range(3):
        log.say("line", 0)
    log.finish()
    log.finish()
    assert told[2:] == ["1 more lines of this kind within 10 s were not written"]
