"""The channel between master and control process."""

import os
import socket
from collections.abc import Iterator

import pytest

from drawbar.supervisor.control import messages
from drawbar.supervisor.control.messages import INLINE_BYTES, Answer, Ask, Hangup

Channel = tuple[socket.socket, socket.socket]


@pytest.fixture
def ends() -> Iterator[Channel]:
    found = messages.channel()
    yield found
    for end in found:
        end.close()


def test_questions_and_answers_arrive_as_they_were(ends: Channel) -> None:
    master, control = ends
    messages.send(control, Ask(1, "workers", {"change": -1}))
    messages.send(control, Ask(2, "status"))
    assert messages.receive_ask(master) == Ask(1, "workers", {"change": -1})
    assert messages.receive_ask(master) == Ask(2, "status", {})
    assert messages.receive_ask(master) is None
    messages.send(master, Answer(2, ok={"pid": 1}))
    messages.send(master, Answer(1, error="no", kind="conflict"))
    assert messages.receive_answer(control) == Answer(2, ok={"pid": 1})
    assert messages.receive_answer(control) == Answer(1, error="no", kind="conflict")
    assert messages.receive_answer(control) is None


def test_the_words_on_the_wire(ends: Channel) -> None:
    master, control = ends
    messages.send(control, Ask(7, "kill", {"pid": 3}))
    assert master.recv(1000) == b'{"id":7,"do":"kill","with":{"pid":3}}'
    messages.send(master, Answer(7, ok={}))
    assert control.recv(1000) == b'{"id":7,"ok":{}}'


@pytest.mark.parametrize("size", [INLINE_BYTES - 40, INLINE_BYTES, 70_000, 5_000_000])
def test_any_length_arrives(ends: Channel, size: int) -> None:
    master, control = ends
    messages.send(master, Answer(1, ok={"text": "x" * size}))
    assert messages.receive_answer(control) == Answer(1, ok={"text": "x" * size})


def test_long_answers_leave_no_descriptor_open_and_do_not_fill_the_channel(ends: Channel) -> None:
    master, control = ends
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        messages.send(master, Answer(1, ok={"text": "x" * 100_000}))
    for _ in range(50):
        assert messages.receive_answer(control) is not None
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_is_too_long_for_a_file_is_refused(ends: Channel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "MOST_BYTES", 20_000)
    with pytest.raises(ValueError, match="at most 20000 can be sent"):
        messages.send(ends[0], Answer(1, ok={"text": "x" * 20_000}))


def test_the_end_of_the_channel(ends: Channel) -> None:
    master, control = ends
    messages.send(master, Answer(1, ok={}))
    master.close()
    # What was sent before is still there.
    assert messages.receive_answer(control) == Answer(1, ok={})
    with pytest.raises(Hangup):
        messages.receive_answer(control)
    with pytest.raises(Hangup):
        messages.send(control, Ask(1, "status"))


def test_who_does_not_read_is_not_waited_for(ends: Channel) -> None:
    def fill() -> None:
        while True:
            messages.send(ends[0], Answer(1, ok={"text": "x" * 4000}))

    with pytest.raises(Hangup, match="temporarily unavailable"):
        fill()
