"""What a worker says to be attached, and what the front's answer means. Bytes in, bytes and verdicts out.

The worker asks for an upgrade to PTTH/1.0 (RFC 9110 section 7.8). After the 101 the parts are turned round: the front
sends requests, the worker answers. Anything else is an answer to the question itself, and says why not.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import msgspec

from drawbar.pull.keeping import Failure, Kind
from drawbar.wire.events import Data, End, Refused, Response, Tunnel
from drawbar.wire.h1 import Parser, request_head

PROTOCOL: Final = b"PTTH/1.0"
RELEASES: Final = b"drawbar-releases"
"""The front's field by which it says that it takes requests back from a worker that leaves."""
RELEASED: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nDrawbar-Released: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)
"""A worker's last words on an idle connection: whatever was on its way there was not begun. Its status says "not now"
to whoever knows nothing of the field."""
HEAD_BYTES: Final = 16_384
"""Of the answer's head; past it: no front."""
BODY_BYTES: Final = 4_096
"""Of a refusal that is read for its reason; past it: told without."""
NOT_READY: Final = "not-ready"
"""The code of a front that was told to stop (`drawbar.pull.problem`)."""
SHOWN: Final = 200
"""Characters of a reason that go to the log."""


class Attached(NamedTuple):
    """The front agrees. releases: it takes a request back. rest: the first bytes of requests."""

    releases: bool
    rest: bytes


class Problem(msgspec.Struct):
    """What is read of application/problem+json (RFC 9457)."""

    title: str = ""
    detail: str = ""
    code: str = ""


def attach_request(
    authority: str, app: str, label: str | None, token: str | None, agent: str, worker: str = ""
) -> bytes:
    """The question. Names of apps, labels and workers are made of what a URL takes as it is."""
    target = (
        f"/api/v2/attach?app={app}" + (f"&label={label}" if label else "") + (f"&worker={worker}" if worker else "")
    )
    fields = [(b"Host", authority.encode("ascii"))]
    fields += [(b"Connection", b"Upgrade"), (b"Upgrade", PROTOCOL), (b"User-Agent", agent.encode())]
    if token is not None:
        fields.append((b"Authorization", b"Bearer " + token.encode()))
    return request_head(b"GET", target.encode(), fields)


class Answer:
    """Reads the front's answer. `feed` returns a verdict as soon as there is one."""

    def __init__(self, app: str) -> None:
        self._app = app
        self._parser = Parser("response", request_method=b"GET", head_bytes=HEAD_BYTES, body_bytes=BODY_BYTES)
        self._head: Response | None = None
        self._body = b""

    def feed(self, data: bytes) -> Attached | Failure | None:
        """Takes bytes."""
        events = self._parser.feed(data)
        for event in events:
            if isinstance(event, Response) and (event.status >= 200 or event.status == 101):
                self._head = event
            elif isinstance(event, Data):
                self._body += event.data
            elif isinstance(event, Refused) and self._head is None:
                return Failure(Kind.FAILED, f"it does not answer in HTTP ({event.why})")
        if self._head is None:
            return None
        if self._head.status == 101:
            return self._upgraded(self._head, b"".join(event.data for event in events if isinstance(event, Tunnel)))
        # A body that is too long is none that would be read on.
        return self.end() if any(isinstance(event, End | Refused) for event in events) else None

    def _upgraded(self, head: Response, rest: bytes) -> Attached | Failure:
        if _field(head, b"upgrade").lower() != PROTOCOL.lower():
            return Failure(Kind.REFUSED, "it switches to another protocol than PTTH/1.0, so it is no front")
        return Attached(_field(head, RELEASES) != b"", rest)

    def end(self) -> Failure:
        """The verdict when no more will come."""
        if self._head is None:
            return Failure(Kind.FAILED, "it closed the connection without an answer")
        return refusal(self._head, self._body, self._app)


def refusal(head: Response, body: bytes, app: str) -> Failure:
    """What an answer means that is no agreement."""
    status = head.status
    problem = _problem(head, body)
    if status == 503 and problem.code == NOT_READY:
        return Failure(Kind.LEAVING, "it is stopping")
    why = "".join(character for character in problem.detail or problem.title if character.isprintable())[:SHOWN]
    if status in REASONS:
        return Failure(Kind.REFUSED, f"{REASONS[status](app)} ({status}{': ' + why if why else ''})")
    said = f"it answers {status}{': ' + why if why else ''}"
    if status >= 500 or status in (408, 425, 429):
        return Failure(Kind.FAILED, said)
    return Failure(Kind.REFUSED, f"{said}, which no front does" if status < 400 else said)


REASONS: Final[dict[int, Callable[[str], str]]] = {
    401: lambda app: "it refuses the token: --token-file must name the one it was given",
    403: lambda app: f"the token is not good for the app {app}",
    404: lambda app: f"it has no app {app}, or is no front",
    426: lambda app: "it wants another protocol than PTTH/1.0",
}
"""What statuses mean here, in an operator's words."""


def _problem(head: Response, body: bytes) -> Problem:
    """The front's own words, as far as it has any."""
    if not _field(head, b"content-type").startswith(b"application/problem+json"):
        return Problem()
    try:
        return msgspec.json.decode(body, type=Problem)
    except msgspec.MsgspecError:
        return Problem()


def _field(head: Response, name: bytes) -> bytes:
    return next((value for known, value in head.fields if known.lower() == name), b"")
