"""A front and its API on one stepped reactor: clients on one side, workers on the other, and the test between them."""

import json
from typing import Any

from drawbar.pull.api import Api, policy
from drawbar.pull.desk import Limits
from drawbar.pull.front import Front
from drawbar.pull.queue import AppQueue
from drawbar.pull.routes import Route
from drawbar.pull.tokens import Tokens
from tests.support.calls import Door, Doors, message
from tests.support.inprocess import Client
from tests.support.raw import Response


class Pulled(Doors):
    """Serves apps by queues. apps: the options of each one's queue, by name; each has its routes under /NAME.

    `public` is where clients go, `door` where workers do; `bad` is what was wrong with responses of lane v1.
    """

    def __init__(
        self,
        apps: dict[str, dict[str, Any]] | None = None,
        *,
        tokens: Tokens | None = None,
        limits: Limits = Limits(),  # noqa: B008  # a tuple
        public: dict[str, Any] | None = None,
        stream_input: bool = False,
        **api: Any,
    ) -> None:
        super().__init__()
        self.bad: list[tuple[str, str]] = []
        self.front = Front(self.reactor, stream_input=stream_input)
        for name, options in (apps or {"shop": {}}).items():
            prefix = "/" if not apps or len(apps) == 1 else f"/{name}"
            self.front.add_app(name, AppQueue(name, **options), [Route(None, prefix)])
        self.api = Api(
            self.front,
            self.reactor,
            tokens=tokens,
            limits=limits,
            on_bad=lambda app, why: self.bad.append((app, why)),
            on_error=self.errors.append,
            **api,
        )
        self.public: Door = self.open(self.front, **(public or {}))
        self.door: Door = self.open_with(self.api.handler, policy())

    @property
    def queue(self) -> AppQueue:
        """The first app's."""
        return next(iter(self.front.queues.values()))

    def client(self, request: bytes = b"", **socket: Any) -> Client:
        """A client of the site, which has sent a request."""
        client = self.public.connect(**socket)
        client.send(request or message("GET /"))
        return client

    def worker(self, request: bytes = b"", **socket: Any) -> Client:
        """A worker's connection, on which it has sent a request."""
        worker = self.door.connect(**socket)
        if request:
            worker.send(request)
        return worker

    def call(self, start: str, *fields: str, body: bytes | None = None) -> Response:
        """The answer of the API to one request."""
        return self.door.request(message(start, *fields, body=body))


def problem(response: Response, status: int, code: str) -> dict[str, Any]:
    """The members of a problem, after a look at those every one has."""
    assert (response.status, response.header("content-type")) == (status, "application/problem+json"), response
    members: dict[str, Any] = json.loads(response.body)
    assert (members["status"], members["code"]) == (status, code)
    assert members["detail"]
    return members
