"""A mistake told as RFC 9457 has it: application/problem+json."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec.json import encode

from drawbar.wire.h1 import reason_phrase

CONTENT_TYPE: Final = "application/problem+json"


def problem_json(status: int, detail: str, more: Mapping[str, Any]) -> bytes:
    """The object that tells it: its title is that of the status line, `more` are its further members."""
    # Not as Python's http has titles: those are of its year.
    told = {"type": "about:blank", "title": reason_phrase(status), "status": status, "detail": detail}
    return encode({**told, **more}) + b"\n"
