"""[hooks]: functions of the application's own that are called as the server goes along."""

from typing import Annotated, ClassVar

from msgspec import Meta

from drawbar.config.kinds import Kind, parse_text
from drawbar.config.section import OF_WORKERS, Section


def parse_function(raw: object) -> str:
    """`module:function`, or `module:object.method`."""
    text = parse_text(raw).strip()
    module, _, function = text.partition(":")
    if not all(part.isidentifier() for part in (*module.split("."), *function.split("."))):
        raise ValueError(f"{raw!r} is not a function; write module:function")
    return text


FUNCTION = Kind("MODULE:FUNCTION", "`module:function` or `module:object.method`", parse_function)
Function = Annotated[str, FUNCTION]


class HooksConfig(Section, frozen=True, kw_only=True):
    """Functions that are called as the server goes along."""

    OPTION: ClassVar[str] = "hook-{}"
    COMMANDS: ClassVar[tuple[str, ...]] = OF_WORKERS

    before_fork: Annotated[
        Function | None,
        Meta(description="In the fork server, once, before the first worker is forked: close what cannot be shared."),
    ] = None
    after_fork: Annotated[Function | None, Meta(description="In each worker, before the application is called.")] = None
    worker_ready: Annotated[Function | None, Meta(description="In each worker, when it takes requests.")] = None
    worker_exit: Annotated[Function | None, Meta(description="In each worker, after its last request.")] = None
    before_exec: Annotated[
        Function | None, Meta(description="In the process that becomes the new master of an upgrade, before it does.")
    ] = None
    request_finished: Annotated[
        Function | None, Meta(description="In a worker, after each request, with what is known of it.")
    ] = None
    out_of_band: Annotated[
        Function | None, Meta(description="In a worker that has answered requests and has nothing to do.")
    ] = None
