"""How each server is started: one row each, as data. Starting it is process.py's matter.

Commands may use {python}, {port}, {api_port}, {app} (a name in apps.py), {here} (this directory) and {scratch} (an
empty directory of this start, with the family's .conf files filled in, where there are any). They run in this
directory, so that `apps` can be imported. Each server logs no access and, unless its name says otherwise (2x2: two
workers with two threads each), runs one worker process; what else is set is set because its default would measure
something other than serving: a keep-alive timeout shorter than the run, a thread count other than the case's.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

Interface = Literal["static", "wsgi", "asgi"]
NGINX = "nginx"
# gunicorn's threaded workers report once a second: with less they are killed for nothing.
REQUEST_TIMEOUT_S = 2
LIGHTTPD = "lighttpd"


@dataclass(frozen=True, slots=True)
class Server:
    """One way to start one server."""

    name: str
    family: str
    """The distribution it comes from, by which its version is found and a group of rows is chosen."""
    interface: Interface
    command: tuple[str, ...]
    beside: tuple[str, ...] = ()
    """What answers for one that passes requests on: started beside it, and not counted."""
    near: bool = False
    """Whether that runs on its processor, and not on the clients'."""
    greets: bool = True
    """Whether it answers at all before the case brings its workers."""
    sides: tuple[str, ...] = ()
    """Networks of other machines that it is reached from, when it has one of its own."""

    @property
    def is_python_peer(self) -> bool:
        """Whether it is another server of Python applications."""
        return self.family not in (NGINX, "drawbar")


def drawbar(name: str, interface: Interface, *options: str, workers: int = 1) -> Server:
    """A row for Drawbar, as its users start it."""
    target = ("{python}", "-m", "drawbar", "run", "apps:{app}", "--bind", "127.0.0.1:{port}")
    return Server(name, "drawbar", interface, (*target, "--workers", str(workers), *options))


def granian(name: str, interface: Interface, *options: str, workers: int = 1) -> Server:
    """A row for granian, without HTTP/2 and WebSockets; by default it would leave the 1,025th connection waiting."""
    command = (
        *("{python}", "-m", "granian", "apps:{app}", "--interface", interface, "--host", "127.0.0.1"),
        *("--port", "{port}", "--workers", str(workers), "--http", "1", "--no-ws", "--log-level", "warning"),
        *("--backpressure", "12000"),
    )
    return Server(name, "granian", interface, command + options)


def gunicorn(name: str, *options: str, workers: int = 1) -> Server:
    """A row for gunicorn; its control socket would be one more thread that serves nobody."""
    command = ("{python}", "-m", "gunicorn", "apps:{app}", "--bind", "127.0.0.1:{port}", "--workers", str(workers))
    quiet = ("--log-level", "warning", "--keep-alive", "75", "--worker-tmp-dir", "{scratch}", "--no-control-socket")
    return Server(name, "gunicorn", "wsgi", command + quiet + options)


def uvicorn(name: str, loop: str) -> Server:
    """A row for uvicorn with its native parser."""
    command = (
        *("{python}", "-m", "uvicorn", "apps:{app}", "--host", "127.0.0.1", "--port", "{port}", "--loop", loop),
        *("--http", "httptools", "--no-access-log", "--log-level", "warning", "--timeout-keep-alive", "75"),
    )
    return Server(name, "uvicorn", "asgi", command)


def uncounted(name: str) -> Server:
    """Drawbar compiled without what it writes to the scoreboard, by a build of its own that `make bench` makes."""
    counted = drawbar(name, "wsgi", "--threads", "1")
    return Server(name, "drawbar", "wsgi", ("env", "PYTHONPATH={uncounted}", *counted.command))


def front(name: str, *options: str, beside: tuple[str, ...] = (), near: bool = False) -> Server:
    """A row for a front, and for who pulls from it; without any the case brings them."""
    command = ("{python}", "-m", "drawbar", "serve", "--bind", "127.0.0.1:{port}", "--api", "unix:{scratch}/api.sock")
    return Server(name, "drawbar", "wsgi", command + options, beside, near, greets=bool(beside))


def nginx_proxy(name: str, *, near: bool = False) -> Server:
    """A row for nginx passing requests on to another nginx over a Unix socket."""
    command = ("nginx", "-p", "{scratch}", "-c", "{scratch}/nginx-proxy.conf")
    return Server(name, NGINX, "static", command, (*command[:-1], "{scratch}/nginx-upstream.conf"), near)


def split(name: str, *options: str, workers: int) -> Server:
    """A row for a front and its own workers, under one master, on every processor.

    On one, what is noticed of a worker would be how the kernel's scheduler has them take turns.
    """
    whole = drawbar(name, "wsgi", "--split", "--api", "unix:{scratch}/api.sock", *options, workers=workers)
    return replace(whole, command=("taskset", "--cpu-list", "0-1023", *whole.command))


def worker(*options: str) -> tuple[str, ...]:
    """The command of workers that pull from a front over a Unix socket."""
    return ("{python}", "-m", "drawbar", "work", "apps:{app}", "--from", "unix:{scratch}/api.sock", *options)


def lane(name: str) -> Server:
    """A row for a front with eight workers on one of its lanes, over TCP."""
    workers = ("{python}", "{here}/lanes.py", name, "{api_port}", "8")
    return front(f"drawbar-front-{name}", "--api", "127.0.0.1:{api_port}", beside=workers)


def far(name: str, *sides: str) -> Server:
    """A row for a front whose workers are on other machines. It listens everywhere in a network of its own."""
    command = ("--api", "0.0.0.0:{api_port}", "--api-token-file", "{scratch}/token")
    return replace(front(name, *command), interface="asgi", sides=sides)


RELOADABLE = ("--config", "{scratch}/drawbar.toml")

SERVERS: tuple[Server, ...] = (
    Server(NGINX, NGINX, "static", ("nginx", "-p", "{scratch}", "-c", "{scratch}/nginx.conf")),
    drawbar("drawbar", "wsgi", "--threads", "1"),
    drawbar("drawbar-behind", "wsgi", "--threads", "1", "--trusted-proxies", "127.0.0.1"),
    drawbar("drawbar-1:8", "wsgi", "--threads", "1:8"),
    drawbar("drawbar-8", "wsgi", "--threads", "8"),
    drawbar("drawbar-2x2", "wsgi", "--threads", "2", workers=2),
    drawbar("drawbar-4x1", "wsgi", "--threads", "1", workers=4),
    drawbar("drawbar-x2", "wsgi", "--threads", "1", *RELOADABLE, workers=2),
    drawbar("drawbar-x2-1:8", "wsgi", "--threads", "1:8", *RELOADABLE, workers=2),
    drawbar("drawbar-x2-uvloop", "asgi", "--loop", "uvloop", *RELOADABLE, workers=2),
    drawbar("drawbar-x100", "wsgi", "--threads", "1", workers=100),
    drawbar("drawbar-timed-1:8", "wsgi", "--threads", "1:8", "--request-timeout", str(REQUEST_TIMEOUT_S)),
    drawbar("drawbar-timed-asyncio", "asgi", "--loop", "asyncio", "--request-timeout", str(REQUEST_TIMEOUT_S)),
    uncounted("drawbar-uncounted"),
    front("drawbar-front", beside=worker("--threads", "1", "--slots", "64")),
    front("drawbar-front-near", beside=worker("--threads", "1", "--slots", "64"), near=True),
    split("drawbar-split-2x4", "--threads", "4", workers=2),
    split("drawbar-split-1", "--threads", "1", workers=1),
    drawbar("drawbar-x2-split", "wsgi", "--split", "--threads", "1", *RELOADABLE, workers=2),
    # As many as may wait have to, for as long as it takes.
    front("drawbar-front-deep", "--queue-length", "20000", "--queue-time", "10m", "--queue-deadline", "10m"),
    far("drawbar-front-far", "kept", "lost"),
    *(lane(name) for name in ("v1", "v1-pipelined", "v2", "attach")),
    nginx_proxy("nginx-proxy"),
    nginx_proxy("nginx-proxy-near", near=True),
    drawbar("drawbar-fork", "wsgi", "--concurrency", "fork", "--threads", "8"),
    drawbar("drawbar-uvloop", "asgi", "--loop", "uvloop"),
    drawbar("drawbar-uvloop-behind", "asgi", "--loop", "uvloop", "--trusted-proxies", "127.0.0.1"),
    drawbar("drawbar-asyncio", "asgi", "--loop", "asyncio"),
    Server(
        "bjoern",
        "bjoern",
        "wsgi",
        ("{python}", "-c", "import bjoern, apps; bjoern.run(apps.{app}, '127.0.0.1', {port})"),
    ),
    Server(
        "fastwsgi",
        "fastwsgi",
        "wsgi",
        ("{python}", "-W", "ignore", "-c", "import fastwsgi, apps; fastwsgi.run(apps.{app}, '127.0.0.1', {port})"),
    ),
    granian("granian", "wsgi", "--blocking-threads", "1"),
    granian("granian-8", "wsgi", "--blocking-threads", "8"),
    granian("granian-2x2", "wsgi", "--blocking-threads", "2", workers=2),
    granian("granian-asgi", "asgi", "--loop", "uvloop"),
    uvicorn("uvicorn", "uvloop"),
    uvicorn("uvicorn-asyncio", "asyncio"),
    gunicorn("gunicorn-sync"),
    # The worker ends after each request, and the master forks the next from the application it holds.
    gunicorn("gunicorn-once", "--preload", "--max-requests", "1"),
    Server(LIGHTTPD + "-cgi", LIGHTTPD, "wsgi", ("lighttpd", "-D", "-f", "{scratch}/lighttpd.conf")),
    gunicorn("gunicorn-gthread", "--worker-class", "gthread", "--threads", "8"),
    gunicorn("gunicorn-gthread-2x2", "--worker-class", "gthread", "--threads", "2", workers=2),
    gunicorn("gunicorn-sync-4", workers=4),
    gunicorn(
        *("gunicorn-x2", "--worker-class", "gthread", "--threads", "8", "--config", "{scratch}/gunicorn.conf.py"),
        workers=2,
    ),
    gunicorn("gunicorn-timed-sync", "--timeout", str(REQUEST_TIMEOUT_S)),
    gunicorn(
        "gunicorn-timed-gthread", "--worker-class", "gthread", "--threads", "8", "--timeout", str(REQUEST_TIMEOUT_S)
    ),
    Server(
        "waitress",
        "waitress",
        "wsgi",
        (
            *("{python}", "-m", "waitress", "--listen", "127.0.0.1:{port}", "--threads", "8"),
            # Its defaults refuse the 101st connection and warn of every queued request.
            *("--connection-limit", "12000", "apps:{app}"),
        ),
    ),
)

BY_NAME = {server.name: server for server in SERVERS}


def chosen(names: Iterable[str], wanted: Iterable[str]) -> list[Server]:
    """The servers among `names` that `wanted` asks for, by name or by family; all of them when it asks for none.

    Raises KeyError with the name that no server or family has.
    """
    wanted = list(wanted)
    known = BY_NAME.keys() | {server.family for server in SERVERS}
    for name in wanted:
        if name not in known:
            raise KeyError(name)
    servers = [BY_NAME[name] for name in names]
    return [server for server in servers if not wanted or server.name in wanted or server.family in wanted]
