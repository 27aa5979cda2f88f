"""The output queue: what is queued comes out in order and whole, from memory, files and spill alike."""

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drawbar.net.inspect import Probe, ProbeConnector, pooled_blocks
from drawbar.net.listener import listen
from tests.support.inprocess import Stepped

DONE, BLOCKED, BROKEN = 0, 1, 2


class Pair(Stepped):
    """One connection whose kernel buffers are small."""

    def __init__(self) -> None:
        super().__init__()
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        connector = ProbeConnector()
        listen(self.reactor, listener, connector)
        self.client = socket.socket()
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.client.connect(listener.getsockname())
        self.settle()
        self.client.setblocking(False)
        self.listener = listener
        self.probe: Probe = connector.made[0]

    def receive(self, size: int) -> bytes:
        """Exactly so many bytes, with the reactor sending on as it can."""
        got = b""
        while len(got) < size:
            try:
                got += self.client.recv(65_536)
            except BlockingIOError:
                self.until(lambda: True, self.client.fileno())
        return got

    def fill(self) -> int:
        """Sends until the socket takes no more; how many bytes are queued or sent then."""
        size = 0
        while True:
            self.probe.queue(bytes(65_536))
            size += 65_536
            if self.probe.send_queued() == BLOCKED:
                return size

    def close(self) -> None:
        super().close()
        self.client.close()
        self.listener.close()


@pytest.fixture
def pair() -> Iterator[Pair]:
    with Pair() as made:
        yield made


def pattern(size: int, seed: int = 0) -> bytes:
    """Bytes of which any part tells where it was taken from."""
    return b"".join((seed + i).to_bytes(4) for i in range(size // 4 + 1))[:size]


def file_of(data: bytes) -> int:
    """A descriptor of a file with that content, for the queue to own."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        return os.dup(file.fileno())


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


pieces = st.lists(
    st.tuples(st.sampled_from(["copy", "borrow", "file", "spill", "send"]), st.integers(0, 40_000)), max_size=25
)


@given(script=pieces)
@settings(max_examples=60, deadline=None)
def test_whatever_is_queued_comes_out_in_order(script: list[tuple[str, int]]) -> None:
    with Pair() as pair:
        expected = b""
        for number, (what, size) in enumerate(script):
            data = pattern(size, number << 16)
            if what in ("copy", "borrow"):
                pair.probe.queue(data, what == "borrow")
                expected += data
            elif what == "file" and size:
                pair.probe.queue_file(file_of(b"before" + data + b"behind"), 6, size)
                expected += data
            elif what == "spill":
                pair.probe.spill(size)
            else:
                pair.probe.send_queued()
            view = pair.probe.view()
            assert view.memory + view.spilled <= view.waiting <= len(expected)
        pair.probe.send_queued()
        assert pair.receive(len(expected)) == expected
        pair.settle()
        view = pair.probe.view()
        assert (view.memory, view.spilled, view.waiting) == (0, 0, 0)


def test_a_socket_that_takes_no_more_is_asked_again_when_it_does(pair: Pair) -> None:
    size = pair.fill()
    assert pair.probe.view().blocked
    assert pair.probe.seen[-1] == "progress"
    assert len(pair.receive(size)) == size
    pair.settle()
    assert pair.probe.seen[-1] == "flushed"
    assert not pair.probe.view().blocked


def test_spilling_keeps_what_is_to_stay_in_memory_and_moves_the_rest(pair: Pair) -> None:
    pair.fill()
    pair.probe.queue(pattern(1_000_000))
    before = pair.probe.view().waiting
    pair.probe.spill(100_000)
    view = pair.probe.view()
    assert view.memory <= 100_000
    assert view.waiting == before == view.memory + view.spilled


def test_a_second_spill_file_is_sent_from_its_start(pair: Pair) -> None:
    # Queue items are used again: one that held a sent spill file must not remember where that ended.
    for number in range(3):
        data = pattern(500_000, number << 20)
        pair.probe.queue(data)
        pair.probe.spill(0)
        assert pair.probe.view().spilled == len(data)
        pair.probe.send_queued()
        assert pair.receive(len(data)) == data
        pair.settle()


def test_what_follows_a_spill_file_joins_it(pair: Pair) -> None:
    size = pair.fill()
    pair.probe.queue(b"a" * 300_000)
    pair.probe.spill(0)
    pair.probe.queue(b"b" * 300_000)
    assert pair.probe.view().memory == 0
    assert pair.receive(size + 600_000)[-600_000:] == b"a" * 300_000 + b"b" * 300_000


def test_a_file_that_is_shorter_than_promised_breaks_the_connection(pair: Pair) -> None:
    pair.probe.queue_file(file_of(b"short"), 0, 100)
    assert pair.probe.send_queued() == BROKEN
    assert pair.probe.view().closed
    assert str(pair.probe.seen[-1]).startswith("broken")


def test_closing_lets_go_of_files_spill_and_objects(pair: Pair) -> None:
    before = descriptors()
    pair.fill()
    pair.probe.queue_file(file_of(b"x" * 1000), 0, 1000)
    pair.probe.queue(bytes(1_000_000))
    pair.probe.spill(0)
    assert descriptors() == before + 2
    pair.probe.end()
    # The connection's own descriptor goes too.
    assert descriptors() == before - 1
    assert pair.probe.view().waiting == 0


def test_a_peer_that_is_gone_breaks_the_connection(pair: Pair) -> None:
    pair.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    pair.client.close()
    pair.probe.queue(b"too late")
    assert pair.probe.send_queued() == BROKEN
    assert pair.probe.view().closed


def test_spilling_into_a_directory_that_is_not_there_says_so_and_keeps_the_queue(pair: Pair, tmp_path: Path) -> None:
    size = pair.fill()
    pair.probe.queue(b"kept" * 100_000)
    with pytest.raises(OSError, match=r"does not exist: .*/missing"):
        pair.probe.spill(0, str(tmp_path / "missing"))
    assert pair.receive(size + 400_000).endswith(b"kept")


def test_a_spill_file_has_no_name(pair: Pair, tmp_path: Path) -> None:
    pair.probe.queue(bytes(1_000_000))
    pair.probe.spill(0, str(tmp_path))
    assert pair.probe.view().spilled > 0
    assert list(tmp_path.iterdir()) == []


def test_blocks_are_kept_for_reuse_within_a_bound(pair: Pair) -> None:
    for _ in range(300):
        pair.probe.queue(b"x" * 2_100, borrow=False)
        pair.probe.queue(b"y" * 2_100, borrow=True)
    pair.probe.send_queued()
    pair.receive(300 * 4_200)
    pair.settle()
    assert 0 < pooled_blocks(pair.reactor) <= 64
