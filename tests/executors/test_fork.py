"""A process for each call, seen from the process that has the connections: what is counted, and what cannot be had."""

import contextlib
import errno
import os
import resource
import select
import signal
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from drawbar.executors.fork import ForkExecutor
from drawbar.net.reactor import Reactor
from tests.support.inprocess import Client, Site

REQUEST = b"GET /a HTTP/1.1\r\nHost: test\r\n\r\n"
HOLD = b"GET /hold HTTP/1.1\r\nHost: test\r\n\r\n"


class Forking(Site):
    """Calls an application that waits at /hold until released. `failing`: the system gives no process."""

    def __init__(self, maximum: int = 2, timeout: float = 0.0) -> None:
        self.held, self.holder = os.pipe()
        self.told_by, self.telling = os.pipe()
        self.failing = False
        self.record = b""
        self.after_fork: Callable[[], object] = lambda: None
        self.forked: list[int] = []
        self.told: list[OSError] = []
        self.late: list[int] = []

        def make(reactor: Reactor) -> ForkExecutor:
            self.executor = ForkExecutor(
                reactor,
                maximum,
                fork=self.fork,
                describe=lambda status, by_us: f"status {status}",
                on_short=self.told.append,
                timeout=timeout,
                on_late=lambda exchange, pid: self.late.append(pid),
            )
            return self.executor

        super().__init__(self.app, executor=make, buffers=True)

    def fork(self) -> int:
        if self.failing:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        pid = os.fork()
        if pid:
            self.forked.append(pid)
            self.after_fork()
        return pid

    def app(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        if environ["PATH_INFO"] == "/hold":
            os.read(self.held, 1)
        if environ["PATH_INFO"] == "/alarm":
            return self.interrupted(start_response)
        if self.record:
            os.write(line_of_this_process(), self.record)
            signal.pause()
        start_response("200 OK", [])
        return [b"%d" % os.getpid()]

    def interrupted(self, start_response: Any) -> list[bytes]:
        """Gives up writing when the client takes it too slowly, and says so."""
        write = start_response("200 OK", [])

        def ring(number: int, frame: object) -> None:
            raise TimeoutError("too slow")

        signal.signal(signal.SIGALRM, ring)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        try:
            while True:
                write(b"x" * 1000)
        except TimeoutError:
            os.write(self.telling, b"x")
        return [b"the end"]

    def release(self) -> None:
        """Lets one call go on."""
        os.write(self.holder, b"x")

    def idle(self) -> bool:
        """Every process has been reaped, and nothing is in flight by any of the figures."""
        cell = self.reactor.cell
        return not self.executor.running and (cell.busy, cell.waiting, cell.in_flight()) == (0, 0, [])

    def ask(self, request: bytes = REQUEST) -> Client:
        client = self.connect()
        client.send(request)
        return client

    def close(self) -> None:
        super().close()
        for descriptor in (self.held, self.holder, self.told_by, self.telling):
            os.close(descriptor)


def line_of_this_process() -> int:
    """The socket by which this process of a call says what it wants."""
    for number in map(int, os.listdir("/proc/self/fd")):
        with contextlib.suppress(OSError), socket.socket(fileno=os.dup(number)) as opened:
            if opened.type == socket.SOCK_SEQPACKET:
                return number
    raise AssertionError("there is no line")


@pytest.fixture
def site() -> Iterator[Forking]:
    with Forking() as made:
        yield made


# -- figures


def test_a_call_is_in_flight_until_its_process_has_ended(site: Forking) -> None:
    client = site.ask(HOLD)
    cell = site.reactor.cell
    [entry] = cell.in_flight()
    assert (entry.text, entry.called_ns > 0) == ("GET /hold", True)
    assert (cell.busy, cell.waiting) == (1, 0)
    site.release()
    assert client.response().body == b"%d" % site.forked[0]
    site.until(site.idle)
    assert cell.requests == 1


def test_calls_past_the_maximum_wait_and_are_counted_as_such(site: Forking) -> None:
    clients = [site.ask(HOLD) for _ in range(3)]
    cell = site.reactor.cell
    assert (cell.busy, cell.waiting, cell.threads) == (2, 1, 2)
    assert (len(site.executor.processes), site.executor.waiting) == (2, 1)
    for _ in clients:
        site.release()
    for client in clients:
        assert client.response().status == 200
    site.until(site.idle)
    assert cell.requests == 3


def test_a_timeout_is_counted_as_one() -> None:
    with Forking(timeout=0.05) as site:
        client = site.ask(HOLD)
        assert client.response().status == 504
        assert site.late == site.forked
        site.until(site.idle)
        cell = site.reactor.cell
        assert (cell.requests, cell.counters().timed_out) == (1, 1)


# -- a process that says what no application can


def record(operation: int, number: int = 0, payload: bytes = b"") -> bytes:
    """As exchange/relay.pyx lays it out."""
    return struct.pack("=BBHq", operation, 0, number, -1) + payload


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"x", "too short"),
        (record(99), "99 is no operation"),
        (record(0, 7), "7 is no status"),
        (record(1, 5, b"name"), "longer than the field"),
        (record(5, 200), "200 is no interim status"),
        (record(5, 103, b"\1"), "sizes are cut off"),
        (record(5, 103, struct.pack("=HH", 4, 9) + b"nam"), "a field is cut off"),
        (bytes(65_537), "too long"),
    ],
)
def test_a_process_gone_wrong_is_killed(said: bytes, why: str) -> None:
    with Forking() as site:
        site.record = said
        client = site.ask()
        assert client.response().status == 500
        [error] = site.errors
        assert why in str(error)
        site.errors.clear()
        [failed] = site.failed
        assert f"({site.forked[0]}) ended before its response did: status 9" in str(failed)
        site.until(site.idle)


@pytest.mark.skipif(sys.gettrace() is not None, reason="the alarm may ring within the tracer, which then ends itself")
def test_an_application_that_is_interrupted_while_its_client_is_slow(site: Forking) -> None:
    client = site.connect(receive_buffer=4096)
    client.send(b"GET /alarm HTTP/1.1\r\nHost: test\r\n\r\n")
    site.until(lambda: bool(select.select([site.told_by], [], [], 0)[0]), site.told_by)
    body = client.response().body
    assert body.removesuffix(b"the end") == b"x" * (len(body) - 7)
    site.until(site.idle)


# -- no process to be had


def test_without_a_process_a_call_waits_for_another_to_end(site: Forking) -> None:
    first = site.ask(HOLD)
    site.failing = True
    second, third = site.ask(), site.ask()
    assert site.executor.waiting == 2
    assert [error.errno for error in site.told] == [errno.EAGAIN]
    site.failing = False
    site.release()
    assert [client.response().status for client in (first, second, third)] == [200, 200, 200]
    site.until(site.idle)
    assert len(site.told) == 1


def test_without_any_process_a_call_is_refused_and_that_is_told_once(site: Forking) -> None:
    for _ in range(2):
        site.failing = True
        client = site.ask()
        assert client.response().status == 503
        # The connection goes on.
        client.send(REQUEST)
        assert client.response().status == 503
        site.failing = False
        client.send(REQUEST)
        assert client.response().status == 200
    site.until(site.idle)
    # Once for each time it began.
    assert len(site.told) == 2


def test_those_that_wait_are_refused_when_the_last_process_has_ended(site: Forking) -> None:
    first = site.ask(HOLD)
    site.failing = True
    others = [site.ask(), site.ask()]
    site.release()
    assert first.response().status == 200
    assert [other.response().status for other in others] == [503, 503]
    site.until(site.idle)
    assert len(site.told) == 1


def test_a_process_that_nobody_could_follow_is_ended(site: Forking) -> None:
    """For want of descriptors. It may have begun, so the call is not made again."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    client = site.connect()

    # What is open stays so; no number is left for another.
    site.after_fork = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        client.send(REQUEST)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    site.after_fork = lambda: None
    assert client.response().status == 503
    assert [error.errno for error in site.told] == [errno.EMFILE]
    with pytest.raises(ChildProcessError):
        os.waitpid(site.forked[0], 0)
    client.send(REQUEST)
    assert client.response().status == 200
    site.until(site.idle)
