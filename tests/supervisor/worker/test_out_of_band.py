"""When a worker does what it may do out of band: looked at without a thread and without waiting."""

import os

import pytest

from drawbar.net.reactor import Reactor
from drawbar.supervisor.worker.out_of_band import INTERVAL_S, OutOfBand
from tests.supervisor.harness import PATIENCE_S, readable


class Worker:
    """A reactor that is led by hand."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.done = 0
        self.busy = False
        self.reactor = Reactor()
        self.work = OutOfBand(self.do, clock=lambda: self.now)
        self.work.attach(self.reactor, lambda: self.busy)

    def do(self) -> None:
        self.done += 1

    def turn(self) -> None:
        """Until the timer is over, then one turn."""
        assert readable(self.reactor.epoll_fd, PATIENCE_S)
        self.reactor.drain_ready()


@pytest.fixture
def worker() -> Worker:
    return Worker()


def test_it_comes_after_a_request_and_once(worker: Worker) -> None:
    assert not readable(worker.reactor.epoll_fd, 0)
    worker.work.note(None)
    worker.turn()
    assert worker.done == 1
    assert not readable(worker.reactor.epoll_fd, 0.1)


def test_it_waits_for_the_calls_that_run(worker: Worker) -> None:
    worker.busy = True
    worker.work.note(None)
    worker.turn()
    worker.turn()
    assert worker.done == 0
    worker.busy = False
    worker.turn()
    assert worker.done == 1


def test_it_waits_for_what_can_be_read(worker: Worker) -> None:
    reader, writer = os.pipe()
    try:
        os.write(writer, b".")
        worker.work.note(None)
        worker.turn()
        # Watched from now on: there will be something to read whenever it looks.
        worker.work.note(None)
        worker.reactor.watch(reader, lambda: None)
        first = worker.done
        worker.now += INTERVAL_S
        worker.turn()
        assert worker.done == first
    finally:
        os.close(reader)
        os.close(writer)


def test_it_rests_between_two_times(worker: Worker) -> None:
    worker.work.note(None)
    worker.turn()
    worker.work.note(None)
    assert not readable(worker.reactor.epoll_fd, INTERVAL_S / 5)
    assert readable(worker.reactor.epoll_fd, PATIENCE_S)
    worker.reactor.drain_ready()
    assert worker.done == 2


def test_a_worker_that_drains_has_other_things_to_do(worker: Worker) -> None:
    worker.work.note(None)
    worker.reactor.drain()
    worker.turn()
    assert worker.done == 0


def test_its_timer_is_given_back(worker: Worker) -> None:
    before = len(os.listdir("/proc/self/fd"))
    worker.reactor.close()
    worker.work.close()
    worker.work.close()
    assert len(os.listdir("/proc/self/fd")) == before - 1
    worker.work.note(None)
