"""[front] and [apps.NAME]: the applications behind one front, and which requests are whose."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from drawbar.config.app_table import AppTable
from drawbar.config.kinds import Hint
from drawbar.config.mounts import MOUNT, Mount, Preference
from drawbar.config.queue import QueueConfig
from drawbar.config.section import OF_FRONTS, Section


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
    stream_input: bool | None


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
        stream_input=table.stream_input,
    )


def disputed(plans: Sequence[AppPlan]) -> Iterator[tuple[str, str, str]]:
    """Places that two applications claim: the place, and their names. Of an application with several prefixes, too."""
    owners: dict[tuple[str, str], str] = {}
    for plan in plans:
        for host in plan.hosts or ("",):
            owner = owners.setdefault((host, plan.prefix), plan.name)
            if owner != plan.name:
                yield f"{host}{plan.prefix or '/'}", owner, plan.name
