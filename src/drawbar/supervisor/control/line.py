"""The control process's line to the master: asks, and waits for the answer on the thread that asked.

Answers are read by whichever thread leads the reactor (`read`), so a question that the master answers late, a reload
that is waited for, holds nobody else up.
"""

import itertools
import socket
import threading
from collections.abc import Mapping
from typing import Any

from drawbar.supervisor.control import messages
from drawbar.supervisor.control.messages import Answer, Ask, Hangup, Kind

ANSWER_S = 2.0
"""A master that moves answers at once; past this it counts as stuck."""
WAIT_S = 3600.0
"""For commands that end when the workers are replaced: past it the asker hears nothing more of it."""


class Silent(Exception):
    """The master did not answer in time, or is gone."""


class Refused(Exception):
    """The master said no, and why."""

    def __init__(self, why: str, kind: Kind) -> None:
        super().__init__(why)
        self.kind = kind


class Line:
    """One end of the channel. `read` is called when it can be read; `ask` from any thread."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._ids = itertools.count(1)
        self._waiting: dict[int, _Question] = {}
        self.is_cut = False
        """The master has closed its end."""

    def fileno(self) -> int:
        return self._channel.fileno()

    def ask(self, verb: str, timeout_s: float = ANSWER_S, /, **arguments: Any) -> Mapping[str, Any]:
        """The master's answer. Raises Refused, and Silent after `timeout_s`."""
        number = next(self._ids)
        question = self._waiting[number] = _Question()
        try:
            if self.is_cut:
                raise Silent("the master is gone")
            messages.send(self._channel, Ask(number, verb, arguments))
            if not question.answered.wait(timeout_s):
                raise Silent(f"the master did not answer within {timeout_s:g} s")
        except Hangup as error:
            raise Silent(f"the master takes no question: {error}") from error
        finally:
            del self._waiting[number]
        answer = question.answer
        if answer is None:
            raise Silent("the master is gone")
        if answer.error is not None:
            raise Refused(answer.error, answer.kind)
        return answer.ok or {}

    def read(self) -> None:
        """Takes in what has arrived."""
        try:
            while (answer := messages.receive_answer(self._channel)) is not None:
                question = self._waiting.get(answer.id)
                if question is not None:
                    question.answer = answer
                    question.answered.set()
        except Hangup:
            self.is_cut = True
            for question in list(self._waiting.values()):
                question.answered.set()


class _Question:
    def __init__(self) -> None:
        self.answered = threading.Event()
        self.answer: Answer | None = None
