"""Between the master and a front: orders one way, by a socket, and news the other way, as lines of the report pipe. The
master's end; the front's is in `line`.

    master -> front     {"serial": 7, "traffic": {APP: Traffic}}, a message for each order
    front -> master     attached APP LABEL PID      the first connection of a worker's process; LABEL "-" is none
                        left APP LABEL PID          its last one has ended; PID 0 is any process that is not local
                        judged APP LABEL {...}      what came of a trial
                        traffic APP {...}           what holds now, and the serial of the order that is followed
                        gauged APP {...}            what is under way, of an app whose number of processes follows that

Law: an order says how things shall be. What a front is to know from the beginning is in the socket before it is forked,
so it takes no request on other terms. Neither end ever waits for the other: a front that is stuck is told to nobody's
cost, and a master that is stuck is told later.
"""

import socket
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from drawbar.config import OperatorError
from drawbar.pull.reading import Reading
from drawbar.pull.traffic import Traffic

ATTACHED: Final = "attached "
LEFT: Final = "left "
JUDGED: Final = "judged "
GAUGED: Final = "gauged "
TRAFFIC: Final = "traffic "
NO_LABEL: Final = "-"

MESSAGE_BYTES: Final = 100_000
"""Longest message: less than a socket's buffer, in which many of the usual size fit."""


class Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is wanted of some apps. serial: of the order, to tell it from others."""

    traffic: dict[str, Traffic]
    serial: int = 0


class Seen(NamedTuple):
    """A line about a worker's process: whether it is there."""

    app: str
    label: str
    pid: int
    is_there: bool


class Judged(NamedTuple):
    """A line about a trial that has ended."""

    app: str
    label: str
    figures: Mapping[str, Any]


class Holds(NamedTuple):
    """A line on what holds at the front. figures: serial, gate, queued."""

    app: str
    figures: Mapping[str, Any]


class Gauged(NamedTuple):
    """A line on what is under way at the front."""

    app: str
    reading: Reading


News = Seen | Judged | Holds | Gauged


def read_news(line: str) -> News | None:
    """What a front has said; None for anything else, and for what is cut off."""
    kind, _, rest = line.partition(" ")
    try:
        if kind + " " in (ATTACHED, LEFT):
            app, label, pid = rest.split(" ")
            return Seen(app, "" if label == NO_LABEL else label, int(pid), kind + " " == ATTACHED)
        if kind + " " == JUDGED:
            app, label, figures = rest.split(" ", 2)
            return Judged(app, "" if label == NO_LABEL else label, msgspec.json.decode(figures, type=dict[str, Any]))
        if kind + " " == TRAFFIC:
            app, _, figures = rest.partition(" ")
            return Holds(app, msgspec.json.decode(figures, type=dict[str, Any]))
        if kind + " " == GAUGED:
            app, _, figures = rest.partition(" ")
            return Gauged(app, msgspec.json.decode(figures, type=Reading))
    except (ValueError, msgspec.DecodeError):
        return None
    return None


class FrontEnded(OperatorError):
    """There is nobody any more to take an order."""


class Channel:
    """To one front. `theirs` is the front's end, until it is forked."""

    def __init__(self) -> None:
        self._ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_NONBLOCK)

    def fileno(self) -> int:
        """Ours."""
        return self._ours.fileno()

    def send(self, order: Order) -> None:
        """Raises FrontEnded, and OperatorError when it cannot be told otherwise."""
        message = msgspec.json.encode(order)
        if len(message) > MESSAGE_BYTES:
            raise OperatorError("the order is too long for the front")
        try:
            self._ours.send(message)
        except BlockingIOError as error:
            raise OperatorError("the front takes no orders: it is stuck") from error
        except OSError as error:
            raise FrontEnded(f"the front takes no orders: {error.strerror}") from error

    def close(self) -> None:
        """The front has ended."""
        self._ours.close()
