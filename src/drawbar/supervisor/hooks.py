"""Functions of the application's own that are called as the server goes along, and what they are told.

A hook takes a value of `drawbar.hooks` as its only argument. `Hooks` loads and calls.

Law: a hook is loaded before anything is served, so that a name that is wrong stops a start and not a request. What a
hook raises never breaks the server's own code. Where the process could not do without what the hook was to prepare
(before_fork, after_fork, before_exec) it is a failed start; elsewhere it is a line in the log, and the server goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final, Literal

from drawbar.config import Config, OperatorError
from drawbar.config.errors import nearest
from drawbar.config.hooks import HooksConfig
from drawbar.exchange.seen import Logged
from drawbar.gateways.signature import signature_of
from drawbar.gateways.target import enter_directory, import_source, place_of
from drawbar.hooks import FinishedRequest, ForkServer, Upgrade, Worker
from drawbar.supervisor.logs import Log

COMPLAINT_INTERVAL_S = 10.0
"""Between two lines about one hook that fails each time it is called: a log must not grow with the traffic."""

Name = Literal[
    "before_fork", "after_fork", "worker_ready", "worker_exit", "before_exec", "request_finished", "out_of_band"
]


class Hooks:
    """The hooks of one process: loaded when made, each called by the method of its name, which does nothing without.

    Raises OperatorError when a function is not there or cannot be called with one argument.
    """

    def __init__(
        self, config: HooksConfig, log: Log, names: tuple[Name, ...], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`names`: those this process calls. The directory modules are imported from must have been entered."""
        self._log = log
        self._functions = {name: load_hook(name, text) for name in names if (text := getattr(config, name)) is not None}
        self._complaints = {name: Complaints(name, getattr(config, name), log, clock) for name in self._functions}

    def has(self, name: Name) -> bool:
        return name in self._functions

    def before_fork(self, server: ForkServer) -> None:
        """Raises OperatorError: what was to be closed would be shared."""
        self._demand("before_fork", server)

    def after_fork(self, worker: Worker) -> None:
        """Raises OperatorError: the worker is not fit to serve."""
        self._demand("after_fork", worker)

    def before_exec(self, upgrade: Upgrade) -> None:
        """Raises OperatorError: the old master stays."""
        self._demand("before_exec", upgrade)

    def worker_ready(self, worker: Worker) -> None:
        self._offer("worker_ready", worker)

    def worker_exit(self, worker: Worker) -> None:
        self._offer("worker_exit", worker)

    def request_finished(self, request: FinishedRequest) -> None:
        self._offer("request_finished", request)

    def out_of_band(self, worker: Worker) -> None:
        self._offer("out_of_band", worker)

    def _demand(self, name: Name, argument: object) -> None:
        function = self._functions.get(name)
        if function is None:
            return
        try:
            function(argument)
        except (Exception, SystemExit) as error:
            self._log.traceback("debug", error)
            raise OperatorError(in_words(error), where=self._complaints[name].subject) from error

    def _offer(self, name: Name, argument: object) -> None:
        function = self._functions.get(name)
        if function is None:
            return
        try:
            function(argument)
        except (Exception, SystemExit) as error:
            self._complaints[name].tell(error)


FORK_SERVER_HOOKS: Final[tuple[Name, ...]] = ("before_fork",)
WORKER_HOOKS: Final[tuple[Name, ...]] = (
    "after_fork",
    "worker_ready",
    "worker_exit",
    "request_finished",
    "out_of_band",
)


def call_before_exec(config: Config, log: Log, upgrade: Upgrade) -> None:
    """Calls the hook before_exec, in the process that is to become the new master. Raises OperatorError."""
    if config.hooks.before_exec is not None:
        enter_directory(config.app.chdir)
        Hooks(config.hooks, log, ("before_exec",)).before_exec(upgrade)


def load_hook(name: Name, text: str) -> Callable[[Any], object]:
    """The function `text` names. Raises OperatorError that names the setting."""
    where = f"hooks.{name} = {text}"
    source, _, attribute = text.partition(":")
    module = import_source(source, where)
    function: Any = module
    path = f"{source}:"
    for part in attribute.split("."):
        owner, function = function, getattr(function, part, None)
        if function is None:
            names = [name for name, value in getattr(owner, "__dict__", {}).items() if _may_be_called(value)]
            near = nearest(part, names)
            right = f"did you mean {path}{near}?" if near else ""
            place = f"module {source!r}" if owner is module else repr(path[:-1])
            raise OperatorError(f"{place} has no function {part!r}", where=where, right=right)
        path += f"{part}."
    if not callable(function):
        raise OperatorError(f"{attribute} is of type {type(function).__name__}, not a function", where=where)
    signature = signature_of(function)
    if signature is not None and signature.is_async:
        raise OperatorError(f"{attribute} is async", where=where, right="a hook is a plain function")
    if signature is not None and not signature.takes(1):
        raise OperatorError(f"{attribute} cannot be called with one argument", where=where, right="a hook takes one")
    return function  # type: ignore[no-any-return]


def _may_be_called(value: object) -> bool:
    return callable(value) or isinstance(value, classmethod)


def finished_request(exchange: Logged, slot: int) -> FinishedRequest:
    """What is told of an exchange that has ended."""
    remote = exchange.remote
    return FinishedRequest(
        method=exchange.method,
        target=exchange.target,
        status=exchange.status_code,
        bytes=exchange.body_bytes,
        duration_ms=exchange.duration_ns / 1e6,
        client=remote[0] if remote is not None else None,
        complete=exchange.complete,
        slot=slot,
    )


class Complaints:
    """Tells that one hook failed, however often it does: a line at once, then one an interval with their number."""

    def __init__(self, name: Name, text: str, log: Log, clock: Callable[[], float]) -> None:
        self.subject = f"the hook {name} ({text})"
        self._log = log
        self._clock = clock
        self._silent_until = 0.0
        self._untold = 0

    def tell(self, error: BaseException) -> None:
        """One more failure. Its traceback stands in the log at debug."""
        now = self._clock()
        if now < self._silent_until:
            self._untold += 1
            return
        others = f" (and {self._untold} times since the last such line)" if self._untold else ""
        self._silent_until, self._untold = now + COMPLAINT_INTERVAL_S, 0
        self._log.error(f"{self.subject}: {in_words(error)}{others}")
        self._log.traceback("debug", error)


def in_words(error: BaseException) -> str:
    """`raised KeyError: 'x' (hooks.py, line 3)`."""
    text = " ".join(str(error).split())
    what = f"{type(error).__name__}: {text}" if text else type(error).__name__
    # The first frame is that of the call, the others are the hook's own.
    place = place_of(error.__traceback__.tb_next if error.__traceback__ is not None else None)
    return f"raised {what}" + (f" ({place})" if place else "")
