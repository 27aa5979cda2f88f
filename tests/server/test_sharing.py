"""Several workers on one listening socket: a call waits for none that is busy while another has room.

Each call says which worker runs it and lasts until the test ends it, so calls that must run at once either do or
the test finds out.
"""

import os
import signal
import socket
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.conftest import Connect
from tests.server.conftest import SITES
from tests.support.raw import RawClient
from tests.support.server import PATIENCE_S, Server, Servers

GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"
BAD = b"GET / HTTP/1.1\r\nHost : test\r\n\r\n"
WAYS = {
    "threads": ("meeting:app", "--threads", "8", "--max-concurrency", "2"),
    "tasks": ("meeting:asgi", "--loop", "asyncio", "--max-concurrency", "2"),
    "greenlets": ("meeting:app", "--concurrency", "greenlets", "--max-concurrency", "2"),
    "fork": ("meeting:app", "--concurrency", "fork", "--max-concurrency", "2"),
}


class Meeting:
    """Where calls report to. `running`: those that have, with their worker. `most`: at once in one process."""

    def __init__(self, path: Path) -> None:
        self._stack = ExitStack()
        self.listener = self._stack.enter_context(socket.socket(socket.AF_UNIX))
        self.listener.bind(str(path))
        self.listener.listen()
        self.listener.settimeout(PATIENCE_S)
        self.running: list[tuple[int, socket.socket]] = []
        self.most = 0

    def wait_for_call(self) -> int:
        """The worker of the next call that begins."""
        call = self._stack.enter_context(self.listener.accept()[0])
        call.settimeout(PATIENCE_S)
        pid, beside = map(int, call.recv(100).split())
        self.most = max(self.most, beside)
        self.running.append((pid, call))
        return pid

    def end_calls(self) -> None:
        """Lets all go on that have reported."""
        while self.running:
            # One whose process was killed hears nothing.
            with suppress(BrokenPipeError):
                self.running.pop()[1].sendall(b"x")

    def close(self) -> None:
        """Ends whoever still waits."""
        self._stack.close()


@pytest.fixture
def meeting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Meeting]:
    with tempfile.TemporaryDirectory(prefix="drawbar-") as name:
        path = Path(name) / "meeting"
        monkeypatch.setenv("MEETING", str(path))
        met = Meeting(path)
        yield met
        met.close()


def begin(site: Server, connect: Connect, meeting: Meeting, calls: int) -> list[RawClient]:
    """So many connections, each with a call that runs."""
    clients = []
    for _ in range(calls):
        client = connect(site)
        client.send(GET)
        meeting.wait_for_call()
        clients.append(client)
    return clients


@pytest.mark.parametrize("way", [*WAYS])
def test_as_many_calls_run_as_all_workers_together_may(
    server: Servers, connect: Connect, meeting: Meeting, way: str
) -> None:
    name, *options = WAYS[way]
    site = server(name, *options, "--workers", "3", chdir=SITES)
    for _ in range(3):
        clients = begin(site, connect, meeting, 6)
        assert sorted(Counter(pid for pid, _ in meeting.running).values()) == [2, 2, 2]
        assert meeting.most == (1 if way == "fork" else 2)
        meeting.end_calls()
        assert [client.response().status for client in clients] == [200] * 6
        for client in clients:
            client.close()


@pytest.mark.parametrize("way", [*WAYS])
def test_a_worker_with_all_the_connections_it_may_have_leaves_the_next_one_until_one_closes(
    server: Servers, connect: Connect, meeting: Meeting, way: str
) -> None:
    name, *options = WAYS[way]
    site = server(name, *options, "--workers", "2", "--limit-connections", "1", chdir=SITES)
    first, second = begin(site, connect, meeting, 2)
    left, stays = (pid for pid, _ in meeting.running)
    assert left != stays
    late = connect(site)
    late.send(GET)
    call = meeting.running.pop(0)[1]
    call.sendall(b"x")
    assert first.response().status == 200
    # There is room for a call, but its connection is still there: the next call is that connection's.
    first.send(GET)
    assert meeting.wait_for_call() == left
    meeting.running.pop()[1].sendall(b"x")
    assert first.response().status == 200
    first.close()
    assert meeting.wait_for_call() == left
    meeting.end_calls()
    assert (second.response().status, late.response().status) == (200, 200)


@pytest.mark.parametrize("way", [*WAYS])
def test_calls_past_the_concurrency_wait_in_the_worker_in_order(
    server: Servers, connect: Connect, meeting: Meeting, way: str
) -> None:
    name, *options = WAYS[way]
    site = server(name, *options[:-1], "1", "--workers", "1", chdir=SITES)
    clients = begin(site, connect, meeting, 1)
    for _ in range(2):
        clients.append(connect(site))
        clients[-1].send(GET)
    # The worker goes on meanwhile.
    assert connect(site).request(BAD).status == 400
    for number, client in enumerate(clients):
        if number:
            meeting.wait_for_call()
        meeting.end_calls()
        assert client.response().status == 200
    assert meeting.most == 1


def test_with_every_worker_busy_a_call_waits_for_the_first_that_has_room(
    server: Servers, connect: Connect, meeting: Meeting
) -> None:
    site = server("meeting:app", "--threads", "2", "--workers", "2", chdir=SITES)
    begin(site, connect, meeting, 4)
    late = connect(site)
    late.send(GET)
    pid, call = meeting.running.pop(0)
    call.sendall(b"x")
    assert meeting.wait_for_call() == pid
    meeting.end_calls()
    assert late.response().status == 200


def test_a_worker_that_dies_leaves_what_waits_to_the_others(
    server: Servers, connect: Connect, meeting: Meeting
) -> None:
    site = server("meeting:app", "--threads", "2", "--workers", "2", chdir=SITES)
    begin(site, connect, meeting, 4)
    late = connect(site)
    late.send(GET)
    os.kill(meeting.running[0][0], signal.SIGKILL)
    # By the one that takes its place: the other one is as busy as before.
    assert meeting.wait_for_call() not in {pid for pid, _ in meeting.running[:4]}
    meeting.end_calls()
    assert late.response().status == 200


def test_a_trusted_proxy_says_whose_the_connection_is(server: Servers, connect: Connect, meeting: Meeting) -> None:
    for name, *options in WAYS.values():
        site = server(name, *options, "--proxy-protocol", "--trusted-proxies", "127.0.0.1", chdir=SITES)
        client = connect(site)
        client.send(b"PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\r\n" + GET)
        meeting.wait_for_call()
        meeting.end_calls()
        assert client.response().body == b"203.0.113.7"
        bare = connect(site)
        bare.send(GET)
        assert bare.read_to_end() == b""
        site.log.wait_for(r"info: 400 from 127\.0\.0\.1:\d+: the connection does not begin with a PROXY header")
