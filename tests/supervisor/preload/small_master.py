"""A master that does what it is told, run by the tests as a program of its own.

    python small_master.py COMMANDS_FD JSON

It starts a fork server for the configuration in JSON, and then for each line it reads does one thing and answers
with one line. What its children report, and how they end, are lines as well: `report PID TEXT`, `end PID CODE`.
"""

import json
import os
import select
import signal
import socket
import sys
from typing import Any, NoReturn

import msgspec

from drawbar.config import AppConfig, Config, LogConfig, TimeoutsConfig
from drawbar.config.hooks import HooksConfig
from drawbar.config.lifecycle import LifecycleConfig
from drawbar.supervisor.child import Spawned, reap
from drawbar.supervisor.logs import Log
from drawbar.supervisor.preload import fork_server
from drawbar.supervisor.preload.fork_orders import Order, receive_reply, send_order
from drawbar.supervisor.preload.fork_server import REPLY_S, ForkServer, promote


class SmallMaster:
    def __init__(self, config: Config) -> None:
        self.config = config
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.children: dict[int, Spawned] = {}
        self.wake, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(writer)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        self.own = [self.wake, writer]
        self.say(f"listening {self.listener.getsockname()[1]}")
        self.do_start()

    def say(self, line: str) -> None:
        print(line, flush=True)

    def private(self) -> list[int]:
        orders = [child.orders.fileno() for child in self.children.values() if child.orders is not None]
        return [*self.own, *(child.reports for child in self.children.values()), *orders, self.listener.fileno()]

    def do_start(self) -> None:
        self.server = ForkServer.start(self.config, Log.from_config(self.config.log), self.private())
        self.children[self.server.pid] = Spawned(self.server.pid, self.server.reports)
        os.set_blocking(self.server.reports, False)
        self.say(f"server {self.server.pid}")

    def do_fork(self, slot: str) -> None:
        try:
            worker = self.server.spawn(int(slot), -1, [self.listener])
        except OSError as error:
            self.say(f"refused {error.strerror}")
            return
        self.children[worker.pid] = worker
        self.say(f"worker {worker.pid}")

    def do_fork_and_forget(self) -> None:
        """As a master that gave the worker up between order and reply."""
        reader, writer = os.pipe2(os.O_CLOEXEC)
        leash, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        channel = socket.socket(fileno=os.dup(self.server.fileno()))
        channel.settimeout(REPLY_S)
        send_order(channel, Order(slot=9, cell=-1), [writer, there.fileno()])
        reply = receive_reply(channel)
        assert reply is not None
        for held in (leash, there, channel):
            held.close()
        os.close(writer)
        os.close(reader)
        self.say(f"worker {reply.pid}")

    def do_promote(self, pid: str) -> None:
        promote(self.children[int(pid)])

    def do_adopt(self, pid: str) -> None:
        self.server.stop()
        self.server = ForkServer.promoted(self.children[int(pid)])
        self.say(f"server {pid}")

    def do_hang_up(self) -> None:
        self.server.close()

    def run(self) -> NoReturn:
        while True:
            poll = select.poll()
            for descriptor in (0, self.wake, *(child.reports for child in self.children.values())):
                poll.register(descriptor, select.POLLIN)
            ready = {descriptor for descriptor, _ in poll.poll()}
            for child in list(self.children.values()):
                if child.reports in ready:
                    self.hear(child)
            if self.wake in ready:
                os.read(self.wake, 64)
                self.reap()
            if 0 in ready:
                lines = os.read(0, 4096).decode().splitlines()
                if not lines:
                    os._exit(0)
                for line in lines:
                    name, *arguments = line.split()
                    getattr(self, f"do_{name}")(*arguments)

    def hear(self, child: Spawned) -> None:
        try:
            data = os.read(child.reports, 4096)
        except BlockingIOError:
            return
        for line in data.decode().splitlines():
            self.say(f"report {child.pid} {line}")
        if not data:
            # Its end is told by its death.
            del self.children[child.pid]

    def reap(self) -> None:
        for pid, status in reap():
            child = self.children.get(pid)
            if child is not None:
                self.hear(child)
                self.children.pop(pid, None)
            self.say(f"end {pid} {os.waitstatus_to_exitcode(status)}")


def read_config(options: dict[str, Any]) -> Config:
    kinds = {
        "app": AppConfig,
        "lifecycle": LifecycleConfig,
        "hooks": HooksConfig,
        "log": LogConfig,
        "timeouts": TimeoutsConfig,
    }
    sections = {name: msgspec.convert(options.get(name, {}), kind) for name, kind in kinds.items()}
    return Config(**sections)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    fork_server.REPLY_S = given.get("reply_s", fork_server.REPLY_S)
    SmallMaster(read_config(given)).run()
