"""What a deploy has made of an application's workers, laid over what the configuration says. Pure.

A version holds until the configuration names another label than it did when the version was deployed: then somebody has
written there what shall be, and that is newer. Whoever forgets to is told by nobody but the next start, so the log says
what to write.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from drawbar.config import Config
from drawbar.config.app_table import AppTable


class Version(Struct, frozen=True):
    """Workers of an application. label: None is none. beside: the label that the configuration named then.

    What is not said (None) is as the configuration says.
    """

    label: str | None
    beside: str | None
    target: str | None = None
    command: tuple[str, ...] | None = None
    chdir: str | None = None
    workers: int | None = None


class Past(Struct, frozen=True):
    """What had everything before: its label, "" for none, and what its workers were; None: workers elsewhere."""

    label: str
    version: Version | None = None


def label_of(config: Config, app: str) -> str | None:
    """The label that the configuration names for the workers of an application."""
    return config.for_app(app).work.label if app in config.apps else None


def as_configured(config: Config, app: str) -> Version:
    """The version that the configuration is."""
    label = label_of(config, app)
    return Version(label, label)


def in_force(config: Config, versions: Mapping[str, Version]) -> dict[str, Version]:
    """Those that the configuration has not overtaken."""
    return {app: version for app, version in versions.items() if version.beside == label_of(config, app)}


def laid_over(config: Config, versions: Mapping[str, Version]) -> Config:
    """The configuration with these versions of its applications."""
    tables = dict(config.apps)
    for app, version in versions.items():
        tables[app] = _table(tables.get(app, AppTable()), version)
    return msgspec.structs.replace(config, apps=tables)


def _table(table: AppTable, version: Version) -> AppTable:
    changes: dict[str, Any] = {"label": version.label}
    if version.target is not None:
        changes |= {"target": version.target, "command": None}
    if version.command is not None:
        changes |= {"command": version.command, "target": None}
    if version.chdir is not None:
        changes["chdir"] = version.chdir
    if version.workers is not None:
        # So many, whatever the queue.
        changes |= {"workers": version.workers, "min": None, "max": None}
    return msgspec.structs.replace(table, **changes)


def to_be_written(app: str, version: Version, config: Config) -> str | None:
    """What the configuration does not say yet, as it would; None: it says all."""
    if version == as_configured(config, app):
        return None
    lines = []
    for name in ("label", "target", "command", "chdir", "workers"):
        value = getattr(version, name)
        if value is not None:
            lines.append(f"{name} = {msgspec.json.encode(value).decode()}")
    return f"[apps.{app}] " + ", ".join(lines)
