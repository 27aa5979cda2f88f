"""[apps.NAME]: one application of several, its queue at the front and its processes under the master.

What is not said here is as the general sections say: `LAID_OVER` names the setting of each. A table with a target or a
command has processes of its own; without one the application is pulled by workers from elsewhere.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

from msgspec import Meta

from drawbar.config.app import TARGET, Interface
from drawbar.config.command import COMMAND
from drawbar.config.kinds import TEXT, Hint, Path, Seconds, Size
from drawbar.config.lifecycle import MANY, MAX_AGE_SECONDS
from drawbar.config.limits import GIB, MIB, PIB
from drawbar.config.mounts import HOST, PREFERENCE, PREFIX, Preference
from drawbar.config.names import NAME
from drawbar.config.queue import HOUR, MOST_WAITING
from drawbar.config.section import Conflict, Section
from drawbar.config.server import MAX_WORKERS, WORKERS
from drawbar.config.threads import Threads
from drawbar.config.timeouts import DAY_SECONDS
from drawbar.config.variables import Variables
from drawbar.config.work import MAX_SLOTS

LAID_OVER: Final = {
    "target": "app.target",
    "factory": "app.factory",
    "interface": "app.interface",
    "chdir": "app.chdir",
    "threads": "app.threads",
    "max_concurrency": "app.max_concurrency",
    "stream_input": "app.stream_input",
    "workers": "server.workers",
    "label": "work.label",
    "slots": "work.slots",
    "user": "process.user",
    "group": "process.group",
    "memory": "process.memory",
    "open_files": "process.open_files",
    "processes": "process.processes",
    "nice": "process.nice",
    "preload": "lifecycle.preload",
    "max_requests": "lifecycle.max_requests",
    "max_memory": "lifecycle.max_memory",
    "max_age": "lifecycle.max_age",
    "request_timeout": "timeouts.request",
    "boot": "timeouts.boot",
    "graceful": "timeouts.graceful",
}
"""Field of the table -> the key of the setting that it takes the place of."""

WITHOUT_A_TARGET: Final[dict[str, dict[str, Any]]] = {
    "app": {"target": None},
    "lifecycle": {"preload": False, "refork": 0, "max_requests": 0, "max_requests_jitter": 0},
    "timeouts": {"request": 0.0, "liveness": 0.0},
}
"""Sections of a command's configuration, where the general ones ask for what only a worker of ours can do."""

OF_PYTHON: Final = (
    "factory",
    "interface",
    "threads",
    "max_concurrency",
    "preload",
    "max_requests",
    "request_timeout",
)
"""What only a worker of Drawbar's own can honour, so that it does not go with a command."""


class AppTable(Section, frozen=True, kw_only=True):
    """An application of several: what is not said here is as the general sections say."""

    host: Annotated[
        tuple[Annotated[str, HOST], ...],
        Meta(description="Host names whose requests are this application's; none is all."),
    ] = ()
    prefix: Annotated[
        Annotated[str, PREFIX],
        Meta(description="Where its paths begin; the application gets the rest, and this as its root."),
    ] = ""
    priority: Annotated[
        tuple[Annotated[Preference, PREFERENCE], ...],
        Meta(
            description="Classes of paths: a class goes before all with higher numbers. What none names is in class 1."
        ),
    ] = ()
    safe: Annotated[
        tuple[Annotated[str, PREFIX], ...],
        Meta(description="Paths whose requests may be run again, whatever their method, when a worker is lost."),
    ] = ()
    target: Annotated[
        Annotated[str, TARGET] | None,
        Meta(description="The application to import, as TARGET of a command. Its processes belong to the master."),
    ] = None
    command: Annotated[
        Annotated[tuple[str, ...], COMMAND] | None,
        Meta(
            description="A program that serves the application instead, in whatever language: it is started with "
            "DRAWBAR_FROM, DRAWBAR_APP, DRAWBAR_LABEL and DRAWBAR_SLOTS in its environment, and `{from}`, `{app}`, "
            "`{label}` and `{slots}` in its arguments stand for the same."
        ),
    ] = None
    stream_input: Annotated[
        bool | None,
        Meta(description="As `front.stream_input`; a target's own processes have it as `app.stream_input` too."),
    ] = None
    env: Annotated[Variables, Meta(description="As `app.env`, whose variables it has as well.")] = ()
    factory: Annotated[bool | None, Meta(description="As `app.factory`.")] = None
    interface: Annotated[Interface | None, Meta(description="As `app.interface`.")] = None
    chdir: Annotated[Path | None, Meta(description="As `app.chdir`; of a command, the directory it is started in.")] = (
        None
    )
    threads: Annotated[Threads | None, Meta(description="As `app.threads`.")] = None
    max_concurrency: Annotated[int | None, Meta(ge=0, le=1_000_000, description="As `app.max_concurrency`.")] = None
    workers: Annotated[
        Annotated[int | Literal["auto"], WORKERS] | None,
        Meta(description="Processes of the application, as `server.workers`."),
    ] = None
    min: Annotated[
        int | None,
        Meta(
            ge=0,
            le=MAX_WORKERS,
            description="Processes that are kept when there is little to do; `0` keeps none, and the first request "
            "waits until one has started. Unset is 1.",
        ),
    ] = None
    max: Annotated[
        int | None,
        Meta(ge=1, le=MAX_WORKERS, description="Processes there may be; with it, their number follows the queue."),
    ] = None
    scale_wait: Annotated[
        Seconds,
        Meta(ge=0.01, le=HOUR, description="Between `min` and `max`: how long a request may wait for a worker."),
        Hint(past="one more process is started"),
    ] = 0.1
    scale_idle: Annotated[
        Seconds,
        Meta(
            ge=0.1,
            le=DAY_SECONDS,
            description="Between `min` and `max`: how long one process less must have been enough.",
        ),
        Hint(past="one process is stopped"),
    ] = 60.0
    label: Annotated[
        Annotated[str, NAME] | None, Meta(description="The version that the processes are, as `work.label`.")
    ] = None
    slots: Annotated[
        int | None,
        Meta(ge=0, le=MAX_SLOTS, description="As `work.slots`; of a command `0` is 4."),
    ] = None
    user: Annotated[
        Annotated[str, TEXT] | None, Meta(description="As `process.user`; each may write to the file of the error log.")
    ] = None
    group: Annotated[
        Annotated[str, TEXT] | None,
        Meta(description="As `process.group`; with a `user` of its own, unset is that user's."),
    ] = None
    memory: Annotated[Size | None, Meta(ge=16 * MIB, le=PIB, description="As `process.memory`.")] = None
    open_files: Annotated[int | None, Meta(ge=64, le=1 << 30, description="As `process.open_files`.")] = None
    processes: Annotated[int | None, Meta(ge=1, le=1 << 22, description="As `process.processes`.")] = None
    nice: Annotated[int | None, Meta(ge=-20, le=19, description="As `process.nice`.")] = None
    preload: Annotated[bool | None, Meta(description="As `lifecycle.preload`.")] = None
    max_requests: Annotated[int | None, Meta(ge=0, le=MANY, description="As `lifecycle.max_requests`.")] = None
    max_memory: Annotated[Size | None, Meta(ge=0, le=1 << 50, description="As `lifecycle.max_memory`.")] = None
    max_age: Annotated[Seconds | None, Meta(ge=0, le=MAX_AGE_SECONDS, description="As `lifecycle.max_age`.")] = None
    request_timeout: Annotated[Seconds | None, Meta(ge=0, le=DAY_SECONDS, description="As `timeouts.request`.")] = None
    boot: Annotated[Seconds | None, Meta(ge=0, le=DAY_SECONDS, description="As `timeouts.boot`.")] = None
    graceful: Annotated[Seconds | None, Meta(ge=0, le=DAY_SECONDS, description="As `timeouts.graceful`.")] = None
    queue_length: Annotated[int | None, Meta(ge=1, le=MOST_WAITING, description="As `queue.length`.")] = None
    queue_bytes: Annotated[Size | None, Meta(ge=MIB, le=1024 * GIB, description="As `queue.bytes`.")] = None
    queue_time: Annotated[Seconds | None, Meta(ge=0.1, le=HOUR, description="As `queue.time`.")] = None
    deadline: Annotated[Seconds | None, Meta(ge=0.1, le=24 * HOUR, description="As `queue.deadline`.")] = None
    lease: Annotated[Seconds | None, Meta(ge=1, le=24 * HOUR, description="As `queue.lease`.")] = None
    attempts: Annotated[int | None, Meta(ge=1, le=100, description="As `queue.attempts`.")] = None

    @property
    def has_workers(self) -> bool:
        """The master starts processes for it."""
        return self.target is not None or self.command is not None

    @property
    def is_scaled(self) -> bool:
        """The number of its processes follows the queue."""
        return self.max is not None

    def conflicts(self) -> Iterator[Conflict]:
        """One way to be served, one number of processes, and nobody waits longer than the whole may take."""
        if self.queue_time is not None and self.deadline is not None and self.queue_time > self.deadline:
            yield Conflict(("queue_time", "deadline"), "a request that waits that long is past its deadline already")
        if self.target is not None and self.command is not None:
            yield Conflict(("target", "command"), "a target is imported, a command is started; give one of the two")
        yield from self._conflicts_of_number()
        if self.command is not None:
            for field in OF_PYTHON:
                if getattr(self, field) is not None:
                    yield Conflict((field, "command"), f"{field} is for a target: a command is nothing to look into")

    def _conflicts_of_number(self) -> Iterator[Conflict]:
        for field in ("min", "max"):
            if self.workers is not None and getattr(self, field) is not None:
                yield Conflict(("workers", field), "a fixed number of processes leaves nothing between min and max")
        if self.min is not None and self.max is None:
            yield Conflict(("min", "max"), "there is no telling how many there may be; give max as well")
        if self.max is not None and self.least > self.max:
            yield Conflict(("min", "max"), "min is above max")

    @property
    def least(self) -> int:
        """Processes that are kept, where their number follows the queue."""
        return 1 if self.min is None else self.min
