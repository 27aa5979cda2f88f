"""Which processes are there: what is told, and when."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from drawbar.pull.presence import ABSENT_MS, MOST_POLLING, Presence


class Told:
    """Who came, and who left."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.polls_begun = 0
        self.presence = Presence(
            lambda app, label, pid: self.lines.append(f"+{app} {label} {pid}"),
            lambda app, label, pid: self.lines.append(f"-{app} {label} {pid}"),
            self._polls_begin,
        )

    def _polls_begin(self) -> None:
        self.polls_begun += 1


@pytest.fixture
def told() -> Told:
    return Told()


def test_the_first_connection_and_the_last_are_told(told: Told) -> None:
    for _ in range(2):
        told.presence.came("app", "v7", 11)
    told.presence.came("app", "v7", 12)
    told.presence.went("app", "v7", 11)
    assert told.lines == ["+app v7 11", "+app v7 12"]
    told.presence.went("app", "v7", 11)
    assert told.lines[2:] == ["-app v7 11"]
    assert ("app", "v7") in told.presence
    told.presence.went("app", "v7", 12)
    assert ("app", "v7") not in told.presence


def test_who_polls_is_there_for_a_while_after_its_question(told: Told) -> None:
    told.presence.asked("app", "v7", 0, 1_000)
    told.presence.asked("app", "v7", 0, 5_000)
    assert (told.lines, told.polls_begun) == (["+app v7 0"], 1)
    assert told.presence.sweep(5_000 + ABSENT_MS - 1)
    assert not told.presence.sweep(5_000 + ABSENT_MS)
    assert told.lines == ["+app v7 0", "-app v7 0"]
    told.presence.asked("app", "v7", 0, 50_000)
    assert told.polls_begun == 2


def test_of_too_many_that_poll_the_oldest_is_gone(told: Told) -> None:
    for pid in range(MOST_POLLING + 1):
        told.presence.asked("app", "v7", pid, 1_000)
    assert told.lines[-1] == "-app v7 0"


class Machine(RuleBasedStateMachine):
    """What is told always says who is there."""

    def __init__(self) -> None:
        super().__init__()
        self.there: set[tuple[str, str, int]] = set()
        self.presence = Presence(self._came, self._left)
        self.connections: list[tuple[str, str, int]] = []
        self.polls: dict[tuple[str, str, int], int] = {}
        self.now_ms = 0

    def _came(self, *key: object) -> None:
        assert key not in self.there
        self.there.add(key)  # type: ignore[arg-type]

    def _left(self, *key: object) -> None:
        self.there.remove(key)  # type: ignore[arg-type]

    keys = st.tuples(st.just("app"), st.sampled_from(["", "v7"]), st.integers(0, 2))

    @rule(key=keys)
    def come(self, key: tuple[str, str, int]) -> None:
        self.connections.append(key)
        self.presence.came(*key)

    @rule(data=st.data())
    def go(self, data: st.DataObject) -> None:
        if self.connections:
            key = data.draw(st.sampled_from(self.connections))
            self.connections.remove(key)
            self.presence.went(*key)

    @rule(key=keys, wait_ms=st.integers(0, 30_000))
    def ask(self, key: tuple[str, str, int], wait_ms: int) -> None:
        self.polls[key] = max(self.polls.get(key, 0), self.now_ms + wait_ms + ABSENT_MS)
        self.presence.asked(*key, self.now_ms + wait_ms)

    @rule(passed_ms=st.integers(0, 30_000))
    def look(self, passed_ms: int) -> None:
        self.now_ms += passed_ms
        self.presence.sweep(self.now_ms)
        self.polls = {key: until_ms for key, until_ms in self.polls.items() if until_ms > self.now_ms}

    @invariant()
    def those_are_there_who_were_told(self) -> None:
        assert self.there == {*self.connections, *self.polls}


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=50, stateful_step_count=30)
