"""The tree: every setting of the server, as one frozen value.

Whoever needs a setting is given this value or a section of it; nobody reads files or the environment for it. Every
section has defaults, so `Config()` is a server on 127.0.0.1:8000 that only lacks its application.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from drawbar.config.api import ApiConfig
from drawbar.config.app import AppConfig
from drawbar.config.app_table import LAID_OVER, WITHOUT_A_TARGET, AppTable
from drawbar.config.apps import AppPlan, FrontConfig, disputed, plan_apps
from drawbar.config.control import ControlConfig
from drawbar.config.hooks import HooksConfig
from drawbar.config.lifecycle import LifecycleConfig
from drawbar.config.limits import LimitsConfig
from drawbar.config.listen import ListenConfig
from drawbar.config.log import STANDARD, LogConfig
from drawbar.config.process import ProcessConfig
from drawbar.config.proxy import ProxyConfig
from drawbar.config.queue import QueueConfig
from drawbar.config.section import Conflict
from drawbar.config.server import ServerConfig
from drawbar.config.timeouts import TimeoutsConfig
from drawbar.config.variables import merged
from drawbar.config.websocket import WebsocketConfig
from drawbar.config.work import WorkConfig


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """All settings, section by section, in the order help and manual show them."""

    server: ServerConfig = ServerConfig()
    listen: ListenConfig = ListenConfig()
    app: AppConfig = AppConfig()
    lifecycle: LifecycleConfig = LifecycleConfig()
    limits: LimitsConfig = LimitsConfig()
    timeouts: TimeoutsConfig = TimeoutsConfig()
    proxy: ProxyConfig = ProxyConfig()
    log: LogConfig = LogConfig()
    websocket: WebsocketConfig = WebsocketConfig()
    control: ControlConfig = ControlConfig()
    process: ProcessConfig = ProcessConfig()
    work: WorkConfig = WorkConfig()
    hooks: HooksConfig = HooksConfig()
    front: FrontConfig = FrontConfig()
    api: ApiConfig = ApiConfig()
    queue: QueueConfig = QueueConfig()
    apps: dict[str, AppTable] = {}
    """The tables `[apps.NAME]`."""

    def app_plans(self) -> tuple[AppPlan, ...]:
        """The applications behind a front of this configuration; one at least."""
        return plan_apps(self.front.apps, self.apps, self.queue)

    def for_app(self, name: str) -> "Config":
        """As the workers of that application have it: its table laid over the general sections.

        `server.workers` is what it starts with, which may be 0. A target or command of the table is all it serves.
        """
        table = self.apps.get(name, AppTable())
        said: dict[str, dict[str, Any]] = {"work": {"app": name}}
        for field, key in LAID_OVER.items():
            value = getattr(table, field)
            if value is not None:
                section, setting = key.split(".")
                said.setdefault(section, {})[setting] = value
        if table.env:
            said.setdefault("app", {})["env"] = merged(self.app.env, table.env)
        if table.user is not None:
            said["process"]["group"] = table.group
        if table.is_scaled:
            said.setdefault("server", {})["workers"] = table.least
        if table.command is not None:
            for section, values in WITHOUT_A_TARGET.items():
                said.setdefault(section, {}).update(values)
        replace = msgspec.structs.replace
        own = {section: replace(getattr(self, section), **values) for section, values in said.items()}
        return replace(self, apps={name: table}, **own)

    def place(self, field: str, general: str) -> str:
        """Where a setting stands for the application whose workers these are: in its table, or where all have it."""
        name = self.work.app
        is_own = name in self.apps and getattr(self.apps[name], field) is not None
        return f"apps.{name}.{field}" if is_own else general

    def conflicts(self) -> Iterator[Conflict]:
        """What in one section contradicts another; the fields are keys such as "hooks.before_fork"."""
        if self.hooks.before_fork and not self.lifecycle.preload:
            yield Conflict(
                ("hooks.before_fork", "lifecycle.preload"),
                "before_fork runs in the fork server, which only preload starts; after_fork runs in each worker",
            )
        for place, first, second in disputed(self.app_plans()):
            keys = tuple(f"apps.{name}" if name in self.apps else "front.apps" for name in (first, second))
            yield Conflict(keys, f"{first} and {second} both claim {place}; tell them apart by host or prefix")
        for name, table in self.apps.items():
            if table.has_workers and self.process.chroot is not None:
                why = f"the processes of {name} would not find the front from there; chroot is for one application"
                yield Conflict(("process.chroot", f"apps.{name}"), why)
            if table.stream_input and table.target is not None and self.app.concurrency == "fork":
                why = "a request's own process starts when its body is there"
                yield Conflict(("app.concurrency", f"apps.{name}"), why)
        if self.server.split and self.process.chroot is not None:
            why = "the workers would not find the front from there"
            yield Conflict(("server.split", "process.chroot"), why)
        if self.process.inetd:
            yield from self._conflicts_of_inetd()
        if self.process.daemonize:
            yield from self._conflicts_of_a_daemon()

    def _conflicts_of_inetd(self) -> Iterator[Conflict]:
        if self.log.access == STANDARD:
            yield Conflict(
                ("process.inetd", "log.access"), "standard output is the connection; write --access-log PATH"
            )
        if self.server.reload:
            yield Conflict(("process.inetd", "server.reload"), "a process for one connection has nothing to restart")
        if self.server.split:
            yield Conflict(("process.inetd", "server.split"), "a process for one connection is all there is")

    def _conflicts_of_a_daemon(self) -> Iterator[Conflict]:
        for field, option in (("error", "--error-log"), ("access", "--access-log")):
            if getattr(self.log, field) == STANDARD:
                why = f"a daemon has no terminal to write to; --daemonize needs {option} PATH"
                yield Conflict(("process.daemonize", f"log.{field}"), why)
