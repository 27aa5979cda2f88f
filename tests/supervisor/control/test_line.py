"""The control process's line to the master, with the test as master."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from drawbar.supervisor.control import messages
from drawbar.supervisor.control.line import Line, Refused, Silent
from drawbar.supervisor.control.messages import Answer


class Ends:
    """The line, and the master's end of it."""

    def __init__(self) -> None:
        self.master, control = messages.channel()
        self._control = control
        self.line = Line(control)
        self.results: list[Any] = []

    def ask_in_thread(self, verb: str) -> threading.Thread:
        """Asks on a thread; what comes of it goes to `results`."""

        def work() -> None:
            try:
                self.results.append(self.line.ask(verb, 20.0))
            except (Refused, Silent) as error:
                self.results.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        return thread

    def next_ask(self) -> messages.Ask:
        self.master.setblocking(True)
        found = messages.receive_ask(self.master)
        assert found is not None
        return found

    def close(self) -> None:
        self.master.close()
        self._control.close()


@pytest.fixture
def ends() -> Iterator[Ends]:
    found = Ends()
    yield found
    found.close()


def test_answers_find_their_questions_in_any_order(ends: Ends) -> None:
    first = ends.ask_in_thread("status")
    one = ends.next_ask()
    second = ends.ask_in_thread("config")
    two = ends.next_ask()
    messages.send(ends.master, Answer(two.id, ok={"of": two.verb}))
    ends.line.read()
    second.join()
    assert ends.results == [{"of": "config"}]
    messages.send(ends.master, Answer(one.id, ok={"of": one.verb}))
    ends.line.read()
    first.join()
    assert ends.results == [{"of": "config"}, {"of": "status"}]


def test_a_refusal(ends: Ends) -> None:
    thread = ends.ask_in_thread("upgrade")
    messages.send(ends.master, Answer(ends.next_ask().id, error="not now", kind="conflict"))
    ends.line.read()
    thread.join()
    (error,) = ends.results
    assert isinstance(error, Refused)
    assert (str(error), error.kind) == ("not now", "conflict")


def test_silence(ends: Ends) -> None:
    with pytest.raises(Silent, match=r"did not answer within 0\.01 s"):
        ends.line.ask("status", 0.01)
    # The answer that comes at last is nobody's.
    messages.send(ends.master, Answer(ends.next_ask().id, ok={}))
    ends.line.read()


def test_a_master_that_goes_away_ends_every_question(ends: Ends) -> None:
    thread = ends.ask_in_thread("reload")
    ends.next_ask()
    ends.master.close()
    ends.line.read()
    thread.join()
    (error,) = ends.results
    assert isinstance(error, Silent)
    assert str(error) == "the master is gone"
    assert ends.line.is_cut
    with pytest.raises(Silent, match="the master is gone"):
        ends.line.ask("status")


def test_a_master_that_does_not_read(ends: Ends) -> None:
    def fill() -> None:
        while True:
            messages.send(ends._control, messages.Ask(1, "x" * 4000))

    with pytest.raises(messages.Hangup):
        fill()
    with pytest.raises(Silent, match="the master takes no question"):
        ends.line.ask("status")
