"""[apps.NAME]: the applications behind one front, and which requests are whose."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from drawbar.config.kinds import Hint, Kind, Seconds, Size, parse_text
from drawbar.config.limits import GIB, MIB
from drawbar.config.names import parse_name
from drawbar.config.queue import HOUR, MOST_WAITING, QueueConfig
from drawbar.config.section import OF_FRONTS, Conflict, Section

MOST_PRIORITY = 3
FORM = "write NAME=HOST/PREFIX, such as blog=blog.example.org/, shop=/shop or site="


class Mount(msgspec.Struct, frozen=True):
    """An application's name and place. `host` "" is any; "*.example.org" any below that; `prefix` is "" or "/a/b"."""

    name: str
    host: str
    prefix: str

    def __str__(self) -> str:
        return f"{self.name}={self.host}{self.prefix or '/'}"


class Preference(msgspec.Struct, frozen=True):
    """Requests whose path begins with `prefix` wait in the class `priority`: 0 goes first."""

    prefix: str
    priority: int

    def __str__(self) -> str:
        return f"{self.prefix}={self.priority}"


def parse_host(raw: object) -> str:
    """A host name without port; `*.` before it takes all names below it, nothing at all takes every name."""
    host = parse_text(raw).strip().lower().rstrip(".")
    bare = host.removeprefix("*.")
    if any(character in bare for character in "/:*@?# ") and not (bare.startswith("[") and bare.endswith("]")):
        raise ValueError(f"{raw!r} is no host name; write one such as example.org or *.example.org, without a port")
    return host


def parse_prefix(raw: object) -> str:
    """A path that requests begin with, without the slash at its end."""
    path = parse_text(raw).strip()
    if (path and not path.startswith("/")) or any(character in path for character in "?# ") or "//" in path:
        raise ValueError(f"{raw!r} is no path; write one such as /shop")
    return path.rstrip("/")


def parse_mount(raw: object) -> Mount:
    """NAME=HOST/PREFIX; a name alone takes every request that no other application takes."""
    name, _, place = parse_text(raw).partition("=")
    host, slash, prefix = place.partition("/")
    try:
        return Mount(parse_name(name), parse_host(host), parse_prefix(slash + prefix))
    except ValueError as error:
        raise ValueError(f"{error}; {FORM}") from None


def parse_preference(raw: object) -> Preference:
    """PREFIX=CLASS."""
    prefix, equals, number = parse_text(raw).rpartition("=")
    if not equals or not number.strip().isdecimal() or int(number) > MOST_PRIORITY:
        raise ValueError(f"{raw!r} is no priority; write PREFIX=N with N from 0 (first) to {MOST_PRIORITY}")
    return Preference(parse_prefix(prefix), int(number))


MOUNT = Kind("NAME=HOST/PREFIX", "`NAME=HOST/PREFIX`", parse_mount)
HOST = Kind("HOST", "a host name, `*.` before it for all below it", parse_host)
PREFIX = Kind("PATH", "a path such as `/shop`", parse_prefix)
PREFERENCE = Kind("PREFIX=N", f"`PREFIX=N`, N from 0 (first) to {MOST_PRIORITY}", parse_preference)


class FrontConfig(Section, frozen=True, kw_only=True):
    """Which applications a front has queues for; `[apps.NAME]` says more of each."""

    OPTION: ClassVar[str] = "front-{}"
    COMMANDS: ClassVar[tuple[str, ...]] = OF_FRONTS

    apps: Annotated[
        tuple[Annotated[Mount, MOUNT], ...],
        Meta(description="Applications and which requests are theirs; none is one called `app` that takes all."),
        Hint(option="app", variable="DRAWBAR_APPS"),
    ] = ()
    stream_input: Annotated[
        bool, Meta(description="Gives a request to a worker when its head is in, before its body has come.")
    ] = False


class AppTable(Section, frozen=True, kw_only=True):
    """An application behind a front: what is not said here is as `[queue]` has it."""

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
    queue_length: Annotated[int | None, Meta(ge=1, le=MOST_WAITING, description="As `queue.length`.")] = None
    queue_bytes: Annotated[Size | None, Meta(ge=MIB, le=1024 * GIB, description="As `queue.bytes`.")] = None
    queue_time: Annotated[Seconds | None, Meta(ge=0.1, le=HOUR, description="As `queue.time`.")] = None
    deadline: Annotated[Seconds | None, Meta(ge=0.1, le=24 * HOUR, description="As `queue.deadline`.")] = None
    lease: Annotated[Seconds | None, Meta(ge=1, le=24 * HOUR, description="As `queue.lease`.")] = None
    attempts: Annotated[int | None, Meta(ge=1, le=100, description="As `queue.attempts`.")] = None

    def conflicts(self) -> Iterator[Conflict]:
        """Nobody waits longer than the whole may take."""
        if self.queue_time is not None and self.deadline is not None and self.queue_time > self.deadline:
            yield Conflict(("queue_time", "deadline"), "a request that waits that long is past its deadline already")


class AppPlan(msgspec.Struct, frozen=True, kw_only=True):
    """All that a front knows of an application: where its requests come from, and the bounds of its queue.

    Times in seconds. `hosts` empty: any; `prefix` "" or "/a/b".
    """

    name: str
    hosts: tuple[str, ...]
    prefix: str
    priority: tuple[Preference, ...]
    safe: tuple[str, ...]
    length: int
    bytes: int
    time: float
    deadline: float
    lease: float
    attempts: int


ONLY_APP = Mount("app", "", "")
"""The application of a front that names none."""


def plan_apps(mounts: Sequence[Mount], tables: Mapping[str, AppTable], queue: QueueConfig) -> tuple[AppPlan, ...]:
    """Every application once, in the order in which they are named; a table goes before what a mount says."""
    names = dict.fromkeys([*(mount.name for mount in mounts), *tables]) or {ONLY_APP.name: None}
    return tuple(
        _plan(name, [mount for mount in mounts if mount.name == name], tables.get(name, AppTable()), queue)
        for name in names
    )


def _plan(name: str, mounts: Sequence[Mount], table: AppTable, queue: QueueConfig) -> AppPlan:
    hosts = tuple(mount.host for mount in mounts if mount.host)
    prefixes = [mount.prefix for mount in mounts if mount.prefix]
    return AppPlan(
        name=name,
        hosts=table.host or hosts,
        prefix=table.prefix or (prefixes[0] if prefixes else ""),
        priority=table.priority,
        safe=table.safe,
        length=queue.length if table.queue_length is None else table.queue_length,
        bytes=queue.bytes if table.queue_bytes is None else table.queue_bytes,
        time=queue.time if table.queue_time is None else table.queue_time,
        deadline=queue.deadline if table.deadline is None else table.deadline,
        lease=queue.lease if table.lease is None else table.lease,
        attempts=queue.attempts if table.attempts is None else table.attempts,
    )


def disputed(plans: Sequence[AppPlan]) -> Iterator[tuple[str, str, str]]:
    """Places that two applications claim: the place, and their names. Of an application with several prefixes, too."""
    owners: dict[tuple[str, str], str] = {}
    for plan in plans:
        for host in plan.hosts or ("",):
            owner = owners.setdefault((host, plan.prefix), plan.name)
            if owner != plan.name:
                yield f"{host}{plan.prefix or '/'}", owner, plan.name
