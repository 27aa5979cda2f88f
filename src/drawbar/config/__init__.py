"""The configuration: one typed tree, and the adapters that fill it.

Lives here: the sections and their types (`tree`), what a person writes for them (`kinds`, `binds`, `threads`,
`networks`, `fronts`), the operator's errors, and the sources: TOML, environment, command line (`sources`). Must not
know anything else of Drawbar. This module exports what a running server needs; the adapters are imported by those who
use them.
"""

from drawbar.config.app import AppConfig
from drawbar.config.binds import Bind, FdBind, TcpBind, UnixBind, parse_bind
from drawbar.config.control import ControlConfig
from drawbar.config.errors import OperatorError
from drawbar.config.fronts import FrontUrl
from drawbar.config.hooks import HooksConfig
from drawbar.config.lifecycle import LifecycleConfig
from drawbar.config.limits import LimitsConfig
from drawbar.config.listen import ListenConfig
from drawbar.config.log import LogConfig
from drawbar.config.networks import Network, parse_network
from drawbar.config.process import ProcessConfig
from drawbar.config.proxy import ProxyConfig
from drawbar.config.server import ServerConfig
from drawbar.config.threads import ThreadRange, parse_threads
from drawbar.config.timeouts import TimeoutsConfig
from drawbar.config.tree import Config
from drawbar.config.websocket import WebsocketConfig
from drawbar.config.work import WorkConfig

__all__ = [
    "AppConfig",
    "Bind",
    "Config",
    "ControlConfig",
    "FdBind",
    "FrontUrl",
    "HooksConfig",
    "LifecycleConfig",
    "LimitsConfig",
    "ListenConfig",
    "LogConfig",
    "Network",
    "OperatorError",
    "ProcessConfig",
    "ProxyConfig",
    "ServerConfig",
    "TcpBind",
    "ThreadRange",
    "TimeoutsConfig",
    "UnixBind",
    "WebsocketConfig",
    "WorkConfig",
    "parse_bind",
    "parse_network",
    "parse_threads",
]
