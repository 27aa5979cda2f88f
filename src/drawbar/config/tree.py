"""The tree: every setting of the server, as one frozen value.

Whoever needs a setting is given this value or a section of it; nobody reads files or the environment for it. Every
section has defaults, so `Config()` is a server on 127.0.0.1:8000 that only lacks its application.
"""

from collections.abc import Iterator

import msgspec

from drawbar.config.app import AppConfig
from drawbar.config.control import ControlConfig
from drawbar.config.hooks import HooksConfig
from drawbar.config.lifecycle import LifecycleConfig
from drawbar.config.limits import LimitsConfig
from drawbar.config.listen import ListenConfig
from drawbar.config.log import LogConfig
from drawbar.config.process import ProcessConfig
from drawbar.config.proxy import ProxyConfig
from drawbar.config.section import Conflict
from drawbar.config.server import ServerConfig
from drawbar.config.timeouts import TimeoutsConfig
from drawbar.config.websocket import WebsocketConfig


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
    hooks: HooksConfig = HooksConfig()

    def conflicts(self) -> Iterator[Conflict]:
        """What in one section contradicts another; the fields are keys such as "hooks.before_fork"."""
        if self.hooks.before_fork and not self.lifecycle.preload:
            yield Conflict(
                ("hooks.before_fork", "lifecycle.preload"),
                "before_fork runs in the fork server, which only preload starts; after_fork runs in each worker",
            )
