"""A network that can be cut, and of which nothing is left."""

import os
import shutil
import socket

import pytest

from benchmarks.network import network

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may make network namespaces"),
    pytest.mark.skipif(shutil.which("ip") is None, reason="iproute2 is not installed"),
]


def links() -> set[str]:
    """Of the namespace this thread is in."""
    return {name for _, name in socket.if_nameindex()}


def test_a_side_reaches_the_front_until_it_is_cut_off_and_again_when_it_is_mended() -> None:
    with network("kept", "lost") as sides, socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]
        for side in sides.values():
            with side.inside(), socket.create_connection((side.front, port)) as connection:
                assert links() == {"lo", side.name}
                server.accept()[0].close()
                assert connection.recv(1) == b""
        sides["lost"].cut()
        with sides["lost"].inside(), pytest.raises(OSError, match="unreachable"):
            socket.create_connection((sides["lost"].front, port))
        with sides["kept"].inside(), socket.create_connection((sides["kept"].front, port)):
            server.accept()[0].close()
        sides["lost"].mend()
        with sides["lost"].inside(), socket.create_connection((sides["lost"].front, port)):
            server.accept()[0].close()


def test_this_thread_is_where_it_was_afterwards() -> None:
    before = links()
    with network("far"):
        assert links() == {"lo", "to-far"}
    assert links() == before


def test_it_is_there_after_a_failure_too() -> None:
    before = links()
    with pytest.raises(ZeroDivisionError), network("far") as sides, sides["far"].inside():
        raise ZeroDivisionError
    assert links() == before
