"""What goes wrong with a request of the control API, and how it is told."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from drawbar.exchange.problem import CONTENT_TYPE, problem_json

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
        return Reply(self.status, problem_json(self.status, self.detail, self.more), CONTENT_TYPE, self.headers)
