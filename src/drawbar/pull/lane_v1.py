"""Lane v1: the protocol of Prack, byte for byte, so that its clients work as they are.

    GET  /api/v1/request                           200 {"identifier", "environment"}, or after a while 404
    POST /api/v1/response, or /api/v1/request      {"identifier", "code", "headers", "body"}: 200, or 404

Law: a worker that hands in nonsense for a request it has is thanked as any other, and the client gets 502; for a
request it has not, whatever the reason, it gets what it gets when there is none. That is little to go by: what lane v2
tells is told to the log alone. Added are the body of a request ("body", in Base64) and what CGI needs to make sense of
it; and lists of values in the headers of a response.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from drawbar.exchange.errors import AppError, ClientDisconnected
from drawbar.pull.call import Call
from drawbar.pull.desk import BAD_GATEWAY, Desk, body_of, refuse, request_of
from drawbar.pull.entry import Entry
from drawbar.pull.envelope import Invalid, decode_v1, environment, request_json
from drawbar.pull.front import Delivery
from drawbar.pull.tokens import Grant

JSON: Final = [(b"Content-Type", b"application/json")]
NOTHING: Final = b'{"error": "There are no requests pending"}'
THANK_YOU: Final = b'{"message": "thank you"}'

GUID: Final = re.compile(
    r"\{([0-9A-F]{8})-([0-9A-F]{4})-([0-9A-F]{4})-([0-9A-F]{4})-([0-9A-F]{12})(-[0-9]{1,9})?\}", re.IGNORECASE
)


def guid(lease_id: str) -> str:
    """A lease's id as Prack writes identifiers."""
    digits, dash, serial = lease_id.upper().partition("-")
    return f"{{{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}{dash}{serial}}}"


def lease_of(identifier: str) -> str:
    """The lease's id of an identifier; empty when it is none."""
    found = GUID.fullmatch(identifier)
    return "".join(part for part in found.groups("")).lower() if found else ""


class LaneV1:
    """Answers workers of Prack. on_bad: told what is wrong with a response, of which its worker hears nothing."""

    name = "v1"

    def __init__(self, desk: Desk, on_bad: Callable[[str, str], object]) -> None:
        self._desk = desk
        self._on_bad = on_bad

    def ask(self, call: Call, app: str, label: str, worker: str) -> None:
        """GET: the next request."""
        self._desk.ask(call, app, label, worker, self._desk.limits.v1_wait_ms, self)

    def nothing(self, call: Call) -> None:
        """There is none."""
        call.respond(404, JSON, NOTHING)

    def give(self, call: Call, lease_id: str, delivery: Delivery) -> None:
        """There is one."""
        body = body_of(delivery, self._desk.limits)
        if body is None:
            self.nothing(call)
            return
        call.respond(200, JSON, request_json(guid(lease_id), environment(request_of(delivery)), body))

    def take(self, call: Call, grant: Grant) -> None:
        """POST: a response."""
        call.collect(self._desk.limits.body_bytes, lambda body: self._taken(call, grant, body))

    def _taken(self, call: Call, grant: Grant, body: bytes) -> None:
        decoded = decode_v1(body)
        entry = self._desk.leases.find(lease_of(decoded[0])) if decoded is not None else None
        if (
            decoded is None
            or not isinstance(entry, Entry)
            or entry.queue is None
            or not grant.allows(entry.queue.name)
            or entry.begun
        ):
            self.nothing(call)
            return
        delivery: Delivery = entry.payload  # type: ignore[assignment]  # what the front puts there
        # Who left meanwhile makes no difference to the worker.
        with suppress(ClientDisconnected):
            try:
                self._desk.send(delivery, decoded[1]())
            except (Invalid, AppError) as error:
                self._on_bad(entry.queue.name, str(error))
                refuse(delivery, BAD_GATEWAY, "Backend error")
        call.respond(200, JSON, THANK_YOU)
