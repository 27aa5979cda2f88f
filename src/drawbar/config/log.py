"""[log]: what is written down, and where."""

from typing import Annotated, ClassVar, Final, Literal

from msgspec import Meta

from drawbar.config.kinds import Hint, Kind, parse_text
from drawbar.config.log_format import Piece, read_format
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


Form = Literal["combined", "json"]
FORMS: Final[dict[str, Form]] = {"combined": "combined", "json": "json"}


def parse_form(raw: object) -> str:
    """The name of a form, or a format of one's own, which has a percent sign."""
    text = parse_text(raw)
    if text.strip().lower() in FORMS:
        return text.strip().lower()
    if "%" not in text:
        raise ValueError(f"{raw!r} is no form; write {', '.join(FORMS)}, or a format such as '%h %t \"%r\" %s %D'")
    read_format(text)
    return text


FORM = Kind("combined|json|FORMAT", "`combined`, `json`, or a format of `%` and letters", parse_form)
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
        Annotated[str, FORM],
        Meta(description="Form of the access log's lines."),
        Hint(option="access-log-format"),
    ] = "combined"
    error: Annotated[
        Annotated[str, DESTINATION],
        Meta(description="Where messages go: a path, `-` for standard error, or `off`."),
        Hint(option="error-log"),
    ] = STANDARD

    @property
    def form(self) -> Form | tuple[Piece, ...]:
        """How lines are written: the name of a form, or the pieces of one's own."""
        known = FORMS.get(self.access_format)
        return read_format(self.access_format) if known is None else known
