"""Calls as tasks of an asyncio loop."""

import asyncio
import gc
import socket
import sys
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from drawbar.executors.inspect import ProbeJob, submit
from drawbar.executors.tasks import TasksExecutor
from drawbar.net.inspect import ProbeConnector
from drawbar.net.listener import listen
from drawbar.net.reactor import Reactor

EAGER = sys.version_info >= (3, 12)


def on_a_loop(scene: Callable[[TasksExecutor], Awaitable[None]], maximum: int = 0) -> None:
    """Plays a scene with an executor on a running loop."""

    async def play() -> None:
        await scene(TasksExecutor(asyncio.get_running_loop(), maximum))

    asyncio.run(play())


@contextmanager
def complaints() -> Iterator[list[dict[str, Any]]]:
    """What the running loop's exception handler is told."""
    loop = asyncio.get_running_loop()
    told: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: told.append(context))
    try:
        yield told
    finally:
        loop.set_exception_handler(None)


def test_a_call_sees_itself_as_the_current_task() -> None:
    async def scene(executor: TasksExecutor) -> None:
        seen: list[asyncio.Task[Any] | None] = []
        outside = asyncio.current_task()

        async def call() -> None:
            seen.append(asyncio.current_task())
            await asyncio.sleep(0)
            seen.append(asyncio.current_task())

        assert submit(executor, ProbeJob(call)) == 0
        (task,) = executor.running
        await task
        assert seen == [task, task]
        assert asyncio.current_task() is outside is not task

    on_a_loop(scene)


def test_a_call_can_use_what_needs_a_current_task() -> None:
    async def scene(executor: TasksExecutor) -> None:
        steps: list[str] = []

        async def call() -> None:
            async with asyncio.timeout(60), asyncio.TaskGroup() as group:
                group.create_task(part("in the group"))
            steps.append("after the group")

        async def part(step: str) -> None:
            steps.append(step)

        submit(executor, ProbeJob(call))
        await asyncio.gather(*executor.running)
        assert steps == ["in the group", "after the group"]

    on_a_loop(scene)


@pytest.mark.parametrize("times", [1, 100])
def test_when_the_first_step_is_taken(times: int) -> None:
    """At once where Python has eager tasks; elsewhere on the loop's next iteration."""

    async def scene(executor: TasksExecutor) -> None:
        done: list[int] = []

        async def call(number: int) -> None:
            done.append(number)

        def numbered(number: int) -> Callable[[], Coroutine[Any, Any, None]]:
            return lambda: call(number)

        for number in range(times):
            submit(executor, ProbeJob(numbered(number)))
        assert done == (list(range(times)) if EAGER else [])
        assert len(executor.running) == (0 if EAGER else times)
        await asyncio.gather(*executor.running)
        assert done == list(range(times))

    on_a_loop(scene)


def test_running_holds_calls_until_they_end() -> None:
    async def scene(executor: TasksExecutor) -> None:
        released: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waits = weakref.ref(released)

        async def call(gate: asyncio.Future[None]) -> None:
            await gate

        submit(executor, ProbeJob(partial(call, released)))
        del released
        await asyncio.sleep(0)
        # Nothing else refers to the task: the loop holds it weakly.
        gc.collect()
        gate = waits()
        assert gate is not None
        assert len(executor.running) == 1
        gate.set_result(None)
        await asyncio.gather(*executor.running)
        assert executor.running == set()

    on_a_loop(scene)


def test_a_call_that_raises_is_let_go_and_told_of() -> None:
    async def scene(executor: TasksExecutor) -> None:
        async def call() -> None:
            await asyncio.sleep(0)
            raise LookupError("broken")

        with complaints() as told:
            submit(executor, ProbeJob(call))
            (task,) = executor.running
            await asyncio.wait([task])
            assert executor.running == set()
            del task
            gc.collect()
        assert [repr(context["exception"]) for context in told] == ["LookupError('broken')"]

    on_a_loop(scene)


def test_a_cancelled_call_is_let_go() -> None:
    async def scene(executor: TasksExecutor) -> None:
        submit(executor, ProbeJob(asyncio.Event().wait))
        (task,) = executor.running
        task.cancel()
        await asyncio.wait([task])
        assert executor.running == set()

    on_a_loop(scene)


def test_a_job_that_makes_no_coroutine_is_its_submitters_to_know() -> None:
    async def scene(executor: TasksExecutor) -> None:
        def broken() -> None:
            raise LookupError("broken")

        with pytest.raises(LookupError, match="broken"):
            submit(executor, ProbeJob(broken))
        assert executor.running == set()

    on_a_loop(scene)


# -- with a maximum


# More turns of the loop than it takes a call to end and the next one to begin.
TURNS = 10


class Held:
    """Calls that wait until each is let go. `started` says in which order they began."""

    def __init__(self, executor: TasksExecutor) -> None:
        self.executor = executor
        self.gates: dict[int, asyncio.Event] = {}
        self.started: list[int] = []

    def submit(self, number: int, *, lasting: bool = False) -> ProbeJob:
        """Has the executor make call `number`."""
        self.gates[number] = asyncio.Event()

        async def call() -> None:
            self.started.append(number)
            await self.gates[number].wait()

        job = ProbeJob(call, lasting=lasting)
        submit(self.executor, job)
        return job

    async def end(self, *numbers: int) -> None:
        """Lets calls end, and others begin in their place."""
        for number in numbers:
            self.gates[number].set()
        for _ in range(TURNS):
            await asyncio.sleep(0)


def test_calls_beyond_the_maximum_wait_and_go_in_order() -> None:
    async def scene(executor: TasksExecutor) -> None:
        held = Held(executor)
        for number in range(6):
            held.submit(number)
        assert (len(executor.running), executor.waiting) == (2, 4)
        await held.end(1)
        assert held.started == [0, 1, 2]
        await held.end(0, 2)
        assert held.started == [0, 1, 2, 3, 4]
        assert (len(executor.running), executor.waiting) == (2, 1)
        await held.end(3, 4, 5)
        assert held.started == [0, 1, 2, 3, 4, 5]
        assert (len(executor.running), executor.waiting) == (0, 0)

    on_a_loop(scene, 2)


def test_a_call_nobody_waits_for_any_more_is_not_made() -> None:
    async def scene(executor: TasksExecutor) -> None:
        held = Held(executor)
        jobs = [held.submit(number) for number in range(5)]
        jobs[0].left = jobs[1].left = jobs[3].left = True
        await held.end(0)
        assert held.started == [0, 2]
        await held.end(2)
        assert held.started == [0, 2, 4]
        await held.end(4)
        assert [job.dismissed for job in jobs] == [False, True, False, True, False]
        assert (len(executor.running), executor.waiting) == (0, 0)

    on_a_loop(scene, 1)


def test_conversations_that_last_neither_wait_nor_count() -> None:
    async def scene(executor: TasksExecutor) -> None:
        held = Held(executor)
        held.submit(0, lasting=True)
        held.submit(1)
        held.submit(2, lasting=True)
        held.submit(3)
        assert (len(executor.running), executor.waiting) == (3, 1)
        await held.end(0, 2)
        assert 3 not in held.started
        await held.end(1)
        assert held.started[-1] == 3
        await held.end(3)

    on_a_loop(scene, 1)


def test_a_call_that_cannot_be_made_keeps_no_other_from_its_turn() -> None:
    async def scene(executor: TasksExecutor) -> None:
        def broken() -> None:
            raise LookupError("broken")

        held = Held(executor)
        held.submit(0)
        job = ProbeJob(broken)
        submit(executor, job)
        held.submit(1)
        with complaints() as told:
            await held.end(0)
        assert held.started == [0, 1]
        assert job.dismissed
        assert [repr(context["exception"]) for context in told] == ["LookupError('broken')"]
        await held.end(1)

    on_a_loop(scene, 1)


def test_those_that_wait_at_the_end_are_let_go() -> None:
    async def scene(executor: TasksExecutor) -> None:
        held = Held(executor)
        jobs = [held.submit(number) for number in range(3)]
        executor.dismiss()
        assert [job.dismissed for job in jobs] == [False, True, True]
        await held.end(0)
        assert held.started == [0]

    on_a_loop(scene, 1)


def test_without_room_for_a_call_connections_are_left_to_other_processes() -> None:
    async def scene() -> None:
        loop = asyncio.get_running_loop()
        reactor, connector = Reactor(), ProbeConnector()
        reactor.set_on_defer(lambda: None)
        executor = TasksExecutor(loop, 1, reactor)
        gate = asyncio.Event()
        with socket.create_server(("127.0.0.1", 0)) as shared:
            shared.setblocking(False)
            listen(reactor, shared, connector)
            submit(executor, ProbeJob(gate.wait))
            with socket.create_connection(shared.getsockname()):
                reactor.drain_ready()
                assert connector.made == []
                gate.set()
                await asyncio.wait(set(executor.running))
                await asyncio.sleep(0)
                reactor.drain_ready()
                assert len(connector.made) == 1
            reactor.close()

    asyncio.run(scene())
