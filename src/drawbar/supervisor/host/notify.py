"""What the master tells the service manager that started it: sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3).

Pure Python on one datagram a message. The socket is made for each message and closed behind it: messages are rare, and
no child inherits it. Nothing here raises: a service manager that cannot be told is no reason not to serve.

The variables by which the manager is reached belong to the master alone. An application that finds them may say "ready"
for a server that is not. So they stay in the master's environment, whose next master needs them (`hand_on`), and every
child begins by forgetting them (`forget_manager`).
"""

import contextlib
import os
import socket
import time
from collections.abc import Callable, Mapping, MutableMapping
from typing import Final, Self

NOTIFY_SOCKET: Final = "NOTIFY_SOCKET"
WATCHDOG_USEC: Final = "WATCHDOG_USEC"
WATCHDOG_PID: Final = "WATCHDOG_PID"
LISTEN_PID: Final = "LISTEN_PID"
LISTEN_FDS: Final = "LISTEN_FDS"
LISTEN_FDNAMES: Final = "LISTEN_FDNAMES"

MANAGER_VARIABLES: Final = (NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID, LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES)

SEND_TIMEOUT_S: Final = 0.5
"""A manager with a full queue is waited for this long; then the message is dropped, for the master must move on."""

STATUS_CHARACTERS: Final = 200
"""Longest status text: `systemctl status` shows one line."""


class Notifier:
    """The way to the service manager; without an address every message is for nobody."""

    def __init__(
        self,
        address: str = "",
        watchdog_s: float | None = None,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        """`address` is a path, or a name in the abstract space when it starts with "@" (unix(7)); "" is nobody."""
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._monotonic_ns = monotonic_ns
        self.watchdog_s = watchdog_s if address else None
        """Seconds between two beats; None when the manager watches nothing."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], pid: int | None = None) -> Self:
        """What the manager said to the process `pid`, by default this one. The environment is left as it is."""
        address = environ.get(NOTIFY_SOCKET, "")
        # A path or an abstract name; what else a manager may write, such as vsock:…, is not for a process here.
        if address[:1] not in ("/", "@") or len(address) < 2:
            return cls()
        return cls(address, watchdog_interval(environ, os.getpid() if pid is None else pid))

    def __bool__(self) -> bool:
        """Somebody listens."""
        return bool(self._address)

    def ready(self, status: str = "") -> None:
        """The server serves: for the first time, or again after `reloading()`."""
        self._tell("READY=1", status)

    def reloading(self, status: str = "") -> None:
        """A reload begins; `ready()` ends it. The time tells the manager which of its requests is meant."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={self._monotonic_ns() // 1000}", status)

    def stopping(self, status: str = "") -> None:
        """The end has begun."""
        self._tell("STOPPING=1", status)

    def status(self, text: str) -> None:
        """A line for `systemctl status`."""
        self._tell("", text)

    def main_pid(self, pid: int) -> None:
        """Another process is the master from now on. Only the present one is believed, so it has to say it.

        It is the last this one says: a manager that listens to every process (NotifyAccess=all) would take its
        STOPPING=1 for the service's end, and its beats for the other's.
        """
        self._tell(f"MAINPID={pid}")
        self._address, self.watchdog_s = "", None

    def beat(self) -> None:
        """The master moves. To be said every `watchdog_s`."""
        self._tell("WATCHDOG=1")

    def _tell(self, state: str, status: str = "") -> None:
        if not self._address:
            return
        lines = [state] if state else []
        if status:
            lines.append("STATUS=" + " ".join(status.split())[:STATUS_CHARACTERS])
        # ValueError: an address that cannot be one.
        with contextlib.suppress(OSError, ValueError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(SEND_TIMEOUT_S)
            sender.sendto("\n".join(lines).encode("utf-8", "backslashreplace"), self._address)


def watchdog_interval(environ: Mapping[str, str], pid: int) -> float | None:
    """Half the time in which the manager of process `pid` wants a sign of life, in seconds; None when it wants none."""
    if environ.get(WATCHDOG_PID, str(pid)) != str(pid):
        return None
    digits = environ.get(WATCHDOG_USEC, "")
    if not (digits.isascii() and digits.isdecimal()):
        return None
    # sd_watchdog_enabled(3): "It is recommended that a daemon sends a keep-alive … every half of the time".
    return int(digits) / 1e6 / 2 or None


def forget_manager(environ: MutableMapping[str, str]) -> None:
    """In a child: takes the manager's variables out of its environment."""
    for name in MANAGER_VARIABLES:
        environ.pop(name, None)


def hand_on(environ: MutableMapping[str, str], pid: int) -> None:
    """In the process that is about to become the next master, whose id is `pid`: what was said to us is said to it.

    The sockets that were passed must be open in it under the numbers they have here.
    """
    for name in (WATCHDOG_PID, LISTEN_PID):
        if name in environ:
            environ[name] = str(pid)
