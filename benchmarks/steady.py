"""Clients that never stop asking and account for every request: answered, or in which way not.

    python benchmarks/steady.py PORT CONNECTIONS [LEDGER METHOD PATH]

One process, so that whoever upsets the server meanwhile takes nothing from its clients. Each line on standard input
begins a phase of that name; at the end of the input every answer that is still owed is waited for, and what each phase
saw is printed as JSON, and what those saw together in which something happened. wrk cannot play this part: it tells a
lost request from a reset no more than from a late one.

A request's time runs from the answer before it, so that connecting again, where the server asked for it, is part of
the waiting. An end of a connection on which nothing was asked is the server's right; any other is a loss.

With a ledger each request has a number, which its answer must repeat, and a line in that file once its fate is known:
number, status or kind of loss, and the monotonic times in ns of asking and of that. What an application has written
down of its side is held against it.
"""

import errno
import json
import os
import re
import select
import socket
import sys
import time
from array import array
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TextIO

HOST = "127.0.0.1"
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
BODY = b"Hello, world!"
GOOD = b"HTTP/1.1 200 "
STATUS = slice(9, 12)
"""Where it stands in an answer."""
LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
READ_BYTES = 4096
OWED_S = 5.0
"""How long after the last request an answer may take until it passes for lost."""
CALM = ("warm", "quiet")
"""Phases in which nothing happens to the server."""
UPSET = "upset"
"""All others together."""
CONNECT_TRIES = 100
CONNECT_PAUSE_S = 0.01
NS_PER_MS = 1e6


@dataclass
class Phase:
    """What became of the requests that ended in one stretch of time."""

    began_ns: int
    answered: int = 0
    lost: int = 0
    """Asked, and the connection ended in good order, or nothing ever came."""
    reset: int = 0
    cut: int = 0
    """An answer began and did not end."""
    refused: int = 0
    """Connections the server did not take."""
    wrong: int = 0
    """Answers other than the one there should be."""
    told_to_leave: int = 0
    """Answers with `Connection: close`."""
    longest_gap_ns: int = 0
    """Between two answers of whatever connections."""
    times_ns: "array[int]" = field(default_factory=lambda: array("q"))
    """Of the requests that were answered."""


COUNTED = ("answered", "lost", "reset", "cut", "refused", "wrong", "told_to_leave")


@dataclass(frozen=True, slots=True)
class Account:
    """What a phase comes to."""

    seconds: float
    answered: int
    lost: int
    reset: int
    cut: int
    refused: int
    wrong: int
    told_to_leave: int
    p50_ms: float
    p99_ms: float
    longest_ms: float
    gap_ms: float

    @property
    def failed(self) -> int:
        """Requests without their answer."""
        return self.lost + self.reset + self.cut + self.wrong


def is_whole(answer: bytes, expected: bytes) -> bool:
    """The body that is expected tells the end of an answer; any other, its length."""
    head, blank, body = answer.partition(b"\r\n\r\n")
    if body == expected:
        return bool(blank)
    length = LENGTH.search(head)
    return bool(blank) and length is not None and len(body) >= int(length[1])


class Ledger:
    """What became of each request, by its number."""

    def __init__(self, file: TextIO, method: str, path: str) -> None:
        self._file = file
        self._opening = f"{method} {path}?id=".encode()
        self._rest = b" HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
        self._last = 0

    def open(self) -> tuple[bytes, bytes]:
        """The next request, and the body of its answer, which is its number."""
        self._last += 1
        number = b"%d" % self._last
        return self._opening + number + self._rest, number

    def close(self, number: bytes, outcome: str, asked_ns: int) -> None:
        """It has had its fate."""
        self._file.write(f"{number.decode()} {outcome} {asked_ns} {time.monotonic_ns()}\n")


class Client:
    """One connection that has a request under way, always."""

    def __init__(self, crowd: "Crowd", asked_ns: int) -> None:
        self._crowd = crowd
        self._received = b""
        self._asked_ns = asked_ns
        self._opened_ns = asked_ns
        self._expected = BODY
        self._socket = self._connect()
        self._ask()

    def on_readable(self) -> None:
        """Takes the answer and asks again."""
        phase = self._crowd.phase
        try:
            data = self._socket.recv(READ_BYTES)
        except ConnectionError:
            self._lose("reset")
            return
        if not data:
            self._lose("cut" if self._received else "lost")
            return
        whole = self._received + data
        if not is_whole(whole, self._expected):
            self._received = whole
            return
        self._received = b""
        now = time.monotonic_ns()
        self._crowd.note(now, now - self._asked_ns)
        is_good = whole.startswith(GOOD) and whole.endswith(b"\r\n\r\n" + self._expected)
        if not is_good:
            phase.wrong += 1
        # A good status with another one's body is nobody's answer.
        self._settle("foreign" if whole.startswith(GOOD) and not is_good else whole[STATUS].decode("latin-1"))
        self._asked_ns = now
        if b"\r\nconnection: close\r\n" in whole.lower():
            phase.told_to_leave += 1
            self._again()
        elif self._crowd.is_leaving:
            self._leave()
        else:
            self._ask()

    def _ask(self) -> None:
        request = REQUEST
        if self._crowd.ledger is not None:
            request, self._expected = self._crowd.ledger.open()
            self._opened_ns = time.monotonic_ns()
        try:
            self._socket.send(request)
        except ConnectionError:
            # The request has not left: what has been read says how the connection ended.
            self._lose("reset")

    def _lose(self, kind: str) -> None:
        """The connection ended; `kind` is a name of Phase."""
        phase = self._crowd.phase
        setattr(phase, kind, getattr(phase, kind) + 1)
        self._settle(kind)
        self._again()

    def _settle(self, outcome: str) -> None:
        if self._crowd.ledger is not None:
            self._crowd.ledger.close(self._expected, outcome, self._opened_ns)

    def give_up(self) -> None:
        """Nothing came any more."""
        self._crowd.phase.lost += 1
        self._settle("lost")

    def _again(self) -> None:
        """With a new connection."""
        self._leave()
        if not self._crowd.is_leaving:
            self._received = b""
            self._socket = self._connect()
            self._ask()

    def _leave(self) -> None:
        self._crowd.forget(self._socket)
        self._socket.close()

    def _connect(self) -> socket.socket:
        for _ in range(CONNECT_TRIES):
            found = socket.socket()
            found.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                found.connect((HOST, self._crowd.port))
            except OSError as error:
                found.close()
                if error.errno != errno.ECONNREFUSED:
                    raise
                self._crowd.phase.refused += 1
                time.sleep(CONNECT_PAUSE_S)
                continue
            self._crowd.remember(found, self)
            return found
        raise ConnectionRefusedError(f"nobody listens on port {self._crowd.port}")


class Crowd:
    """All clients, and the phases they have seen. `orders` is the descriptor phases are named on."""

    def __init__(self, port: int, orders: int, ledger: Ledger | None = None) -> None:
        self.port = port
        self.ledger = ledger
        self.phases: dict[str, Phase] = {}
        self.phase = Phase(time.monotonic_ns())
        self.is_leaving = False
        self._orders = orders
        self._last_ns = 0
        self._unread = b""
        self._epoll = select.epoll()
        self._clients: dict[int, Client] = {}
        self._epoll.register(orders, select.EPOLLIN)

    def remember(self, connection: socket.socket, client: Client) -> None:
        """Has the client told when its connection has something."""
        self._clients[connection.fileno()] = client
        self._epoll.register(connection, select.EPOLLIN)

    def forget(self, connection: socket.socket) -> None:
        """It is about to be closed."""
        del self._clients[connection.fileno()]
        self._epoll.unregister(connection)

    def note(self, now_ns: int, took_ns: int) -> None:
        """An answer has come."""
        phase = self.phase
        phase.answered += 1
        phase.times_ns.append(took_ns)
        phase.longest_gap_ns = max(phase.longest_gap_ns, now_ns - self._last_ns)
        self._last_ns = now_ns

    def run(self, connections: int) -> None:
        """Asks until told to leave, and until every answer owed is there or will never be."""
        self._last_ns = time.monotonic_ns()
        for _ in range(connections):
            Client(self, time.monotonic_ns())
        deadline = float("inf")
        while (self._clients or not self.is_leaving) and time.monotonic() < deadline:
            for descriptor, _ in self._epoll.poll(OWED_S):
                if descriptor == self._orders:
                    self._on_order()
                    continue
                # An earlier one of this batch may have had it closed.
                client = self._clients.get(descriptor)
                if client is not None:
                    client.on_readable()
            if self.is_leaving and deadline == float("inf"):
                deadline = time.monotonic() + OWED_S
        for client in self._clients.values():
            client.give_up()

    def begin(self, name: str) -> None:
        """What ends from now on belongs to the phase of this name, which may have gone on before."""
        now = time.monotonic_ns()
        self.phase = self.phases.setdefault(name, Phase(now))
        self._last_ns = now

    def _on_order(self) -> None:
        data = os.read(self._orders, READ_BYTES)
        *names, self._unread = (self._unread + data).split(b"\n")
        for name in names:
            self.begin(name.decode())
            print(name.decode(), flush=True)
        if not data:
            self.is_leaving = True
            self._epoll.unregister(self._orders)


def account_of(phase: Phase, ended_ns: int) -> Account:
    """The figures of one phase."""
    times = sorted(phase.times_ns)

    def at(share: float) -> float:
        return times[min(len(times) - 1, int(share * len(times)))] / NS_PER_MS if times else 0.0

    return Account(
        seconds=(ended_ns - phase.began_ns) / 1e9,
        answered=phase.answered,
        lost=phase.lost,
        reset=phase.reset,
        cut=phase.cut,
        refused=phase.refused,
        wrong=phase.wrong,
        told_to_leave=phase.told_to_leave,
        p50_ms=at(0.5),
        p99_ms=at(0.99),
        longest_ms=at(1.0),
        gap_ms=phase.longest_gap_ns / NS_PER_MS,
    )


def together(phases: Sequence[Phase]) -> Phase:
    """Several phases as if they were one."""
    found = Phase(min(phase.began_ns for phase in phases))
    for phase in phases:
        for name in COUNTED:
            setattr(found, name, getattr(found, name) + getattr(phase, name))
        found.longest_gap_ns = max(found.longest_gap_ns, phase.longest_gap_ns)
        found.times_ns += phase.times_ns
    return found


def main(arguments: Sequence[str]) -> int:
    """As the module says."""
    port, connections = map(int, arguments[:2])
    path, *request = arguments[2:] or [""]
    with Path(path).open("w") if path else nullcontext() as file:
        crowd = Crowd(port, sys.stdin.fileno(), Ledger(file, *request) if file is not None else None)
        crowd.run(connections)
    begins = [phase.began_ns for phase in crowd.phases.values()]
    ends = [*begins[1:], time.monotonic_ns()]
    accounts = {
        name: asdict(account_of(phase, ended)) for (name, phase), ended in zip(crowd.phases.items(), ends, strict=True)
    }
    upset = [phase for name, phase in crowd.phases.items() if name not in CALM]
    if upset:
        accounts[UPSET] = asdict(account_of(together(upset), time.monotonic_ns()))
    print(json.dumps(accounts), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
