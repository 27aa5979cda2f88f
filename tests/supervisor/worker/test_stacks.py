"""Stacks are found however a worker is stuck; each worker here is a process of its own that says when it is."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from drawbar.gateways.lifespan import Lifespan
from drawbar.supervisor.logs import Log
from drawbar.supervisor.worker.stacks import (
    DEEPEST,
    MOST_TASKS,
    RAW_STACKS_SIGNAL,
    STACKS_SIGNAL,
    everything,
    lines_of,
    look_at_frame,
    look_at_task,
    look_at_thread,
)

ROOT = Path(__file__).resolve().parents[3]

WORKER = """
import ctypes, os, signal, sys, threading
from drawbar.net.reactor import Reactor
from drawbar.supervisor.logs import Log
from drawbar.supervisor.worker.stacks import Stacks

def stuck_holding_the_lock():
    # Reading goes on after a signal handler, where sleeping would not (signal(7)).
    ctypes.PyDLL(None).read(os.pipe()[0], ctypes.create_string_buffer(1), 1)

def waits_for_a_lock():
    held.acquire()

held = threading.Lock()
held.acquire()
stacks = Stacks(Log(path=sys.argv[2]))
reactor = Reactor()
def say(word):
    os.write(1, word.encode() + b"\\n")
"""

SERVING = """
stacks.attach(reactor)
threading.Thread(target=waits_for_a_lock, name="patient", daemon=True).start()
say("ready")
reactor.run()
"""

BOOTING = """
say("ready")
stuck_holding_the_lock()
"""

STUCK = """
stacks.attach(reactor)
say("ready")
stuck_holding_the_lock()
"""

BUSY = """
stacks.attach(reactor)

def down(left):
    return down(left - 1) if left else sum(range(10))

def churns():
    while True:
        down(30)

def deaf():
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    say("ready")
    waits_for_a_lock()

for work in (churns, churns, churns, waits_for_a_lock):
    threading.Thread(target=work, daemon=True).start()
threading.Thread(target=deaf, daemon=True).start()
reactor.run()
"""

BODIES = {"serving": SERVING, "booting": BOOTING, "stuck": STUCK, "busy": BUSY}


class Worker:
    """A process, and what its log says."""

    def __init__(self, kind: str, log: Path) -> None:
        # A FIFO: whoever reads it waits for lines, and for no clock. A log opens only one that is being read.
        os.mkfifo(log)
        reader = os.open(log, os.O_RDONLY | os.O_NONBLOCK)
        os.set_blocking(reader, True)
        self._log = os.fdopen(reader, "r")
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER + BODIES[kind], kind, str(log)], stdout=subprocess.PIPE, cwd=ROOT
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"

    def lines_until(self, pattern: str) -> list[str]:
        """The log up to and with a line like that."""
        lines = []
        for line in self._log:
            lines.append(line.rstrip("\n"))
            if re.search(pattern, line):
                return lines
        raise AssertionError(f"the log ended: {lines}")

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self._log.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    workers: list[Worker] = []

    def start(kind: str) -> Worker:
        workers.append(Worker(kind, tmp_path / "log"))
        return workers[-1]

    yield start
    for worker in workers:
        worker.end()


def test_a_worker_that_moves_names_its_threads_and_shows_their_source(start: Any) -> None:
    worker = start("serving")
    worker.process.send_signal(STACKS_SIGNAL)
    text = "\n".join(worker.lines_until("end of the stacks"))
    assert "error: thread patient:" in text
    assert ", in waits_for_a_lock" in text


def test_it_does_so_as_often_as_it_is_asked_and_never_in_the_raw_way(start: Any) -> None:
    worker = start("serving")
    for _ in range(2):
        worker.process.send_signal(STACKS_SIGNAL)
        lines = worker.lines_until("end of the stacks")
        assert not [line for line in lines if "most recent call first" in line]


@pytest.mark.parametrize("kind", ["stuck", "booting"])
def test_one_that_holds_the_interpreters_lock_is_dumped_all_the_same(start: Any, kind: str) -> None:
    worker = start(kind)
    worker.process.send_signal(STACKS_SIGNAL)
    assert "in stuck_holding_the_lock" in worker.lines_until("in stuck_holding_the_lock")[-1]


def test_the_raw_way_can_be_asked_for_at_once(start: Any) -> None:
    worker = start("serving")
    worker.process.send_signal(RAW_STACKS_SIGNAL)
    assert "in waits_for_a_lock" in worker.lines_until("in waits_for_a_lock")[-1]


def test_in_the_raw_way_each_thread_writes_its_own_stack_while_it_stands_still(start: Any) -> None:
    worker = start("busy")
    for _ in range(20):
        worker.process.send_signal(RAW_STACKS_SIGNAL)
        lines = worker.lines_until("end of the stacks")
        titles = [int(found[1]) for line in lines if (found := re.match(r"thread (\d+), \w+:$", line))]
        assert worker.process.pid in titles
        assert len(titles) == len(set(titles)) == 5
        assert sum(line == "Stack (most recent call first):" for line in lines) == 5
        assert sum(line.endswith(" in churns") for line in lines) == 3
        assert sum(line.endswith(" in waits_for_a_lock") for line in lines) == 1
        # It holds back the signal, and is not waited for.
        assert sum(bool(re.fullmatch(r"thread \d+ does not answer", line)) for line in lines) == 1


def test_one_that_is_asked_again_meanwhile_is_written_once_more_or_not_at_all(start: Any) -> None:
    worker = start("busy")
    for _ in range(50):
        worker.process.send_signal(RAW_STACKS_SIGNAL)
    lines = worker.lines_until("end of the stacks")
    assert sum(line.endswith(" in waits_for_a_lock") for line in lines) == 1


def test_the_signals_are_nobody_elses() -> None:
    assert {STACKS_SIGNAL, RAW_STACKS_SIGNAL}.isdisjoint(signal.Signals)
    # process.end_with_parent has the last one.
    assert STACKS_SIGNAL != RAW_STACKS_SIGNAL
    assert signal.SIGRTMAX not in (STACKS_SIGNAL, RAW_STACKS_SIGNAL)


# -- looking


def test_a_thread_is_seen_where_it_is() -> None:
    gate = threading.Lock()
    gate.acquire()
    reader, writer = os.pipe()

    def waits() -> None:
        # Neither has a Python frame of its own, so whichever it is in, this one is the innermost.
        os.write(writer, b".")
        gate.acquire()

    thread = threading.Thread(target=waits)
    thread.start()
    os.read(reader, 1)
    assert thread.ident is not None
    look = look_at_thread(thread.ident)
    gate.release()
    thread.join()
    os.close(reader)
    os.close(writer)
    assert look[-1].code.co_name == "waits"
    assert [line for line in lines_of(look) if line.endswith(", in waits")]


def test_a_thread_that_is_not_there_has_no_places() -> None:
    assert look_at_thread(1) == []
    assert list(lines_of([])) == ["  (in the server's own code)"]


def test_a_task_is_followed_through_all_it_awaits() -> None:
    async def outer() -> None:
        await middle()

    async def middle() -> None:
        await inner()

    async def inner() -> None:
        async for _ in generated():
            pass

    async def generated() -> AsyncIterator[None]:
        await asyncio.create_task(other())
        yield

    async def other() -> None:
        await asyncio.get_running_loop().create_future()

    async def main() -> list[str]:
        task = asyncio.create_task(outer())
        for _ in range(3):
            await asyncio.sleep(0)
        look = look_at_task(task)
        task.cancel()
        return [place.code.co_name for place in look]

    assert asyncio.run(main()) == ["outer", "middle", "inner", "generated", "other"]


def test_a_task_of_the_server_shows_what_it_calls_and_nothing_of_its_own() -> None:
    async def app(scope: object, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()

    async def main() -> dict[str, list[str]]:
        lifespan = Lifespan(app, "on", {}, Log())
        await lifespan.startup()
        serving = asyncio.create_task(lifespan.shutdown(), name="server")
        own = asyncio.create_task(asyncio.sleep(3600), name="own")
        tasks = {task.get_name(): task for task in asyncio.all_tasks()}
        await asyncio.sleep(0)
        found = {name: [place.code.co_name for place in look_at_task(tasks[name])] for name in ("own", "server")}
        found["lifespan"] = [place.code.co_name for place in look_at_task(tasks["lifespan"])][:1]
        own.cancel()
        await serving
        return found

    assert asyncio.run(main()) == {"own": ["sleep"], "server": [], "lifespan": ["app"]}


def test_a_recursion_is_cut_to_its_innermost_frames() -> None:
    def down(left: int) -> list[Any]:
        return down(left - 1) if left else look_at_frame(sys._getframe())

    look = down(3 * DEEPEST)
    assert len(look) == DEEPEST
    assert look[-1].code.co_name == "down"


def test_everything_leaves_out_the_thread_that_looks() -> None:
    titles = [title for title, _ in everything(None, threading.get_ident())]
    assert "thread MainThread" not in titles


def test_more_tasks_than_anybody_reads_are_counted() -> None:
    async def main() -> list[str]:
        tasks = [asyncio.create_task(asyncio.sleep(0), name=f"many {n}") for n in range(MOST_TASKS + 5)]
        found = everything(asyncio.get_running_loop(), threading.get_ident())
        await asyncio.gather(*tasks)
        return [title for title, _ in found if not title.startswith("thread")]

    titles = asyncio.run(main())
    assert len(titles) == MOST_TASKS + 1
    assert titles[-1] == "and 6 tasks more"
