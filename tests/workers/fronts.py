"""The fronts that workers are tested with: the strict stub, and Drawbar's own as its users start it."""

import contextlib
import http.client
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from tests.support.server import PATIENCE_S, Server, Servers
from tests.support.stub_front import StubFront

TOKEN = "0123456789abcdef0123"


class AnyFront(Protocol):
    """What a test may do with a front. Its application is `site`."""

    @property
    def url(self) -> str:
        """What workers are given."""

    @property
    def public(self) -> tuple[str, int]:
        """Where clients connect."""

    @property
    def dialled(self) -> int | None:
        """Connections that were ever attached; None when it does not tell."""

    def wait_for_slots(self, count: int, label: str = "") -> None:
        """Returns once `count` attached connections with `label` are idle."""

    def close_api(self) -> None:
        """Is not there for workers until `open_api`, on the same port."""

    def open_api(self) -> None:
        """See there."""

    def close(self) -> None:
        """Ends. AssertionError when a worker did what the protocol does not say, in as far as it is told."""


class ServedFront:
    """`drawbar serve`."""

    def __init__(self, token: str = "") -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._servers = Servers()
        self._options = ["--app", "site=/", "--temp-dir", self._folder.name]
        if token:
            tokens = Path(self._folder.name) / "tokens"
            tokens.write_text(f"{token} site\n")
            self._options += ["--api-token-file", str(tokens)]
        try:
            self._server = self._start("127.0.0.1:0", "127.0.0.1:0")
        except BaseException:
            # Nobody closes what was not made.
            self._folder.cleanup()
            raise
        self.url = self._server.api
        self.public = (self._server.host, self._server.port)
        self.dialled: int | None = None

    def _start(self, bind: str, api: str) -> Server:
        return self._servers(None, "--api", api, *self._options, command="serve", bind=bind)

    def close(self) -> None:
        self._servers.stop()
        self._folder.cleanup()

    def close_api(self) -> None:
        self._server.stop()

    def open_api(self) -> None:
        host, port = self.public
        self._server = self._start(f"{host}:{port}", self.url.removeprefix("http://"))

    def wait_for_slots(self, count: int, label: str = "") -> None:
        with contextlib.closing(
            http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=PATIENCE_S)
        ) as api:
            # The front answers when it comes to it, so between two questions workers had their turn.
            until = time.monotonic() + PATIENCE_S
            while (idle := self._idle(api, label)) < count:
                assert time.monotonic() < until, f"{idle} of {count} slots"

    def _idle(self, api: http.client.HTTPConnection, label: str) -> int:
        api.request("GET", "/api/v2/status")
        labels = json.loads(api.getresponse().read())["apps"]["site"]["labels"]
        return sum(found["idle"] for found in labels if found["label"] == label)


FRONTS: dict[str, Callable[..., AnyFront]] = {"stub": StubFront, "served": ServedFront}
