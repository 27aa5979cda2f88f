"""The control API: a WSGI application of a dozen routes, listed in `Api`.

It takes requests apart and puts answers together; what it tells comes from `State`, what it is told goes to the master.
At a public door only metrics and probes exist. A body that is no JSON object of the known members is refused: a
misspelt member of a command must not be taken for none.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Annotated, Any, NamedTuple, TypeVar
from urllib.parse import parse_qs

import msgspec
from msgspec import Meta, Struct

from drawbar.supervisor.control.exposition import CONTENT_TYPE
from drawbar.supervisor.control.line import WAIT_S, Refused, Silent
from drawbar.supervisor.control.metrics import render
from drawbar.supervisor.control.problems import KINDS, Problem, Reply
from drawbar.supervisor.control.state import State
from drawbar.supervisor.logs import Log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

MOST_WORKERS = 1024
"""As many as `server.workers` takes."""
STACKS_S = 10.0
"""Workers tell their stacks when they come to it; one that is stuck is not waited for longer."""

Word = Annotated[str, Meta(min_length=1)]
Timeout = Annotated[float, Meta(gt=0, le=WAIT_S)]

T = TypeVar("T", bound=Struct)


class Replacing(Struct, forbid_unknown_fields=True):
    """`wait`: answer only when the new workers serve, or could not."""

    wait: bool = False


class Stopping(Struct, forbid_unknown_fields=True):
    """`now`: without waiting for requests in progress. `app`: that one's requests are refused, with `message`."""

    now: bool = False
    app: str | None = None
    message: str = ""


class Holding(Struct, forbid_unknown_fields=True):
    """`app`: that one's requests; without, connections to the server."""

    app: str | None = None


class Splitting(Struct, forbid_unknown_fields=True):
    """Shares in percent by label; null is all alike."""

    app: str
    shares: dict[str, float] | None


class Deploying(Struct, forbid_unknown_fields=True):
    """`wait`: answer when the queue has moved, or with `judged` at the verdict. `timeout`: seconds for the workers.

    The others say what the workers are, where they are this server's to start.
    """

    app: str
    label: str
    wait: bool = False
    judged: bool = False
    judge: bool = True
    timeout: Timeout | None = None
    target: Word | None = None
    command: Annotated[list[Word], Meta(min_length=1)] | None = None
    chdir: Word | None = None
    workers: Annotated[int, Meta(ge=1, le=MOST_WORKERS)] | None = None


class RollingBack(Struct, forbid_unknown_fields=True):
    """`wait`: answer when the queue has moved."""

    app: str
    wait: bool = False
    timeout: Timeout | None = None


class Counting(Struct, forbid_unknown_fields=True):
    """By how many workers, or to how many: one of the two."""

    change: int | None = None
    count: int | None = None
    app: str | None = None
    """Whose, where several applications have workers."""


class Killing(Struct, forbid_unknown_fields=True):
    """Which worker."""

    pid: int


class Plain(Struct, forbid_unknown_fields=True):
    """A command with nothing more to say."""


class Request(NamedTuple):
    """What a route gets to see."""

    query: Mapping[str, list[str]]
    body: bytes


Route = Callable[[Request], Reply]


class Api:
    """The application for one kind of door. waiters: commands that may be waited for at a time."""

    def __init__(self, state: State, log: Log, *, public: bool, waiters: int) -> None:
        self._state = state
        self._log = log
        self._waiters = waiters
        self._places = threading.Semaphore(waiters)
        """Of those who wait."""
        probes: dict[str, Route] = {"/metrics": self._metrics, "/livez": self._livez, "/readyz": self._readyz}
        asks: dict[str, Route] = {"/status": self._status, "/config": self._config, "/stacks": self._stacks}
        tells: dict[str, Route] = {
            "/reload": self._replace("reload"),
            "/restart": self._replace("restart"),
            "/upgrade": self._replace("upgrade"),
            "/stop": self._stop,
            "/workers": self._workers,
            "/logs/reopen": self._reopen,
            "/kill": self._kill,
            "/pause": self._hold("pause"),
            "/resume": self._hold("resume"),
            "/split": self._split,
            "/deploy": self._move("deploy", Deploying),
            "/rollback": self._move("rollback", RollingBack),
        }
        self._routes: dict[str, dict[str, Route]] = {
            path: {"GET": route, "HEAD": route} for path, route in (probes if public else probes | asks).items()
        }
        if not public:
            self._routes |= {path: {"POST": route} for path, route in tells.items()}

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        try:
            reply = self._answer(environ)
        except Problem as problem:
            reply = problem.reply()
        except Refused as refused:
            reply = Problem(KINDS[refused.kind], str(refused)).reply()
        except Silent as silent:
            reply = Problem(503, str(silent)).reply()
        headers = [("Content-Type", reply.content_type), ("Cache-Control", "no-store"), *reply.headers]
        headers.append(("Content-Length", str(len(reply.body))))
        start_response(f"{reply.status} {HTTPStatus(reply.status).phrase}", headers)
        return [reply.body]

    def _answer(self, environ: "WSGIEnvironment") -> Reply:
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        methods = self._routes.get(path)
        if methods is None:
            raise Problem(404, f"there is no {path} here", more={"paths": sorted(self._routes)})
        if method not in methods:
            allowed = ", ".join(methods)
            raise Problem(405, f"{path} takes {allowed}, not {method}", headers=(("Allow", allowed),))
        return methods[method](Request(parse_qs(environ["QUERY_STRING"]), environ["wsgi.input"].read()))

    # Probes and figures.

    def _metrics(self, request: Request) -> Reply:
        return Reply(200, render(self._state.exposition()).encode(), CONTENT_TYPE)

    def _livez(self, request: Request) -> Reply:
        self._state.line.ask("ping")
        return Reply(200, b"ok\n", "text/plain; charset=utf-8")

    def _readyz(self, request: Request) -> Reply:
        reason = self._state.why_not_ready()
        if reason is not None:
            raise Problem(503, reason)
        return Reply(200, b"ok\n", "text/plain; charset=utf-8")

    def _status(self, request: Request) -> Reply:
        return _json(self._state.status())

    def _config(self, request: Request) -> Reply:
        return _json(self._state.line.ask("config"))

    def _stacks(self, request: Request) -> Reply:
        pid = _pid_of(request.query)
        return _json(self._state.line.ask("stacks", STACKS_S, **({} if pid is None else {"pid": pid})))

    # Commands.

    def _replace(self, verb: str) -> Route:
        def route(request: Request) -> Reply:
            if _read(request.body, Replacing).wait:
                return _json(self._wait_for(verb))
            # 202: the server has taken it on and is at it (RFC 9110, 15.3.3).
            return _json(self._state.line.ask(verb, wait=False), 202)

        return route

    def _wait_for(self, verb: str, **arguments: Any) -> Mapping[str, Any]:
        """The result, when it is there. One too many is refused before the master hears of it."""
        if not self._places.acquire(blocking=False):
            why = f'{self._waiters} commands are waited for already; come later, or do without "wait" (--no-wait)'
            raise Problem(503, why)
        try:
            return self._state.line.ask(verb, WAIT_S, wait=True, **arguments)
        finally:
            self._places.release()

    def _hold(self, verb: str) -> Route:
        def route(request: Request) -> Reply:
            app = _read(request.body, Holding).app
            return _json(self._state.line.ask(verb, **({} if app is None else {"app": app})))

        return route

    def _stop(self, request: Request) -> Reply:
        wanted = _read(request.body, Stopping)
        if wanted.app is None:
            if wanted.message:
                raise Problem(400, 'a message is for the clients of an application: say which one by "app"')
            return _json(self._state.line.ask("stop", now=wanted.now), 202)
        if wanted.now:
            raise Problem(400, '"now" is for the whole server, not for an application')
        return _json(self._state.line.ask("stop", app=wanted.app, message=wanted.message))

    def _split(self, request: Request) -> Reply:
        wanted = _read(request.body, Splitting)
        return _json(self._state.line.ask("split", app=wanted.app, shares=wanted.shares))

    def _move(self, verb: str, kind: type[Deploying] | type[RollingBack]) -> Route:
        def route(request: Request) -> Reply:
            wanted: Deploying | RollingBack = _read(request.body, kind)
            if isinstance(wanted, Deploying) and wanted.target is not None and wanted.command is not None:
                raise Problem(400, "a target is imported, a command is started; give one of the two")
            said = msgspec.to_builtins(wanted)
            arguments = {name: value for name, value in said.items() if name != "wait" and value is not None}
            if wanted.wait:
                return _json(self._wait_for(verb, **arguments))
            return _json(self._state.line.ask(verb, wait=False, **arguments), 202)

        return route

    def _workers(self, request: Request) -> Reply:
        wanted = _read(request.body, Counting)
        whose = {} if wanted.app is None else {"app": wanted.app}
        if (wanted.change is None) == (wanted.count is None):
            raise Problem(400, 'say either {"change": 1} or {"count": 4}')
        if wanted.count is not None:
            if not 0 <= wanted.count <= MOST_WORKERS:
                raise Problem(400, f"{wanted.count} is no number of workers; write one from 0 to {MOST_WORKERS}")
            return _json(self._state.line.ask("workers", count=wanted.count, **whose), 202)
        if not wanted.change or abs(wanted.change) > MOST_WORKERS:
            raise Problem(400, f"{wanted.change} changes nothing, or too much; write 1 or -1")
        return _json(self._state.line.ask("workers", change=wanted.change, **whose), 202)

    def _reopen(self, request: Request) -> Reply:
        _read(request.body, Plain)
        result = self._state.line.ask("reopen-logs")
        # This process writes to the same file, and was forked before it was rotated away.
        self._log.reopen()
        return _json(result)

    def _kill(self, request: Request) -> Reply:
        return _json(self._state.line.ask("kill", pid=_read(request.body, Killing).pid), 202)


def _json(value: Any, status: int = 200) -> Reply:
    return Reply(status, msgspec.json.encode(value) + b"\n")


def _read(body: bytes, kind: type[T]) -> T:
    """The command's members; none at all is an empty object."""
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        members = ", ".join(msgspec.structs.fields(kind)[index].name for index in range(len(kind.__struct_fields__)))
        raise Problem(400, f"the body is not as it should be: {error}; known members: {members or 'none'}") from error


def _pid_of(query: Mapping[str, list[str]]) -> int | None:
    """The process id a query names; None without one."""
    (text, *more) = query.get("pid", [""])
    if not text and not more:
        return None
    if more or not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise Problem(400, f"pid={text!r} is no process id; write one number")
    return int(text)
