"""The listening sockets of control: the control socket, and the addresses that answer metrics alone.

Only sockets and files here, no process and no HTTP. Which of them rest changes when a server is upgraded: two masters
then hold the same sockets, and the last one to close a control socket removes its file.
"""

import contextlib
import os
import socket
from collections.abc import Mapping
from typing import NamedTuple

from drawbar.config import Bind, Config, FdBind, OperatorError, UnixBind
from drawbar.config.control import AUTO
from drawbar.config.log import OFF
from drawbar.supervisor.control import instances
from drawbar.supervisor.listening.sockets import Made, Opened, Options, address_of, open_bind
from drawbar.supervisor.logs import Log

CONTROL = "control"
"""Name of the control socket among those handed over."""
METRICS = "metrics"
"""Start of the others' names."""
BACKLOG = 64
"""Connections that wait for the control process: a few operators and collectors, and room for a burst of them."""


class Door(NamedTuple):
    """One listening socket. A `public` one answers metrics and probes, and takes no commands."""

    name: str
    opened: Opened
    public: bool

    @property
    def socket(self) -> socket.socket:
        return self.opened.socket

    def fileno(self) -> int:
        return self.opened.socket.fileno()


class Doors:
    """All of them. Raises OperatorError for one that was asked for by name and cannot be had."""

    def __init__(self, config: Config, log: Log, inherited: Mapping[str, int]) -> None:
        self.path: str | None = None
        """The control socket's file; None when there is none."""
        self._doors: list[Door] = []
        self._spare = -1
        """A descriptor to give up when there is no other: whoever waits can then be turned away."""
        self._handed: list[Opened] = []
        """What a successor has now."""
        inherited = _without_former_place(config.control.socket, inherited)
        self._own_name = config.control.socket == AUTO
        self._resting = set(inherited)
        try:
            self._open_control(config, log, inherited)
            for bind in config.control.metrics_bind:
                self._open_metrics(config, bind, inherited)
        except BaseException:
            self.close()
            raise
        if self._doors:
            self._keep_spare()
        # A door that the new configuration no longer has is not ours to keep.
        for name in self._resting - {door.name for door in self._doors}:
            os.close(inherited[name])

    def awake(self) -> list[Door]:
        """The doors that are ours to answer."""
        return [door for door in self._doors if door.name not in self._resting]

    def descriptors(self) -> list[int]:
        """Descriptors of all doors, and the spare one."""
        return [*(door.fileno() for door in self._doors), *([self._spare] if self._spare >= 0 else [])]

    def metrics_addresses(self) -> list[str]:
        """Where to reach the doors that answer metrics alone."""
        return [address_of(door.socket) for door in self._doors if door.public]

    def to_hand_over(self) -> dict[str, int]:
        """What a successor needs; a socket that bears our process id is not for it."""
        return {door.name: door.fileno() for door in self._doors if self._is_for_successor(door)}

    def wake(self) -> None:
        """Those that rested are ours now."""
        self._resting = set()

    def let_go(self) -> None:
        """A successor answers at what was handed over: closed here, its file stays."""
        for door in self._doors:
            if self._is_for_successor(door):
                door.opened.let_go()
                # Whether it answers there shows when the last control process is gone, which has the socket, too.
                self._handed.append(door.opened)
        self._doors = [door for door in self._doors if not self._is_for_successor(door)]
        if not any(door.name == CONTROL for door in self._doors):
            self.path = None

    def turn_away(self) -> None:
        """Ends the connections that wait now, unanswered: they would wake the master again and again."""
        self._give_up_spare()
        for door in self.awake():
            with contextlib.suppress(OSError):
                for _ in range(BACKLOG + 1):
                    door.socket.accept()[0].close()
        self._keep_spare()

    def close(self) -> None:
        """Closes the sockets; removes the control socket's file unless another master listens there."""
        for opened in (*self._handed, *(door.opened for door in self._doors)):
            opened.close()
        self._handed, self._doors, self.path = [], [], None
        self._give_up_spare()

    def _keep_spare(self) -> None:
        with contextlib.suppress(OSError):
            self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def _give_up_spare(self) -> None:
        if self._spare >= 0:
            os.close(self._spare)
            self._spare = -1

    def _is_for_successor(self, door: Door) -> bool:
        return door.public or not self._own_name

    # Opening.

    def _open_control(self, config: Config, log: Log, inherited: Mapping[str, int]) -> None:
        wanted = config.control.socket
        options = Options(BACKLOG, unix_mode=instances.SOCKET_MODE)
        if wanted == OFF:
            return
        if wanted != AUTO:
            self._open_named(os.path.abspath(wanted), options, inherited.get(CONTROL))
            return
        try:
            path = _own_path()
            self._open(CONTROL, UnixBind(path), options, f"control socket {path}")
        except OSError as error:
            log.warning(f"no control socket: {error.filename}: {error.strerror}")
        except OperatorError as error:
            log.warning(f"no control socket: {error}")
        else:
            self.path = path

    def _open_named(self, path: str, options: Options, inherited: int | None) -> None:
        where = f"--control-socket {path}"
        if inherited is None:
            self._open(CONTROL, UnixBind(path), options, where)
        else:
            self._open(CONTROL, FdBind(inherited), options, where)
            with contextlib.suppress(OSError):
                self._doors[-1].opened.made = Made(path, _identity(path))
        self.path = path

    def _open_metrics(self, config: Config, bind: Bind, inherited: Mapping[str, int]) -> None:
        # The addresses' own: options for clients' connections, such as waiting for their first bytes, do not apply.
        options = Options(BACKLOG, unix_mode=config.server.unix_mode, unix_owner=config.server.unix_owner)
        name, where = f"{METRICS} {bind}", f"--metrics-bind {bind}"
        known = [fd for key, fd in inherited.items() if key == name or key.startswith(f"{name} ")]
        for descriptor in known:
            self._open(name, FdBind(descriptor), options, where)
        if not known:
            self._open(name, bind, options, where)

    def _open(self, name: str, bind: Bind, options: Options, where: str) -> None:
        for opened in open_bind(bind, options, where):
            # A host name may stand for several addresses.
            number = sum(door.name == name or door.name.startswith(f"{name} ") for door in self._doors)
            self._doors.append(Door(f"{name} {number}" if number else name, opened, name != CONTROL))


def _without_former_place(wanted: str, inherited: Mapping[str, int]) -> Mapping[str, int]:
    """The doors there are for this configuration: a control socket that is to be elsewhere now is closed."""
    descriptor = inherited.get(CONTROL)
    if descriptor is None:
        return inherited
    with socket.socket(fileno=os.dup(descriptor)) as control:
        if wanted not in (AUTO, OFF) and control.getsockname() == os.path.abspath(wanted):
            return inherited
    os.close(descriptor)
    return {name: kept for name, kept in inherited.items() if name != CONTROL}


def _identity(path: str) -> tuple[int, int]:
    found = os.stat(path, follow_symlinks=False)
    return found.st_dev, found.st_ino


def _own_path() -> str:
    directory = instances.make_directory(os.environ, os.geteuid())
    instances.remove_stale(directory)
    return instances.path_for(directory, os.getpid())
