"""Clients that account for every request: each way in which one can go wrong is counted as what it is."""

import os
import socket
import threading
from collections.abc import Callable

import pytest

from benchmarks.steady import BODY, REQUEST, Account, Crowd, Phase, account_of, together

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n"
RESET = b"\x01\x00\x00\x00\x00\x00\x00\x00"
SECOND_NS = 1_000_000_000

Act = Callable[[socket.socket], None]


def asked(connection: socket.socket) -> bool:
    """A request has come, and not the end."""
    received = b""
    while len(received) < len(REQUEST):
        more = connection.recv(4096)
        if not more:
            return False
        received += more
    return True


def answers(connection: socket.socket, more: bytes = b"") -> None:
    asked(connection)
    connection.sendall(HEAD + more + b"\r\n" + BODY)


def answers_in_pieces(connection: socket.socket) -> None:
    asked(connection)
    connection.sendall(HEAD)
    connection.sendall(b"\r\n" + BODY)
    connection.shutdown(socket.SHUT_WR)
    # What comes next is a request to a connection that has ended.
    asked(connection)


def answers_for_the_last_time(connection: socket.socket) -> None:
    answers(connection, b"Connection: close\r\n")


def leaves(connection: socket.socket) -> None:
    asked(connection)


def resets(connection: socket.socket) -> None:
    asked(connection)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def stops_half_way(connection: socket.socket) -> None:
    asked(connection)
    connection.sendall(HEAD)


def fails(connection: socket.socket) -> None:
    asked(connection)
    connection.sendall(b"HTTP/1.1 500 No\r\nConnection: close\r\nContent-Length: 13\r\n\r\n" + BODY)


def crowd_at(*acts: Act) -> Account:
    """One client at a server that does this with its connections, one after the other, and ends well."""
    reader, writer = os.pipe()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for act in acts:
                with server.accept()[0] as connection:
                    act(connection)
            with server.accept()[0] as connection:
                # It leaves with the next answer, or the one after that.
                os.close(writer)
                while asked(connection):
                    connection.sendall(HEAD + b"\r\n" + BODY)

        crowd = Crowd(server.getsockname()[1], reader)
        crowd.begin("all")
        thread = threading.Thread(target=serve)
        thread.start()
        crowd.run(1)
        thread.join()
    os.close(reader)
    return account_of(crowd.phases["all"], crowd.phases["all"].began_ns + SECOND_NS)


@pytest.mark.parametrize(
    ("act", "counted"),
    [
        (answers_for_the_last_time, {"told_to_leave": 1}),
        (answers_in_pieces, {"lost": 1}),
        (leaves, {"lost": 1}),
        (resets, {"reset": 1}),
        (stops_half_way, {"cut": 1}),
        (fails, {"wrong": 1, "told_to_leave": 1}),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_counts(act: Act, counted: dict[str, int]) -> None:
    account = crowd_at(act)
    kinds = ("lost", "reset", "cut", "wrong", "refused", "told_to_leave")
    assert {name: getattr(account, name) for name in kinds if getattr(account, name)} == counted
    assert account.answered >= 1
    assert account.failed == sum(count for name, count in counted.items() if name != "told_to_leave")
    assert account.p50_ms <= account.p99_ms <= account.longest_ms


def test_a_phase_in_which_nothing_came() -> None:
    account = account_of(Phase(0), SECOND_NS)
    assert (account.seconds, account.answered, account.p99_ms) == (1.0, 0, 0.0)


def test_phases_together() -> None:
    one, two = Phase(5, answered=2, lost=1, longest_gap_ns=7), Phase(9, answered=3, reset=2, longest_gap_ns=4)
    one.times_ns.extend([1_000_000, 3_000_000])
    two.times_ns.extend([2_000_000, 9_000_000, 8_000_000])
    account = account_of(together([one, two]), SECOND_NS)
    assert (account.answered, account.lost, account.reset, account.failed) == (5, 1, 2, 3)
    assert (account.p50_ms, account.longest_ms) == (3.0, 9.0)
    assert account.gap_ms == 7 / 1e6
