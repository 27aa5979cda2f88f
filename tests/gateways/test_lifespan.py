"""Starting and stopping an application with its server. No clock: what must not wait is seen to be done."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Literal

import pytest

from drawbar.config.errors import OperatorError
from drawbar.gateways.lifespan import Lifespan

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Coroutine[Any, Any, None]]
Mode = Literal["auto", "on", "off"]

BOTH: list[Mode] = ["auto", "on"]


class Lines:
    """A log in memory: what an operator sees by default, and all of it."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.all: list[str] = []

    def debug(self, message: str) -> None:
        self.all.append(message)

    def error(self, message: str) -> None:
        self.all.append(message)
        self.seen.append(message)

    def traceback(self, level: str, error: BaseException) -> None:
        (self.error if level == "error" else self.debug)(f"traceback of {error!r}")


def serve(app: App, mode: Mode = "auto") -> tuple[dict[str, object], Lines]:
    """Starts and stops `app`; the state it left and what the log says."""
    state: dict[str, object] = {}
    log = Lines()

    async def main() -> None:
        lifespan = Lifespan(app, mode, state, log)
        await lifespan.startup()
        await lifespan.shutdown()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
    return state, log


async def well_behaved(scope: Message, receive: Receive, send: Send) -> None:
    assert scope["type"] == "lifespan"
    assert scope["asgi"] == {"version": "3.0", "spec_version": "2.0"}
    assert await receive() == {"type": "lifespan.startup"}
    scope["state"]["heard"] = ["startup"]
    await send({"type": "lifespan.startup.complete"})
    assert await receive() == {"type": "lifespan.shutdown"}
    scope["state"]["heard"].append("shutdown")
    await send({"type": "lifespan.shutdown.complete"})


@pytest.mark.parametrize("mode", BOTH)
def test_app_is_told_of_both_and_its_state_is_the_servers(mode: Mode) -> None:
    state, log = serve(well_behaved, mode)
    assert state == {"heard": ["startup", "shutdown"]}
    assert log.all == []


def test_off_calls_nobody() -> None:
    state, log = serve(well_behaved, "off")
    assert (state, log.all) == ({}, [])


async def raises(scope: Message, receive: Receive, send: Send) -> None:
    raise NotImplementedError(scope["type"])


async def returns(scope: Message, receive: Receive, send: Send) -> None:
    return


async def raises_late(scope: Message, receive: Receive, send: Send) -> None:
    await receive()
    raise KeyError("lifespan.startup")


@pytest.mark.parametrize("app", [raises, returns, raises_late])
def test_auto_does_without_and_says_so_only_in_debug(app: App) -> None:
    _, log = serve(app, "auto")
    assert log.seen == []
    assert "takes no lifespan events" in log.all[0]


@pytest.mark.parametrize(
    ("app", "why"),
    [
        (raises, "NotImplementedError: lifespan"),
        (returns, "it returned without an answer"),
        (raises_late, "KeyError: 'lifespan.startup'"),
    ],
)
def test_on_takes_no_answer_for_a_failure(app: App, why: str) -> None:
    with pytest.raises(OperatorError) as caught:
        serve(app, "on")
    assert str(caught.value) == f"lifespan: the application failed to start: {why}"


def failing(message: Message) -> App:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", **message})
        raise RuntimeError("as frameworks do")

    return app


@pytest.mark.parametrize("mode", BOTH)
@pytest.mark.parametrize(
    ("message", "why"),
    [
        ({"message": "no database"}, "no database"),
        ({"message": "Traceback:\n  line 1\nValueError: no database\n"}, "ValueError: no database"),
        ({}, "it does not say why"),
    ],
)
def test_startup_failed_is_one_line_with_the_apps_message(mode: Mode, message: Message, why: str) -> None:
    with pytest.raises(OperatorError) as caught:
        serve(failing(message), mode)
    assert str(caught.value) == f"lifespan: the application failed to start: {why}"


def test_long_message_is_logged_whole() -> None:
    log = Lines()
    lifespan = Lifespan(failing({"message": "Traceback:\n  line 1\n\nValueError"}), "auto", {}, log)
    with pytest.raises(OperatorError):
        asyncio.run(lifespan.startup())
    assert log.seen == ["Traceback:", "  line 1", "ValueError"]


def test_shutdown_failed_is_logged() -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.failed", "message": "flush"})

    _, log = serve(app)
    assert log.seen == ["the application failed to shut down: flush"]


def test_exception_in_shutdown_is_logged_with_its_traceback() -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        raise ValueError("flush")

    _, log = serve(app)
    assert log.seen == ["the application failed to shut down: ValueError: flush", "traceback of ValueError('flush')"]


def test_call_that_dies_while_serving_is_logged_at_once_and_shutdown_does_not_wait() -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await asyncio.sleep(0)
        raise ValueError("a leak")

    log = Lines()

    async def main() -> None:
        lifespan = Lifespan(app, "auto", {}, log)
        await lifespan.startup()
        while not log.seen:
            await asyncio.sleep(0)
        await lifespan.shutdown()

    asyncio.run(main())
    assert log.seen[0] == "the application's lifespan call ended while it is serving: ValueError: a leak"


def test_what_wraps_the_app_cleans_up_after_its_answer() -> None:
    done = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await well_behaved(scope, receive, send)
        await asyncio.sleep(0)
        done.append("cleaned")

    serve(app)
    assert done == ["cleaned"]


def test_app_that_goes_on_receiving_does_not_hold_the_shutdown() -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        while True:
            event = (await receive())["type"]
            await send({"type": f"{event}.complete"})

    _, log = serve(app)
    assert log.seen == []


def test_cancelled_startup_cancels_the_call() -> None:
    ended = []

    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append(True)

    async def main() -> None:
        starting = asyncio.ensure_future(Lifespan(app, "auto", {}, Lines()).startup())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        starting.cancel()
        await asyncio.wait([starting])
        assert starting.cancelled()

    asyncio.run(main())
    assert ended == [True]


def test_wrong_message_names_what_may_be_sent() -> None:
    async def app(scope: Message, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start"})

    with pytest.raises(OperatorError, match=r"may not send 'http.response.start' now; it may send lifespan.startup"):
        serve(app, "on")
