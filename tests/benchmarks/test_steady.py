"""Clients that account for every request: each way in which one can go wrong is counted as what it is."""

import io
import os
import socket
import threading
from collections.abc import Callable

import pytest

from benchmarks.steady import BODY, REQUEST, Account, Crowd, Ledger, Phase, account_of, is_whole, together

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


def crowd_at(*acts: Act, ledger: Ledger | None = None) -> Account:
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

        crowd = Crowd(server.getsockname()[1], reader, ledger)
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


@pytest.mark.parametrize(
    ("answer", "expected", "whole"),
    [
        (HEAD + b"\r\n" + BODY, BODY, True),
        (HEAD + b"\r\n" + BODY[:-1], BODY, False),
        (HEAD, BODY, False),
        (b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 4\r\n\r\nlost", b"17", True),
        (b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 4\r\n\r\nlos", b"17", False),
        # A number that the beginning of a longer one is not taken for.
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n1", b"17", False),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n18", b"17", True),
    ],
)
def test_where_an_answer_ends(answer: bytes, expected: bytes, whole: bool) -> None:
    assert is_whole(answer, expected) is whole


def answers_with_its_number(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + number_in(connection))


def answers_with_another_number(connection: socket.socket) -> None:
    number_in(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\n99")


def tells_of_a_loss(connection: socket.socket) -> None:
    number_in(connection)
    connection.sendall(b"HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\nContent-Length: 4\r\n\r\nlost")


def number_in(connection: socket.socket) -> bytes:
    """Of the request that comes."""
    received = b""
    while not received.endswith(b"\r\n\r\n"):
        received += connection.recv(4096)
    assert received.startswith(b"POST /path?id=")
    return received.removeprefix(b"POST /path?id=").partition(b" ")[0]


def test_a_ledger_has_the_fate_of_each_request() -> None:
    file = io.StringIO()
    crowd_at(
        *(answers_with_its_number, answers_with_another_number, tells_of_a_loss, leaves, resets),
        ledger=Ledger(file, "POST", "/path"),
    )
    lines = [line.split() for line in file.getvalue().splitlines()]
    assert [(number, outcome) for number, outcome, _, _ in lines[:5]] == [
        ("1", "200"),
        ("2", "foreign"),
        ("3", "502"),
        ("4", "lost"),
        ("5", "reset"),
    ]
    assert all(int(asked) <= int(ended) for _, _, asked, ended in lines)


def test_a_request_names_the_number_of_its_line() -> None:
    file = io.StringIO()
    ledger = Ledger(file, "GET", "/")
    request, number = ledger.open()
    ledger.close(number, "lost", 5)
    assert request.startswith(b"GET /?id=1 HTTP/1.1\r\n")
    assert file.getvalue().startswith("1 lost 5 ")
