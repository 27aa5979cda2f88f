"""The API of the front: which path is whose, who may ask, and what everybody else is told.

Law: a request is judged by its head, and nothing of its body is read before it may be served. Probes need no token and
tell nothing but yes or no; all else needs one as soon as there are tokens. Without tokens only programs on this machine
can reach the API, and a browser among them is refused: the pages it shows come from anywhere, under any name.
"""

import re
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any, Final

from msgspec.json import encode

from drawbar.config.binds import is_loopback
from drawbar.exchange.exchange import Handler
from drawbar.exchange.policy import Policy
from drawbar.net.reactor import Reactor
from drawbar.pull.attach import attach
from drawbar.pull.call import Call, CallHandler
from drawbar.pull.desk import Desk, Limits
from drawbar.pull.front import Front
from drawbar.pull.lane_v1 import LaneV1
from drawbar.pull.lane_v2 import LaneV2
from drawbar.pull.openapi import document
from drawbar.pull.problem import Problem, shortened
from drawbar.pull.query import read_name, read_number, read_query, read_wait
from drawbar.pull.status import MOST_LISTED, Status
from drawbar.pull.tell import guarded, tell
from drawbar.pull.tokens import EVERYTHING, NOTHING, Grant, Tokens

Route = Callable[[Call, Grant], object]
Routes = Mapping[str, Route]

PORT: Final = re.compile(r":[0-9]*$")
REQUEST_PATH: Final = re.compile(r"/api/v2/requests/([^/]{1,80})/(response|renew|release)")
JSON: Final = [(b"Content-Type", b"application/json"), (b"Cache-Control", b"no-store")]
TEXT: Final = [(b"Content-Type", b"text/plain; charset=utf-8"), (b"Cache-Control", b"no-store")]
OK: Final = b"ok\n"
PROTOCOL: Final = "PTTH/1.0"
STREAM_IDLE_S: Final = 60.0
"""A worker that sends nothing of a body it has begun is given up after so long: its client waits."""

WHO: Final = {"app", "label", "worker"}
WRITE_NEXT: Final = "app=NAME, and wait=SECONDS, label=TEXT, worker=TEXT as you like"
WRITE_WHO: Final = "app=NAME, and label=TEXT, worker=TEXT as you like"


def policy(**changes: Any) -> Policy:
    """The policy of an API listener. The length of a body is each path's own affair."""
    return Policy(**{"body_bytes": 0, "body_timeout": STREAM_IDLE_S, "fields": 100, **changes})


class Api:
    """Serves an API listener.

    tokens: None: whoever can connect may do everything. on_demand: apps whose workers are started when a request comes.
    is_leaving: whether this server is about to stop, before it begins to. on_bad: told the app, and what is wrong with
    a response that its worker was not told about (lane v1). on_error: called with what went wrong here. `tokens` can be
    replaced at any time.
    """

    def __init__(
        self,
        front: Front,
        reactor: Reactor,
        *,
        tokens: Tokens | None = None,
        limits: Limits = Limits(),  # noqa: B008  # a tuple
        on_demand: Collection[str] = (),
        is_leaving: Callable[[], bool] = lambda: False,
        on_bad: Callable[[str, str], object] = lambda app, why: None,
        on_error: Callable[[BaseException], object] = lambda error: None,
    ) -> None:
        self.tokens = tokens
        self._front = front
        self._reactor = reactor
        self._limits = limits
        self._is_leaving = is_leaving
        self._desk = Desk(front, reactor, limits, on_error)
        self._v1 = LaneV1(self._desk, on_bad)
        self._v2 = LaneV2(self._desk)
        self._status = Status(self._desk, on_demand)
        self._document = encode(document(limits)) + b"\n"
        self._probes: dict[str, Routes] = {
            "/livez": _reading(self._livez),
            "/readyz": _reading(self._readyz),
        }
        self._routes: dict[str, Routes] = {
            "/api/v1/request": {"GET": self._v1_ask, "POST": self._v1.take},
            "/api/v1/response": {"POST": self._v1.take},
            "/api/v2/next": {"GET": self._next},
            "/api/v2/attach": {"GET": self._attach},
            "/api/v2/status": _reading(self._tell_status),
            "/api/v2/openapi.json": _reading(self._tell_document),
        }
        self.handler: Handler = CallHandler(self._serve, self._fail)
        """Of listeners that tokens are for."""

    def handler_for(self, grant: Grant) -> Handler:
        """Of a listener that only those can reach who have that grant: nothing else is asked of them."""
        return CallHandler(partial(self._serve, grant=grant), self._fail)

    def tell_of_trials(self, on_trial: Callable[[str], dict[str, Any] | None]) -> None:
        """Has the status tell, by app, of the trial of a new version."""
        self._status.on_trial = on_trial

    def drain(self) -> None:
        """Sends away everybody who waits for a request."""
        self._desk.drain()

    # -- every request

    def _serve(self, call: Call, grant: Grant | None = None) -> None:
        try:
            route, grant = self._routed(call, grant)
            guarded(call, route)(call, grant)
        except Problem as problem:
            tell(call, problem)

    def _routed(self, call: Call, grant: Grant | None) -> tuple[Route, Grant]:
        probe = self._probes.get(call.path)
        if grant is None:
            grant = self._granted(call) if probe is None else self._shown(call)
        routes = probe or self._routes.get(call.path) or self._request_routes(call.path)
        route = routes.get(call.method)
        if route is None:
            allowed = ", ".join(routes)
            raise Problem(
                "no-such-method",
                f"{call.path} does not take {shortened(call.method)}",
                allowed,
                fields=((b"Allow", allowed.encode()),),
            )
        return route, grant

    def _granted(self, call: Call) -> Grant:
        if self.tokens is not None:
            return self.tokens.grant(call.header(b"authorization"))
        # Fetch standard, section 3.1, and Fetch Metadata: what a page has a browser send carries one or both.
        if call.header(b"origin") is not None or call.header(b"sec-fetch-site") not in (None, "none"):
            raise Problem(
                "browser", "this request comes from a page in a browser", "a program, or an API that asks for a token"
            )
        # A page whose own name leads to this machine sends neither with a GET, but its name (DNS rebinding).
        host = call.header(b"host")
        if call.remote is not None and host and not _is_here(host):
            raise Problem(
                "wrong-host",
                f"without tokens this API is for programs of its own machine, and {shortened(host)} is no name of that",
                "localhost or a loopback address as the host, or an API that asks for a token",
            )
        return EVERYTHING

    def _shown(self, call: Call) -> Grant:
        """What a probe may name: it needs no token, and gets a bare yes or no without."""
        try:
            return self._granted(call)
        except Problem:
            return NOTHING

    def _request_routes(self, path: str) -> Routes:
        found = REQUEST_PATH.fullmatch(path)
        if found is None:
            paths = [*self._probes, *self._routes, "/api/v2/requests/{id}/response|renew|release"]
            raise Problem("no-such-path", f"there is no {shortened(path)} here", more={"paths": paths})
        lease_id, what = found.groups()
        return {"POST": partial(getattr(self, "_" + what), lease_id)}

    def _fail(self, call: Call, status: int, why: str) -> None:
        """What the connection has noticed, or a function failed at."""
        codes = {413: "too-large", 500: "failed"}
        tell(call, Problem(codes.get(status, "broken-body"), why, status=status))

    def _app(self, parameters: dict[str, str], grant: Grant) -> str:
        """The app a worker means. Raises Problem."""
        known = grant.among(self._front.queues)
        name = parameters.get("app")
        if name is None:
            if len(known) == 1:
                return known[0]
            raise Problem("bad-request", "which app this worker is for is not said", "app=NAME", more={"apps": known})
        if not grant.allows(name):
            raise Problem("not-granted", f"this token is not for the app {shortened(name)}", more={"apps": known})
        if name not in self._front.queues:
            raise Problem("unknown-app", f"there is no app {shortened(name)}", "one of `apps`", more={"apps": known})
        return name

    # -- lane v1

    def _v1_ask(self, call: Call, grant: Grant) -> None:
        parameters = read_query(call.query, WHO, WRITE_WHO)
        label, worker = read_name(parameters, "label"), read_name(parameters, "worker")
        self._v1.ask(call, self._app(parameters, grant), label, worker)

    # -- lane v2

    def _next(self, call: Call, grant: Grant) -> None:
        parameters = read_query(call.query, WHO | {"wait"}, WRITE_NEXT)
        wait_ms = read_wait(parameters, self._limits.wait_ms, self._limits.most_wait_ms)
        label, worker = read_name(parameters, "label"), read_name(parameters, "worker")
        self._v2.ask(call, self._app(parameters, grant), label, worker, wait_ms)

    def _response(self, lease_id: str, call: Call, grant: Grant) -> None:
        read_query(call.query, (), "no parameters")
        self._v2.take(call, lease_id, self._desk.leased(lease_id, grant))

    def _renew(self, lease_id: str, call: Call, grant: Grant) -> None:
        read_query(call.query, (), "no parameters")
        self._v2.renew(call, lease_id, self._desk.leased(lease_id, grant))

    def _release(self, lease_id: str, call: Call, grant: Grant) -> None:
        parameters = read_query(call.query, ("begun",), "begun=no, or nothing")
        begun = parameters.get("begun", "yes")
        if begun not in ("yes", "no"):
            raise Problem("bad-request", f"begun={shortened(begun)}", "begun=no when the request has not been begun")
        self._v2.release(call, lease_id, self._desk.leased(lease_id, grant), begun == "no")

    # -- the attach lane

    def _attach(self, call: Call, grant: Grant) -> None:
        parameters = read_query(call.query, WHO, WRITE_WHO)
        app, label = self._app(parameters, grant), read_name(parameters, "label")
        worker = read_name(parameters, "worker")
        upgrades = (call.header(b"upgrade") or "").lower().replace(" ", "").split(",")
        options = (call.header(b"connection") or "").lower().replace(" ", "").split(",")
        if PROTOCOL.lower() not in upgrades or "upgrade" not in options:
            raise Problem(
                "upgrade-required",
                "attaching needs the connection itself",
                f"Connection: Upgrade and Upgrade: {PROTOCOL}",
                fields=((b"Upgrade", PROTOCOL.encode()),),
            )
        known = self._front.queues[app].label(label)
        if known is not None and known.retired:
            raise Problem("retired", f"the label {shortened(label)} is retired: it gets no more requests")
        if self._desk.is_draining:
            raise Problem("not-ready", "this server is stopping", "another connection, in a moment")
        if len(self._front.attached) >= self._limits.attached:
            raise Problem(
                "too-many-attached",
                f"{len(self._front.attached)} connections are attached here already",
                "fewer slots, or a higher limit in the server's settings",
                fields=((b"Retry-After", b"1"),),
            )
        if call.has_body:
            raise Problem("bad-request", "a request to attach has no body", "a GET without one")
        call.hand_over(lambda exchange: attach(self._front, app, label, exchange, worker))

    # -- what is told

    def _livez(self, call: Call, grant: Grant) -> None:
        call.respond(200, TEXT, OK)

    def _readyz(self, call: Call, grant: Grant) -> None:
        name = read_query(call.query, ("app",), "app=NAME, or nothing for all of them").get("app")
        if name is not None and name not in self._front.queues:
            raise Problem("unknown-app", f"there is no app {shortened(name)}")
        if self._desk.is_draining or self._is_leaving():
            raise Problem("not-ready", "this server is stopping")
        reasons = self._status.why_not_ready(self._front.queues if name is None else [name])
        if reasons:
            shown = {app: reasons[app] for app in grant.among(reasons)}
            raise Problem("not-ready", "a queue does not move", more={"apps": shown} if shown else None)
        call.respond(200, TEXT, OK)

    def _tell_status(self, call: Call, grant: Grant) -> None:
        parameters = read_query(call.query, ("app", "most"), "app=NAME, or nothing for all of them; most=NUMBER")
        apps = [self._app(parameters, grant)] if "app" in parameters else grant.among(self._front.queues)
        report = self._status.report(apps, read_number(parameters, "most", MOST_LISTED))
        if grant.apps is None:
            report["histograms"] = self._status.histograms(self._reactor.cell)
        call.respond(200, JSON, encode(report) + b"\n")

    def _tell_document(self, call: Call, grant: Grant) -> None:
        call.respond(200, JSON, self._document)


def _is_here(host: str) -> bool:
    """A Host field says this machine in a way that no other can be called by."""
    return is_loopback(PORT.sub("", host).lower().removeprefix("[").removesuffix("]"))


def _reading(route: Route) -> Routes:
    return {"GET": route, "HEAD": route}
