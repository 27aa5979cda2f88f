"""The lifespan of an ASGI application: told when the server starts and when it stops (ASGI lifespan protocol 2.0).

Law: one call of the application, in a task of its own, lives as long as the worker serves. Nothing here knows the
time: an application that never answers is the caller's to bound, by cancelling what it awaits here.
"""

import asyncio
import enum
from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal, Protocol

from drawbar.config.errors import OperatorError
from drawbar.exchange.errors import AppError

Message = dict[str, Any]
App = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[object]]


class Log(Protocol):
    """The worker's error log."""

    def debug(self, message: str) -> None: ...
    def error(self, message: str) -> None: ...
    def traceback(self, level: str, error: BaseException) -> None: ...


class Phase(enum.Enum):
    """Where a lifespan is in its life."""

    ABSENT = "absent"  # not begun, off, or the application takes no part in it
    STARTING = "starting"  # startup.complete or startup.failed is due
    FAILED = "failed"
    SERVING = "serving"
    STOPPING = "stopping"  # shutdown.complete or shutdown.failed is due
    STOPPED = "stopped"


# What the application may send, when, and where that leads.
_ANSWERS: Final = {
    (Phase.STARTING, "lifespan.startup.complete"): Phase.SERVING,
    (Phase.STARTING, "lifespan.startup.failed"): Phase.FAILED,
    (Phase.STOPPING, "lifespan.shutdown.complete"): Phase.STOPPED,
    (Phase.STOPPING, "lifespan.shutdown.failed"): Phase.STOPPED,
}


class Lifespan:
    """One application's lifespan.

    mode: "on" makes an application without lifespan events an error, "auto" does without them, "off" sends none.
    state: what the application leaves there belongs in every scope; hand the same dict to the handler.
    """

    def __init__(self, app: App, mode: Literal["auto", "on", "off"], state: dict[str, object], log: Log) -> None:
        self._app = app
        self._mode = mode
        self._state = state
        self._log = log
        self._phase = Phase.ABSENT
        self._failure = ""
        self._task: asyncio.Task[None] | None = None
        self._received = 0
        self._started = asyncio.Event()
        self._told_to_stop = asyncio.Event()
        # The call has ended, or waits for an event that will never come.
        self._over = asyncio.Event()

    async def startup(self) -> None:
        """Returns when requests may be served.

        Raises OperatorError when the application says that it cannot start or, with mode "on", gives no answer.
        """
        if self._mode == "off":
            return
        self._phase = Phase.STARTING
        self._task = asyncio.create_task(self._call(), name="lifespan")
        try:
            await self._started.wait()
        except asyncio.CancelledError:
            self._task.cancel()
            raise
        if self._phase is Phase.FAILED:
            self._task.cancel()
            await asyncio.wait([self._task])
            raise OperatorError(f"the application failed to start: {self._failure}", where="lifespan")

    async def shutdown(self) -> None:
        """Returns when the application has cleaned up. A failure in that is logged: it changes nothing any more."""
        if self._phase is not Phase.SERVING:
            return
        assert self._task is not None
        self._phase = Phase.STOPPING
        self._told_to_stop.set()
        try:
            # Not only for its answer: whatever wraps the application may clean up after it.
            await self._over.wait()
        finally:
            self._task.cancel()
        await asyncio.wait([self._task])

    async def _call(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self._state,
        }
        try:
            await self._app(scope, self._receive, self._send)
        except Exception as error:
            self._ended(error)
        else:
            self._ended(None)

    async def _receive(self) -> Message:
        self._received += 1
        if self._received == 1:
            return {"type": "lifespan.startup"}
        if self._received == 2:
            await self._told_to_stop.wait()
            return {"type": "lifespan.shutdown"}
        self._over.set()
        await asyncio.get_running_loop().create_future()
        raise AssertionError("nobody finishes that future")

    async def _send(self, message: Message) -> None:
        kind = message.get("type")
        phase = _ANSWERS.get((self._phase, kind)) if isinstance(kind, str) else None
        if phase is None:
            allowed = " or ".join(name for when, name in _ANSWERS if when is self._phase) or "nothing"
            raise AppError(f"a lifespan application may not send {kind!r} now; it may send {allowed}")
        if kind == "lifespan.startup.failed":
            self._failure = self._summary(message)
        elif kind == "lifespan.shutdown.failed":
            self._log.error(f"the application failed to shut down: {self._summary(message)}")
        self._phase = phase
        self._started.set()

    def _summary(self, message: Message) -> str:
        """The one line that says what is wrong; logs all of a longer text, which often is a traceback."""
        lines = [line for line in str(message.get("message") or "").splitlines() if line.strip()]
        if len(lines) > 1:
            for line in lines:
                self._log.error(line)
        return lines[-1].strip() if lines else "it does not say why"

    def _ended(self, error: Exception | None) -> None:
        """The call is over, with `error` when it raised."""
        why = "it returned without an answer" if error is None else f"{type(error).__name__}: {error}"
        if self._phase is Phase.STARTING:
            self._unanswered(why, error)
        elif self._phase is Phase.SERVING:
            self._phase = Phase.ABSENT
            self._mishap(f"the application's lifespan call ended while it is serving: {why}", error)
        elif self._phase is Phase.STOPPING:
            self._phase = Phase.STOPPED
            self._mishap(f"the application failed to shut down: {why}", error)
        elif error is not None:
            # It has said so before: frameworks raise what they reported.
            self._log.debug(f"the application's lifespan call ended: {why}")
        self._started.set()
        self._over.set()

    def _unanswered(self, why: str, error: Exception | None) -> None:
        """ASGI: an exception here means the application does not support lifespan, and the server goes on."""
        if self._mode == "auto":
            self._phase = Phase.ABSENT
            self._log.debug(f"the application takes no lifespan events: {why}")
            if error is not None:
                self._log.traceback("debug", error)
            return
        self._phase = Phase.FAILED
        self._failure = why
        if error is not None:
            self._log.traceback("error", error)

    def _mishap(self, what: str, error: Exception | None) -> None:
        if error is None:
            self._log.debug(what)
            return
        self._log.error(what)
        self._log.traceback("error", error)
