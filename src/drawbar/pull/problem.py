"""What goes wrong with a worker's request to the API, and how it is told.

Law: a problem names the mistake and says what would be right, in two members: `detail` and `expected`. `code` is for
programs, and stays when a wording changes. Nothing of another app, another worker or this server's inside is told.
"""

from collections.abc import Mapping
from typing import Any, Final

from drawbar.exchange.problem import CONTENT_TYPE, problem_json

CODES: Final = {
    "bad-request": 400,
    "no-token": 401,
    "not-granted": 403,
    "browser": 403,
    "no-such-path": 404,
    "unknown-app": 404,
    "unknown-request": 404,
    "no-such-method": 405,
    "lease-lost": 409,
    "being-answered": 409,
    "retired": 409,
    "client-gone": 410,
    "too-large": 413,
    "media-type": 415,
    "wrong-host": 421,
    "invalid-response": 422,
    "upgrade-required": 426,
    "failed": 500,
    "too-many-polls": 503,
    "too-many-attached": 503,
    "not-ready": 503,
    "broken-body": 400,
}
"""Every `code`, with the status it comes with."""


class Problem(Exception):
    """The request cannot be served as asked. `expected` says what could be; `more` are further members."""

    def __init__(
        self,
        code: str,
        detail: str,
        expected: str = "",
        *,
        status: int = 0,
        fields: tuple[tuple[bytes, bytes], ...] = (),
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.status = status or CODES[code]
        self.detail = detail
        self.expected = expected
        self.fields = fields
        self.more = more or {}

    def body(self) -> bytes:
        """The object that tells it."""
        expected = {"expected": self.expected} if self.expected else {}
        return problem_json(self.status, self.detail, {"code": self.code, **expected, **self.more})

    def head(self) -> list[tuple[bytes, bytes]]:
        """The fields it goes with."""
        return [(b"Content-Type", CONTENT_TYPE.encode()), (b"Cache-Control", b"no-store"), *self.fields]


def shortened(text: str, most: int = 80) -> str:
    """Text of somebody else, for a message."""
    return repr(text if len(text) <= most else text[: most - 3] + "...")
