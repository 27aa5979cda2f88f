"""The master's poll: who is called, and how long it waits."""

import os

from drawbar.supervisor.poller import LONGEST_MS, Poller


def test_the_longest_wait_that_can_be_asked_for() -> None:
    reader, writer = os.pipe()
    heard: list[bytes] = []
    poller = Poller()
    poller.register(reader, lambda: heard.append(os.read(reader, 1)))
    os.write(writer, b"x")
    # A month, which is an age that workers may have.
    poller.wait(31 * 86_400.0, last=-1)
    os.write(writer, b"y")
    poller.wait(LONGEST_MS / 1000, last=-1)
    assert heard == [b"x", b"y"]
    os.close(reader)
    os.close(writer)
