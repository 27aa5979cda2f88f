"""Calls as tasks of an asyncio loop."""

import asyncio
import gc
import sys
import weakref
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from drawbar.executors.inspect import ProbeJob, submit
from drawbar.executors.tasks import TasksExecutor

EAGER = sys.version_info >= (3, 12)


def on_a_loop(scene: Callable[[TasksExecutor], Awaitable[None]]) -> None:
    """Plays a scene with an executor on a running loop."""

    async def play() -> None:
        await scene(TasksExecutor(asyncio.get_running_loop()))

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
