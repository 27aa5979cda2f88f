"""Fixtures every test may use."""

from collections.abc import Iterator

import pytest

from tests.support.raw import RawClient
from tests.support.server import Server, Servers


class Connect:
    """Opens a `RawClient` to a server's first TCP listener, or to the Unix socket at a path."""

    def __init__(self) -> None:
        self._clients: list[RawClient] = []

    def __call__(self, to: Server | str) -> RawClient:
        """A new connection."""
        client = RawClient(to if isinstance(to, str) else (to.host.strip("[]"), to.port))
        self._clients.append(client)
        return client

    def close(self) -> None:
        """Closes all of them."""
        for client in self._clients:
            client.close()


@pytest.fixture
def server() -> Iterator[Servers]:
    """Starts servers: `server("app:app", "--threads", "2", chdir=folder)`. Each must stop with exit code 0."""
    servers = Servers()
    yield servers
    servers.stop()


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Opens raw connections to a server, and closes them at the end."""
    opened = Connect()
    yield opened
    opened.close()
