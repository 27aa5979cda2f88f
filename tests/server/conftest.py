"""What the tests of a whole server share. Servers are slow to start, so a module's tests use one where they can."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.server import Server, Servers

SITES = Path(__file__).parent / "sites"

# Where an application is called, and by what name: every test that does not care runs with each.
WAYS = {
    "inline": ("app", "--threads", "1"),
    "threads": ("app", "--threads", "1:4"),
    "greenlets": ("app", "--concurrency", "greenlets"),
    "fork": ("app", "--concurrency", "fork"),
    "asyncio": ("asgi", "--loop", "asyncio"),
}

Serve = Callable[..., Server]


class Fifo:
    """A gate: `/hold` of the plain site waits in it until `release()`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)

    def release(self) -> None:
        """Lets one pass, once it is there."""
        os.close(os.open(self.path, os.O_WRONLY))


@pytest.fixture
def fifo(tmp_path: Path) -> Fifo:
    return Fifo(tmp_path / "gate")


@pytest.fixture(scope="module")
def shared() -> Iterator[Serve]:
    """Starts a site, or gives the one a test of this module has started in the same way."""
    servers = Servers()
    started: dict[tuple[str, ...], Server] = {}

    def serve(target: str, *options: str) -> Server:
        key = (target, *options)
        if key not in started:
            started[key] = servers(target, *options, chdir=SITES)
        return started[key]

    yield serve
    servers.stop()
