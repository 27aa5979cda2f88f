"""[app]: the application and how it is called."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from drawbar.config.kinds import Hint, Kind, Path, parse_text
from drawbar.config.section import OF_WORKERS, Conflict, Section
from drawbar.config.threads import ThreadRange, Threads
from drawbar.config.variables import Variables

Interface = Literal["auto", "wsgi", "asgi"]


def parse_root_path(raw: object) -> str:
    """A path prefix as SCRIPT_NAME and `root_path` want it: with a leading slash, without a trailing one, or empty."""
    text = parse_text(raw).strip().rstrip("/")
    if text and (not text.startswith("/") or "?" in text or "#" in text):
        raise ValueError(f"{raw!r} is not a path prefix; write one such as /shop")
    return text


ROOT_PATH = Kind("PREFIX", "a path such as `/shop`, or empty", parse_root_path)
TARGET = Kind("TARGET", "`module:app`, `module` or `path/to/file.py:app`", parse_text)


class AppConfig(Section, frozen=True, kw_only=True):
    """The application and how it is called."""

    COMMANDS: ClassVar[tuple[str, ...]] = OF_WORKERS

    target: Annotated[
        Annotated[str, TARGET] | None,
        Meta(description="The application to serve. The argument TARGET of a command goes before it."),
    ] = None
    interface: Annotated[Interface, Meta(description="How the application is called; `auto` looks at it.")] = "auto"
    factory: Annotated[bool, Meta(description="The target is a function that returns the application.")] = False
    env: Annotated[
        Variables,
        Meta(
            description="Variables that a worker has in its environment before the application is imported; the master "
            "does not get them. `DRAWBAR_ENV` holds several as a shell would split them."
        ),
    ] = ()
    chdir: Annotated[Path | None, Meta(description="Directory to change to before the application is imported.")] = None
    root_path: Annotated[
        Annotated[str, ROOT_PATH],
        Meta(description="The path the application is mounted at: SCRIPT_NAME of WSGI, `root_path` of ASGI."),
    ] = ""
    concurrency: Annotated[
        Literal["auto", "inline", "threads", "tasks", "greenlets", "fork"],
        Meta(
            description="How calls of the application run beside each other. `auto` is `tasks` for ASGI and `threads` "
            "for WSGI, or `inline` with one thread; `greenlets` (gevent) and `fork` (a process for each request) are "
            "for WSGI."
        ),
    ] = "auto"
    max_concurrency: Annotated[
        int,
        Meta(
            ge=0,
            le=1_000_000,
            description="Calls of the application at once in a worker, WebSockets not counted; `0` is no limit of its "
            "own.",
        ),
        Hint(past="requests wait in the worker, in order"),
    ] = 0
    threads: Annotated[
        Threads,
        Meta(
            description="Threads of a worker that call a WSGI application; `1` calls it one request at a time. With "
            "`fork`, its maximum is that of processes."
        ),
    ] = ThreadRange(1, 8)
    stream_input: Annotated[
        bool,
        Meta(description="Call a WSGI application before its request's body has arrived, and let it read as it comes."),
    ] = False
    loop: Annotated[
        Literal["auto", "asyncio", "uvloop"],
        Meta(description="Event loop of an ASGI application; `auto` is uvloop where it is installed."),
    ] = "auto"
    lifespan: Annotated[
        Literal["auto", "on", "off"],
        Meta(description="ASGI lifespan events; `auto` goes on without when the application does not take them."),
    ] = "auto"
    debug: Annotated[
        bool, Meta(description="Answer an exception of the application with a page that shows it. Never in production.")
    ] = False

    def conflicts(self) -> Iterator[Conflict]:
        """What a model of concurrency cannot do."""
        if self.interface == "asgi" and self.concurrency not in ("auto", "tasks"):
            yield Conflict(("concurrency", "interface"), f"{self.concurrency} is for WSGI; ASGI is called by tasks")
        if self.interface == "wsgi" and self.concurrency == "tasks":
            yield Conflict(("concurrency", "interface"), "tasks are for ASGI")
        if self.concurrency == "fork" and self.stream_input:
            yield Conflict(("concurrency", "stream_input"), "a request's own process starts when its body is there")
