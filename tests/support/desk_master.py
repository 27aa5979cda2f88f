"""A master that has a desk and no workers, run by the tests as a program of its own.

    python desk_master.py JSON

JSON holds [control] of the configuration, and may hold "record" (members of the status it answers), "idle_s" (of the
control process), "broken" (the control process cannot start) and "lets_go" (`pause` hands the doors on). It tells on
standard output where its doors are, and each command. A reload that is waited for is answered when `resume` comes.
"""

import json
import os
import signal
import sys
import time
from typing import Any

from drawbar.config import Config, ControlConfig, OperatorError, parse_bind
from drawbar.net.scoreboard import Scoreboard
from drawbar.supervisor.child import reap
from drawbar.supervisor.control import process
from drawbar.supervisor.control.desk import Command, Desk
from drawbar.supervisor.exits import Exit
from drawbar.supervisor.host.title import set_title
from drawbar.supervisor.logs import Log
from drawbar.supervisor.poller import Poller

STACKS = "Thread 1\n  File app.py, line 7 in view\n"
MANY_STACKS = 20_000
"""Over a megabyte: much more than fits a message."""


class Poll(Poller):
    """The master's, and what it waits for."""

    @property
    def watched(self) -> set[int]:
        return set(self._callbacks)

    def would_call(self) -> bool:
        return bool(self._poll.poll(0))


class Master:
    """Answers commands until `stop`, or SIGTERM."""

    def __init__(self, options: dict[str, Any]) -> None:
        control = options.get("control", {})
        control["metrics_bind"] = tuple(parse_bind(bind) for bind in control.get("metrics_bind", []))
        if "idle_s" in options:
            process.IDLE_S = options["idle_s"]
        if options.get("broken"):
            sys.modules["drawbar.supervisor.control.process"] = None  # type: ignore[assignment]
        self._record = options.get("record", {})
        self._lets_go = options.get("lets_go", False)
        self._poll = Poll()
        self._wake, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(writer)
        for number in (signal.SIGCHLD, signal.SIGTERM):
            signal.signal(number, lambda number, frame: None)
        self._poll.register(self._wake, self._on_signal)
        log = Log("debug")
        scoreboard = Scoreboard.create(4)
        private = [self._wake, writer]
        self.desk = Desk(Config(control=ControlConfig(**control)), log, scoreboard, self._poll, private=lambda: private)
        self._started = time.time()
        self._waiting: list[Command] = []
        self._ended = False

    def run(self) -> None:
        tell("doors", self.desk.path or "-", *self.desk.addresses())
        while not self._ended:
            self._poll.wait(None, last=self._wake)
            for command in self.desk.commands():
                tell("command", command.verb, json.dumps(command.arguments, sort_keys=True))
                self._carry_out(command)
        self.desk.close()
        tell("ended")

    def _on_signal(self) -> None:
        arrived = os.read(self._wake, 64)
        if signal.SIGTERM in arrived:
            self._ended = True
        for pid, status in reap():
            assert self.desk.on_died(pid, Exit(status, out_of_memory=False))
            tell("buried", str(pid))

    def _carry_out(self, command: Command) -> None:
        getattr(self, "_" + command.verb.replace("-", "_"), self._done)(command)

    def _done(self, command: Command) -> None:
        self.desk.answer(command, {"message": f"{command.verb} is done"})

    def _status(self, command: Command) -> None:
        record = {
            "version": "1.2.3",
            "pid": os.getpid(),
            "started": self._started,
            "uptime_s": time.time() - self._started,
            "phase": "serving",
            "target": "shop:app",
            "interface": "wsgi",
            "generation": 3,
            "desired": 2,
            "listeners": [{"address": "http://127.0.0.1:8000", "backlog": {"waiting": 1, "limit": 2048}}],
            "workers": [
                {"slot": 1, "pid": os.getpid(), "generation": 3, "phase": "ready", "cell": 0, "started_s_ago": 61.0},
                {"slot": 2, "pid": 2**22 - 1, "generation": 3, "phase": "starting"},
            ],
            "restarts": {"crash": 1},
            "config_file": "drawbar.toml",
        }
        self.desk.answer(command, record | self._record)

    def _config(self, command: Command) -> None:
        settings = [
            {"key": "server.workers", "value": "2", "source": "drawbar.toml"},
            {"key": "server.backlog", "value": "2048", "source": "default"},
        ]
        self.desk.answer(command, {"file": "drawbar.toml", "settings": settings})

    def _stacks(self, command: Command) -> None:
        pid = command.arguments.get("pid")
        if pid not in (None, os.getpid()):
            self.desk.refuse(command, f"no worker has process id {pid}", "unknown")
            return
        text = STACKS if pid else STACKS * MANY_STACKS
        self.desk.answer(command, {"workers": [{"slot": 1, "pid": os.getpid(), "text": text}]})

    def _reload(self, command: Command) -> None:
        if command.arguments["wait"]:
            self._waiting.append(command)
        else:
            self._done(command)

    def _resume(self, command: Command) -> None:
        self._done(command)
        for waiting in self._waiting:
            self.desk.answer(waiting, {"message": "reloaded at last"})

    def _upgrade(self, command: Command) -> None:
        self.desk.refuse(command, "an upgrade is under way", "conflict")

    def _restart(self, command: Command) -> None:
        """Never answered."""

    def _pause(self, command: Command) -> None:
        self._done(command)
        if self._lets_go:
            self.desk.let_go()

    def _kill(self, command: Command) -> None:
        self.desk.refuse(command, f"no worker has process id {command.arguments['pid']}", "unknown")

    def _stop(self, command: Command) -> None:
        self._done(command)
        self._ended = True


def tell(*words: str) -> None:
    print(*words, flush=True)


def main() -> int:
    options = json.loads(sys.argv[1])
    try:
        master = Master(options)
    except OperatorError as error:
        print(f"drawbar: error: {error}", file=sys.stderr)
        return 2
    set_title("test: master", "test-master")
    master.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
