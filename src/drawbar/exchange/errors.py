"""What can go wrong between a client and an application, split by whose fault it is.

Nothing here is raised for a client's malformed bytes: the codec refuses those with a status before an exchange exists.
"""

from __future__ import annotations


class AppError(Exception):
    """The application broke its contract (PEP 3333, ASGI): says which rule, with what, and what would be right."""


class ClientDisconnected(OSError):
    """The client is gone, so there is nobody to send to. Applications may catch it as the OSError it is."""


class BodyError(OSError):
    """The request's body cannot be read to its end.

    status: what to answer when the response has not begun (408 slow, 413 too large, 400 broken framing, 503 no room).
    """

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.why = why
