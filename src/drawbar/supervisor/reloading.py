"""From the configuration in force to the next one: what a reload takes over, and what it cannot.

Pure. A server's user, root and control socket belong to the process that has them: another value waits for the next
process, which an upgrade or a restart brings, and is told.
"""

import os
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import msgspec

from drawbar.config import Config, OperatorError
from drawbar.config.sources import Effective, Loaded
from drawbar.supervisor.logs import Log
from drawbar.supervisor.pool import Timing

LASTING: Final = (
    "server.split",
    "server.reload",
    "server.reload_dirs",
    "control.socket",
    "control.metrics_bind",
    "process.user",
    "process.group",
    "process.chroot",
    "process.umask",
    "process.daemonize",
    "process.inetd",
)
"""Settings that last as long as the master."""

LASTING_OF_APPS: Final = ("user", "group")
"""The same of the table of an application."""


class Former(NamedTuple):
    """A configuration, where it is from, and the log it wants: what to go back to when the next one does not start."""

    config: Config
    loaded: Loaded | None
    log: Log


def take_over(present: Config, wanted: Config) -> tuple[Config, list[str]]:
    """The next configuration, and the keys in which it stays with the present one though another value is wanted."""
    kept = [key for key in LASTING if value(present, key) != value(wanted, key)]
    for key in kept:
        name, field = key.split(".")
        section = msgspec.structs.replace(getattr(wanted, name), **{field: value(present, key)})
        wanted = msgspec.structs.replace(wanted, **{name: section})
    return _take_over_apps(present, wanted, kept)


def _take_over_apps(present: Config, wanted: Config, kept: list[str]) -> tuple[Config, list[str]]:
    """The same for the tables of applications that were there before."""
    tables = dict(wanted.apps)
    for name in sorted(tables.keys() & present.apps.keys()):
        former = present.apps[name]
        changed = [field for field in LASTING_OF_APPS if getattr(former, field) != getattr(tables[name], field)]
        tables[name] = msgspec.structs.replace(tables[name], **{field: getattr(former, field) for field in changed})
        kept += [f"apps.{name}.{field}" for field in changed]
    return msgspec.structs.replace(wanted, apps=tables), kept


def in_force(present: Loaded, wanted: Loaded, kept: Iterable[str]) -> Loaded:
    """What is known of the next configuration, when it stays with the present one in the keys that are `kept`."""
    present_of = {item.setting.key: item for item in present.effective}

    def settled(item: Effective) -> Effective:
        if item.setting.key not in kept:
            return item
        return msgspec.structs.replace(present_of[item.setting.key], waits=item.setting.show(item.value))

    return msgspec.structs.replace(wanted, effective=tuple(map(settled, wanted.effective)))


def later(key: str) -> str:
    """The warning about a key that stays as it is."""
    return f"{key} has changed: an upgrade or a restart will honour it"


def require_file(present: str | None, wanted: str | None) -> None:
    """Raises OperatorError when the file that was read is not there any more: defaults shall not take its place."""
    if present is not None and wanted is None:
        raise OperatorError(f"the file {present} is gone", right="put it back, or restart to go without")


def value(config: Config, key: str) -> Any:
    """The value of a key such as "server.bind"."""
    section, field = key.split(".")
    return getattr(getattr(config, section), field)


def worker_count(config: Config, asked: int | None) -> int:
    """How many workers there shall be: as many as somebody asked for, or as the configuration says."""
    return config.server.worker_count(len(os.sched_getaffinity(0))) if asked is None else asked


def timing_of(config: Config) -> Timing:
    """The pool's patience as the configuration has it."""
    return Timing(
        graceful_s=config.timeouts.graceful,
        boot_s=config.timeouts.boot,
        max_age_s=config.lifecycle.max_age,
        drain_delay_s=config.lifecycle.drain_delay,
    )
