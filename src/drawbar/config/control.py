"""[control]: where a running server is asked and told."""

from typing import Annotated

from msgspec import Meta

from drawbar.config.binds import BindAddress
from drawbar.config.kinds import Hint, Kind, parse_text
from drawbar.config.log import OFF
from drawbar.config.section import Section

AUTO = "auto"


def parse_socket(raw: object) -> str:
    """A path, `auto`, or `off`."""
    if raw is False:
        return OFF
    text = parse_text(raw)
    if not text:
        raise ValueError("it is empty; write a path, auto or off")
    return text.lower() if text.lower() in (AUTO, OFF) else text


SOCKET = Kind("PATH|auto|off", "a path, `auto` or `off`", parse_socket)


class ControlConfig(Section, frozen=True, kw_only=True):
    """Where a running server is asked and told."""

    socket: Annotated[
        Annotated[str, SOCKET],
        Meta(description="Unix socket `drawbar ctl` talks to; `auto` is one named after the master's process id."),
        Hint(option="control-socket"),
    ] = AUTO
    metrics_bind: Annotated[
        tuple[BindAddress, ...],
        Meta(description="Addresses that answer `/metrics`, `/livez` and `/readyz`, beside the control socket."),
    ] = ()
