"""Where a worker's threads and tasks are: their stacks in the log, on demand and however stuck the worker is.

Two ways lead there. The readable one is Python: names, source lines, what each task awaits; it needs a reactor that
moves. The sure one is in C, where each thread writes its own stack from a signal handler, whoever holds the
interpreter's lock (`own_stacks`). `STACKS_SIGNAL` asks for the first, and gets the second when nobody has answered
within `ANSWER_SECONDS`, so whoever asks need not know how the worker is. `RAW_STACKS_SIGNAL` asks for the second at
once.

These are real-time signals, counted from the last as `process.end_with_parent` has that one: those with names have
other uses, and libraries count from the first. An application that registers faulthandler for itself loses nothing.

The functions that look are pure: a look is a list of places, cheap to take; source lines are read when it is written.
"""

from __future__ import annotations

import faulthandler
import gc
import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator
from types import AsyncGeneratorType, CodeType, CoroutineType, FrameType, GeneratorType
from typing import Any, Final, NamedTuple

import drawbar
from drawbar.exchange.log_files import LogFiles
from drawbar.net.reactor import Reactor
from drawbar.supervisor.logs import Log
from drawbar.supervisor.process import nobody_answers, signal_answered, tell_of_signal
from drawbar.supervisor.words import plural
from drawbar.supervisor.worker.own_stacks import have_each_thread_write

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio

STACKS_SIGNAL: Final = signal.SIGRTMAX - 1
RAW_STACKS_SIGNAL: Final = signal.SIGRTMAX - 2
CALL_STACK_SIGNAL: Final = signal.SIGRTMAX - 3
"""Sent to one thread by the process itself: the stack of that thread alone."""

ANSWER_SECONDS: Final = 0.5
"""For the reactor to hear of STACKS_SIGNAL. Well below the second that the master gives a worker before it kills it."""

DEEPEST: Final = 60
"""Frames of one stack that are written, the innermost ones: a runaway recursion must not fill the log."""
MOST_TASKS: Final = 200
"""Tasks that are written; the others are counted."""


class Place(NamedTuple):
    """One frame as it was at the moment of the look; a frame itself would move on."""

    code: CodeType
    line: int


_HERE: Final = os.path.join(os.path.dirname(__file__), "")
_SERVER: Final = os.path.join(os.path.dirname(drawbar.__file__), "")

THREAD: Final = "thread"
TASK: Final = "task"
"""First words of the titles."""

Look = list[Place]
"""One stack, outermost frame first."""


def look_at_frame(frame: FrameType | None) -> Look:
    """The stack that ends in `frame`."""
    places: Look = []
    while frame is not None and len(places) < DEEPEST:
        places.append(Place(frame.f_code, frame.f_lineno))
        frame = frame.f_back
    # Outermost is how the thread came to what it does, which is the same for all of them.
    ours = [n for n, place in enumerate(places) if place.code.co_filename.startswith((_HERE, threading.__file__))]
    if ours:
        del places[ours[0] :]
    places.reverse()
    return places


def look_at_thread(ident: int) -> Look:
    """Where the thread is (`threading.get_ident()`); nothing when it has no Python frame."""
    return look_at_frame(sys._current_frames().get(ident))


def look_at_task(task: asyncio.Task[Any]) -> Look:
    """Where a task that does not run at this moment waits: its coroutine, what that awaits, and so on inwards.

    Task.get_stack() has the outermost frame of a suspended task only.
    """
    places: Look = []
    awaited: Any = task.get_coro()
    while awaited is not None and len(places) < DEEPEST:
        frame = _first(awaited, "cr_frame", "gi_frame", "ag_frame")
        # A coroutine of native code has a frame without a line.
        if isinstance(frame, FrameType) and frame.f_lineno:
            places.append(Place(frame.f_code, frame.f_lineno))
        awaited = _first(awaited, "cr_await", "gi_yieldfrom", "ag_await") or _inside(awaited)
    return _without_server(places)


def _without_server(places: Look) -> Look:
    """The stack of a task from where the server's code calls other code; nothing of a task that only serves."""
    import asyncio

    count = next((n for n, place in enumerate(places) if not place.code.co_filename.startswith(_SERVER)), len(places))
    rest = places[count:]
    waits = os.path.join(os.path.dirname(asyncio.__file__), "")
    return [] if count and all(place.code.co_filename.startswith(waits) for place in rest) else rest


def _first(owner: object, *names: str) -> object:
    return next((value for name in names if (value := getattr(owner, name, None)) is not None), None)


def _inside(awaited: object) -> object:
    """What an iterator of the interpreter's own waits for, which has no attribute for it.

    Of these are the wrapper native code awaits a coroutine by, the step of an asynchronous generator, and the wait for
    another task.
    """
    import asyncio

    if isinstance(awaited, CoroutineType | GeneratorType | AsyncGeneratorType):
        return None
    for held in gc.get_referents(awaited):
        if isinstance(held, CoroutineType | GeneratorType | AsyncGeneratorType):
            return held
        if isinstance(held, asyncio.Task):
            return held.get_coro()
    return None


def lines_of(look: Look) -> Iterator[str]:
    """The stack as a traceback shows it."""
    import traceback  # Only now: 1.5 MB a healthy process does not need.

    summary = traceback.StackSummary.from_list(
        [(place.code.co_filename, place.line, place.code.co_name, None) for place in look]
    )
    for chunk in summary.format():
        yield from chunk.splitlines()
    if not look:
        yield "  (in the server's own code)"


def everything(loop: asyncio.AbstractEventLoop | None, me: int) -> list[tuple[str, Look]]:
    """Titles and stacks of all threads but the one that looks (`me`), and of the loop's tasks."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    found = [
        (f"{THREAD} {names.get(ident, 'of somebody else')}", look_at_frame(frame))
        for ident, frame in sys._current_frames().items()
        if ident != me
    ]
    return found + (_tasks(loop) if loop is not None else [])


def _tasks(loop: asyncio.AbstractEventLoop) -> list[tuple[str, Look]]:
    import asyncio

    tasks = sorted(asyncio.all_tasks(loop), key=lambda task: task.get_name())
    found = [(f"{TASK} {task.get_name()}", look_at_task(task)) for task in tasks[:MOST_TASKS]]
    return found + ([(f"and {plural(len(tasks) - MOST_TASKS, 'task')} more", [])] if len(tasks) > MOST_TASKS else [])


class Stacks:
    """Both signals of one worker, and what becomes of them. To be made after its fork and before its application loads.

    Until attach() there is no reactor, so that every request is answered by the handler in C.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._loop: asyncio.AbstractEventLoop | None = None
        # Of its own: its number must stay when the log is rotated, as handlers in C know nothing else.
        self.fd = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC) if log.is_off() else os.dup(log.file.fd)
        self._event_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        # A child of a worker that became the fork server: the module would take its parent's handler for this one's.
        faulthandler.unregister(CALL_STACK_SIGNAL)
        faulthandler.register(CALL_STACK_SIGNAL, file=self.fd, all_threads=False, chain=False)
        have_each_thread_write(RAW_STACKS_SIGNAL, CALL_STACK_SIGNAL, self.fd)
        tell_of_signal(STACKS_SIGNAL, self._event_fd, ANSWER_SECONDS, RAW_STACKS_SIGNAL)

    def attach(self, reactor: Reactor, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Answers on the reactor's leading thread from now on, with the tasks of `loop`."""
        self._loop = loop
        reactor.watch(self._event_fd, self._asked)

    def follow(self) -> None:
        """The log was reopened."""
        if not self._log.is_off():
            os.dup2(self._log.file.fd, self.fd, inheritable=False)

    def leave_to_worker(self) -> None:
        """In a process that the worker forked for a call: nothing leads there, so both requests are answered in C."""
        nobody_answers()
        os.close(self._event_fd)

    def close(self) -> None:
        """This process is a worker no more: who asks gets no answer."""
        faulthandler.unregister(CALL_STACK_SIGNAL)
        for number in (STACKS_SIGNAL, RAW_STACKS_SIGNAL, CALL_STACK_SIGNAL):
            # Not the default, which would end the process.
            signal.signal(number, _unheard)
        os.close(self._event_fd)
        os.close(self.fd)

    def _asked(self) -> None:
        signal_answered()
        os.eventfd_read(self._event_fd)
        found = everything(self._loop, threading.get_ident())
        self._log.error(f"stacks of {_counted(title for title, _ in found)}")
        for title, look in found:
            self._log.error(f"{title}:")
            self._write(look)
        self._log.error("end of the stacks")

    # -- what the request timeout asks for

    def look(self, thread: int, task: Any) -> Look:
        """Where a call is: of a task, or a greenlet, unless it is the one that runs, where it waits."""
        frame = getattr(task, "gr_frame", None)
        if isinstance(frame, FrameType):
            return look_at_frame(frame)
        if "asyncio" in sys.modules and _waits(task):
            return look_at_task(task)
        if thread == threading.get_ident():
            # It has gone on, and heard of its end by itself: where it is now, without us.
            return look_at_frame(sys._getframe().f_back)
        return look_at_thread(thread)

    def tell(self, line: str, look: Look | None, told: bool, files: LogFiles | None) -> None:
        """Logs a request that was called off, and where it is, to its own files; nothing when others did so."""
        if told:
            return
        self._log.write("error", line, files)
        if look is not None:
            self._write(look, files)

    def _write(self, look: Look, files: LogFiles | None = None) -> None:
        for line in lines_of(look):
            self._log.write("error", line, files)


def _counted(titles: Iterable[str]) -> str:
    """`1 thread`, `2 threads and 3 tasks`. The one that looks is not counted, and may be all there is."""
    kinds = [title.partition(" ")[0] for title in titles]
    parts = [plural(kinds.count(kind), kind) for kind in (THREAD, TASK) if kind in kinds]
    return " and ".join(parts) or "no thread but the one that writes this"


def _unheard(number: int, frame: FrameType | None) -> None:
    """Asked of a process that was a worker when it was sent."""


def _waits(task: object) -> bool:
    import asyncio

    return isinstance(task, asyncio.Task) and asyncio.current_task(task.get_loop()) is not task
