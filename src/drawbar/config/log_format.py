"""How a line of the access log may be written: the letters of the Apache HTTP server's log formats, and names.

Pure text to pieces. What a letter comes to is the access log's affair (`drawbar.exchange.log_format`); a test holds the
two lists together.
"""

import re
from typing import Final, NamedTuple

LETTERS: Final = frozenset("abhlmqrstuBDHTU")
"""Those that stand alone, as in mod_log_config."""
FIELD: Final = "i"
"""`%{Name}i`: a field of the request."""
VALUE: Final = "x"
"""`%{name}x`: what the json form has under that name."""
NAMES: Final = (
    "time",
    "remote",
    "method",
    "target",
    "version",
    "status",
    "bytes",
    "duration_ms",
    "client_ms",
    "queue_ms",
    "app_ms",
    "referer",
    "user_agent",
    "complete",
    "app",
    "attempt",
    "worker",
    "label",
    "request_id",
)
"""Of values, in the order of the json form."""
OF_FRONTS: Final = frozenset(("app", "attempt", "worker", "label", "request_id"))
"""Those that only a front knows."""

_PIECE: Final = re.compile(r"%(?:%|>?([A-Za-z])|\{([^{}]*)\}([A-Za-z]))")
_FIELD_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110 section 5.6.2: token."""


class Piece(NamedTuple):
    """A letter with what stands in its braces; the letter "" is text as it is."""

    letter: str
    text: str


def read_format(text: str) -> tuple[Piece, ...]:
    """The pieces of a format. Raises ValueError saying what is wrong and what would be right."""
    pieces: list[Piece] = []
    at = 0
    while (percent := text.find("%", at)) >= 0:
        found = _PIECE.match(text, percent)
        if found is None:
            raise ValueError(
                f"{text[percent : percent + 10]!r} is no part of a log format; write %% for a percent sign"
            )
        pieces += [Piece("", text[at:percent])] if percent > at else []
        pieces.append(_piece(found))
        at = found.end()
    return (*pieces, Piece("", text[at:])) if at < len(text) else tuple(pieces)


def _piece(found: re.Match[str]) -> Piece:
    alone, inside, letter = found.groups()
    if alone is None and letter is None:
        return Piece("", "%")
    if alone is not None:
        if alone not in LETTERS:
            raise ValueError(f"{found[0]} is not known; letters are {', '.join(sorted(LETTERS))}")
        return Piece(alone, "")
    if letter == FIELD and _FIELD_NAME.fullmatch(inside):
        return Piece(FIELD, inside.lower())
    if letter == VALUE and inside in NAMES:
        return Piece(VALUE, inside)
    if letter == VALUE:
        raise ValueError(f"{found[0]} is not known; names are {', '.join(NAMES)}")
    raise ValueError(f"{found[0]} is not known; write %{{Name}}i for a field of the request, %{{name}}x for a value")
