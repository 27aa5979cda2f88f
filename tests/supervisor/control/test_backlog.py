"""Listen queues as the kernel counts them."""

import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from drawbar.supervisor.control.backlog import backlog_of, parse_unix_diag
from drawbar.supervisor.control.status import Backlog


def filled(listener: socket.socket, count: int, stack: ExitStack) -> None:
    for _ in range(count):
        client = stack.enter_context(socket.socket(listener.family, socket.SOCK_STREAM))
        client.connect(listener.getsockname())


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_tcp(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family, backlog=17) as listener, ExitStack() as stack:
        assert backlog_of(listener) == Backlog(0, 17)
        filled(listener, 3, stack)
        assert backlog_of(listener) == Backlog(3, 17)


def test_unix(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener, ExitStack() as stack:
        listener.bind(str(tmp_path / "s"))
        listener.listen(17)
        filled(listener, 3, stack)
        assert backlog_of(listener) == Backlog(3, 17)


def test_a_closed_listener_has_none() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.close()
    assert backlog_of(listener) is None


@pytest.mark.parametrize("data", [b"", b"\0" * 40, b"\x24\0\0\0\x02\0" + b"\xff" * 30])
def test_an_answer_that_is_none(data: bytes) -> None:
    assert parse_unix_diag(data) is None
