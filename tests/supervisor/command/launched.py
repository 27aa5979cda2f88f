"""Becomes a command as a forked child does: python launched.py COMMAND CHDIR; says why when it cannot."""

import json
import sys

from drawbar.config import AppConfig, Config, FrontUrl, OperatorError, WorkConfig
from drawbar.config.app_table import AppTable
from drawbar.config.variables import Variable
from drawbar.supervisor.command.launch import COMMAND
from drawbar.supervisor.listening.listeners import Sockets

config = Config(
    app=AppConfig(chdir=sys.argv[2] or None, env=(Variable("SITE_A", "own"), Variable("DRAWBAR_CONFIG", "own"))),
    work=WorkConfig(front=(FrontUrl("unix", "/run/shop.sock"),), app="shop", label="v8"),
    apps={"shop": AppTable(command=tuple(json.loads(sys.argv[1])))},
)
try:
    COMMAND.run(config, Sockets(), 1, print)
except OperatorError as error:
    print(json.dumps({"refused": str(error)}))
