"""The listening sockets of control: the control socket, and the addresses that answer metrics alone.

Only sockets and files here, no process and no HTTP. Which of them rest, and who may remove the control socket's file,
changes when a server is upgraded: two masters then hold the same sockets.
"""

import contextlib
import os
import socket
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from drawbar.config import Bind, Config, FdBind, ListenConfig, OperatorError, UnixBind
from drawbar.config.control import AUTO
from drawbar.config.log import OFF
from drawbar.supervisor.control import instances
from drawbar.supervisor.listeners import Listeners, address_of
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
    socket: socket.socket
    public: bool


class Doors:
    """All of them. Raises OperatorError for one that was asked for by name and cannot be had."""

    def __init__(self, config: Config, log: Log, inherited: Mapping[str, int]) -> None:
        self.path: str | None = None
        """The control socket's file; None when there is none."""
        self._opened: list[Listeners] = []
        self._doors: list[Door] = []
        self._own_name = config.control.socket == AUTO
        self._resting = set(inherited)
        self._adopted: tuple[int, int] | None = None
        """Identity of the inherited control socket's file: `_opened` knows only files it made."""
        try:
            self._open_control(config, log, inherited)
            for bind in config.control.metrics_bind:
                self._open_metrics(config, bind, inherited)
        except BaseException:
            self.close()
            raise
        # A door that the new configuration no longer has is not ours to keep.
        for name in self._resting - {door.name for door in self._doors}:
            os.close(inherited[name])

    def polled(self) -> list[int]:
        """Descriptors of the doors that are ours to answer."""
        return [door.socket.fileno() for door in self._doors if door.name not in self._resting]

    def awake(self) -> list[Door]:
        """The doors that are ours to answer."""
        return [door for door in self._doors if door.name not in self._resting]

    def descriptors(self) -> list[int]:
        """Descriptors of all doors."""
        return [door.socket.fileno() for door in self._doors]

    def metrics_addresses(self) -> list[str]:
        return [address_of(door.socket) for door in self._doors if door.public]

    def to_hand_over(self) -> dict[str, int]:
        """What a successor needs; a socket that bears our process id is not for it."""
        return {door.name: door.socket.fileno() for door in self._doors if door.public or not self._own_name}

    def wake(self) -> None:
        """Those that rested are ours now."""
        self._resting = set()

    def let_go(self) -> None:
        """A successor answers at what was handed over: closed here, and its file left alone."""
        given = self.to_hand_over()
        for door in self._doors:
            if door.name in given:
                door.socket.close()
        self._doors = [door for door in self._doors if door.name not in given]
        if CONTROL in given:
            self.path = None
        self._opened = [opened for opened in self._opened if any(sock.fileno() >= 0 for sock in opened.sockets)]

    def turn_away(self) -> None:
        """Ends the connections that wait now, unanswered."""
        for door in self.awake():
            with contextlib.suppress(OSError):
                for _ in range(BACKLOG + 1):
                    door.socket.accept()[0].close()

    def close(self) -> None:
        """Closes the sockets and removes the control socket's file."""
        for opened in self._opened:
            opened.close()
        if self.path is not None and self._adopted is not None and CONTROL not in self._resting:
            with contextlib.suppress(OSError):
                if _identity(self.path) == self._adopted:
                    os.unlink(self.path)
        self._doors, self._opened, self.path = [], [], None

    # Opening.

    def _open_control(self, config: Config, log: Log, inherited: Mapping[str, int]) -> None:
        wanted = config.control.socket
        if wanted == OFF:
            return
        if wanted == AUTO:
            try:
                path = _own_path()
                self._open(config, CONTROL, UnixBind(path), public=False)
            except OSError as error:
                log.warning(f"no control socket: {error.filename}: {error.strerror}")
            except OperatorError as error:
                log.warning(f"no control socket: {error}")
            else:
                self.path = path
            return
        path = os.path.abspath(wanted)
        if CONTROL in inherited:
            self._open(config, CONTROL, FdBind(inherited[CONTROL]), public=False)
            with contextlib.suppress(OSError):
                self._adopted = _identity(path)
        else:
            self._open(config, CONTROL, UnixBind(path), public=False)
        self.path = path

    def _open_metrics(self, config: Config, bind: Bind, inherited: Mapping[str, int]) -> None:
        name = f"{METRICS} {bind}"
        known = {key: fd for key, fd in inherited.items() if key == name or key.startswith(f"{name} ")}
        for fd in known.values():
            self._open(config, name, FdBind(fd), public=True)
        if not known:
            self._open(config, name, bind, public=True)

    def _open(self, config: Config, name: str, bind: Bind, *, public: bool) -> None:
        try:
            opened = Listeners(_as_server(config, bind, public))
        except OperatorError as error:
            option = "--metrics-bind" if public else "--control-socket"
            where = error.where.replace("--bind", option).replace("unix:", "" if not public else "unix:")
            raise OperatorError(error.what, where=where, right=error.right) from error
        self._opened.append(opened)
        for number, listener in enumerate(opened.sockets):
            # A host name may stand for several addresses.
            own = name if number == 0 else f"{name} {number}"
            self._doors.append(Door(own, listener, public))


def _as_server(config: Config, bind: Bind, public: bool) -> Config:
    """The configuration of a server with this one bind, for whom making listeners is a matter of course."""
    mode = config.server.unix_mode if public else instances.SOCKET_MODE
    owner = config.server.unix_owner if public else None
    server = msgspec.structs.replace(config.server, bind=(bind,), backlog=BACKLOG, unix_mode=mode, unix_owner=owner)
    tries = config.listen.bind_tries if public else 1
    listen = ListenConfig(bind_tries=tries, bind_delay=config.listen.bind_delay)
    return msgspec.structs.replace(config, server=server, listen=listen)


def _identity(path: str) -> tuple[int, int]:
    found = os.stat(path, follow_symlinks=False)
    return found.st_dev, found.st_ino


def _own_path() -> str:
    directory = instances.make_directory(os.environ, os.geteuid())
    instances.remove_stale(directory)
    return instances.path_for(directory, os.getpid())
