"""What goes wrong with a request of the control API, as RFC 9457 has it told: application/problem+json."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from msgspec.json import encode

TITLES = {
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
KINDS = {"unknown": 404, "conflict": 409, "invalid": 400, "failed": 500}
"""Status for the kinds of the master's refusals."""


class Reply(NamedTuple):
    """A whole answer."""

    status: int
    body: bytes
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


class Problem(Exception):
    """The request cannot be answered as asked. `detail` says why; `more` are further members of the object."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        headers: tuple[tuple[str, str], ...] = (),
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers
        self.more = more or {}

    def reply(self) -> Reply:
        """The answer that tells it."""
        members = {"type": "about:blank", "title": TITLES[self.status], "status": self.status, "detail": self.detail}
        return Reply(self.status, encode({**members, **self.more}) + b"\n", "application/problem+json", self.headers)
