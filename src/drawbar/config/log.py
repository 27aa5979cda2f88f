"""[log]: what is written down, and where."""

from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from drawbar.config.kinds import Hint, Kind, parse_text
from drawbar.config.section import Section

OFF = "off"
STANDARD = "-"


def parse_destination(raw: object) -> str:
    """A file, `-` for the standard stream, or `off`."""
    # YAML habits and TOML's bare `false` mean the same thing here.
    if raw is False:
        return OFF
    text = parse_text(raw)
    if not text:
        raise ValueError("it is empty; write a path, - or off")
    return OFF if text.lower() == OFF else text


DESTINATION = Kind("PATH|-|off", "a path, `-` or `off`", parse_destination)


class LogConfig(Section, frozen=True, kw_only=True):
    """What is written down, and where."""

    OPTION: ClassVar[str] = "log-{}"

    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Meta(description="Least severity that is written; `debug` adds tracebacks to the operator's mistakes."),
    ] = "info"
    access: Annotated[
        Annotated[str, DESTINATION],
        Meta(description="Where a line for each request goes: a path, `-` for standard output, or `off`."),
        Hint(option="access-log"),
    ] = OFF
    access_format: Annotated[
        Literal["combined", "json"],
        Meta(description="Form of the access log."),
        Hint(option="access-log-format"),
    ] = "combined"
    error: Annotated[
        Annotated[str, DESTINATION],
        Meta(description="Where messages go: a path, `-` for standard error, or `off`."),
        Hint(option="error-log"),
    ] = STANDARD
