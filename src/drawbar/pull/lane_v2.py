"""Lane v2: plain HTTP for any language.

    GET  /api/v2/next?app=NAME&wait=SECONDS        200 with a request, or 204
    POST /api/v2/requests/{id}/response            202
    POST /api/v2/requests/{id}/renew               200: the lease begins anew
    POST /api/v2/requests/{id}/release             200: back to the queue's head

A request comes as `message/http` (RFC 9112 section 10.1), or as JSON to those who accept nothing else; a response may
come as either. Law: whoever hands in what cannot be sent is told what and why, and its client gets 502, unless some of
a response is on its way to it already: then that is broken off. A response in `message/http` goes to its client as it
comes, and is read no faster than the client reads.
"""

import io
from typing import Any, Final

from msgspec.json import encode

from drawbar.exchange.errors import AppError, BodyError, ClientDisconnected
from drawbar.pull.call import Call
from drawbar.pull.desk import BAD_GATEWAY, Desk, body_of, refuse, request_of
from drawbar.pull.entry import Entry
from drawbar.pull.envelope import Invalid, decode_v2, environment_of_lists, request_json
from drawbar.pull.front import Delivery
from drawbar.pull.problem import Problem
from drawbar.pull.tell import guarded
from drawbar.pull.tokens import EVERYTHING
from drawbar.wire.events import Data, End, Event, Refused, Response, Tunnel
from drawbar.wire.h1 import Parser

HTTP_REQUEST: Final = (b"Content-Type", b"message/http; msgtype=request")
JSON: Final = (b"Content-Type", b"application/json")
NO_STORE: Final = (b"Cache-Control", b"no-store")
WRITE_ONE: Final = (
    "Content-Type: message/http; msgtype=response with a whole response, status line first, "
    'or application/json with {"code": 200, "headers": {}, "body": "Base64"}'
)
WRITE_HTTP: Final = "HTTP/1.1 200 OK, fields and an empty line, each line ended by CR LF, then the body"
SUCCESS: Final = 200
"""The first of the statuses that are no interim ones."""
SENT_IN_ONE: Final = 65_536
"""Bytes of a request's body that are written together with its head; of more, the file is sent."""


class LaneV2:
    """Answers workers that speak HTTP."""

    name = "v2"

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._http = _HttpLane(desk)
        self._json = _JsonLane(desk)
        self._answering: set[str] = set()

    def ask(self, call: Call, app: str, label: str, worker: str, wait_ms: int) -> None:
        """GET next."""
        accept = (call.header(b"accept") or "").lower()
        json = "application/json" in accept and "message/http" not in accept
        self._desk.ask(call, app, label, worker, wait_ms, self._json if json else self._http)

    def renew(self, call: Call, lease_id: str, entry: Entry) -> None:
        """POST renew."""
        now_ms = self._desk.front.now_ms
        assert entry.queue is not None
        entry.queue.renew(entry, now_ms)
        call.respond(200, _lease_fields(entry, lease_id, now_ms), _lease(entry, lease_id, now_ms))

    def release(self, call: Call, lease_id: str, entry: Entry, unrun: bool) -> None:
        """POST release. unrun: the worker says that it has not begun."""
        if lease_id in self._answering or entry.begun:
            raise _being_answered()
        # What may run twice goes back whatever became of it, and no attempt is counted.
        queued = self._desk.front.release(_delivery(entry), unrun or entry.safe)
        call.respond(200, [JSON, NO_STORE], encode({"id": lease_id, "queued": queued}) + b"\n")

    def take(self, call: Call, lease_id: str, entry: Entry) -> None:
        """POST response."""
        if lease_id in self._answering or entry.begun:
            raise _being_answered()
        media, _, parameters = (call.header(b"content-type") or "").lower().partition(";")
        if media.strip() == "message/http" and "msgtype=request" not in parameters.replace('"', ""):
            self._answering.add(lease_id)
            streamed = _Streamed(self, call, lease_id, entry)
            call.receive(guarded(call, streamed.on_body), guarded(call, streamed.on_broken))
        elif media.strip() == "application/json":
            self._answering.add(lease_id)
            whole = _Whole(self, call, lease_id, entry)
            call.collect(self._desk.limits.body_bytes, guarded(call, whole.on_body), guarded(call, whole.on_broken))
        else:
            raise Problem("media-type", f"a response cannot be read from {media.strip() or 'no media type'}", WRITE_ONE)


# -- requests


class _HttpLane:
    """Writes a request as `message/http`."""

    name = "v2"

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def nothing(self, call: Call) -> None:
        call.respond(204, [NO_STORE])

    def give(self, call: Call, lease_id: str, delivery: Delivery) -> None:
        head, size = delivery.head, delivery.body_size
        fields = [HTTP_REQUEST, *_given_fields(delivery, lease_id, self._desk.front.now_ms)]
        body = delivery.open_body()
        if body is None or size <= SENT_IN_ONE:
            call.respond(200, fields, head + (body.read() if body is not None else b""))
            return
        call.begin(200, [*fields, (b"Content-Length", b"%d" % (len(head) + size))])
        call.write(head)
        try:
            call.send_file(body.fileno(), 0, size)
        except io.UnsupportedOperation:
            call.write(body.read())
        call.finish()


class _JsonLane:
    """Writes a request as JSON."""

    name = "v2"

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def nothing(self, call: Call) -> None:
        call.respond(204, [NO_STORE])

    def give(self, call: Call, lease_id: str, delivery: Delivery) -> None:
        fields = [JSON, *_given_fields(delivery, lease_id, self._desk.front.now_ms)]
        body = body_of(delivery, self._desk.limits)
        if body is None:
            self.nothing(call)
            return
        call.respond(200, fields, request_json(lease_id, environment_of_lists(request_of(delivery)), body))


def _given_fields(delivery: Delivery, lease_id: str, now_ms: int) -> list[tuple[bytes, bytes]]:
    entry = delivery.entry
    assert entry is not None
    return [
        NO_STORE,
        (b"Drawbar-Request-Id", lease_id.encode()),
        (b"Drawbar-Lease-Ms", b"%d" % _left(entry.lease_end_ms, now_ms)),
        (b"Drawbar-Deadline-Ms", b"%d" % _left(entry.deadline_ms, now_ms)),
        (b"Drawbar-Attempt", b"%d" % entry.attempts),
    ]


def _left(end_ms: int, now_ms: int) -> int:
    """0: no end, as for every time in the settings."""
    return max(1, end_ms - now_ms) if end_ms else 0


def _lease_fields(entry: Entry, lease_id: str, now_ms: int) -> list[tuple[bytes, bytes]]:
    return [
        JSON,
        NO_STORE,
        (b"Drawbar-Request-Id", lease_id.encode()),
        (b"Drawbar-Lease-Ms", b"%d" % _left(entry.lease_end_ms, now_ms)),
        (b"Drawbar-Deadline-Ms", b"%d" % _left(entry.deadline_ms, now_ms)),
    ]


def _lease(entry: Entry, lease_id: str, now_ms: int) -> bytes:
    members: dict[str, Any] = {
        "id": lease_id,
        "lease_ms": _left(entry.lease_end_ms, now_ms),
        "deadline_ms": _left(entry.deadline_ms, now_ms),
        "attempt": entry.attempts,
    }
    return encode(members) + b"\n"


# -- responses


def _delivery(entry: Entry) -> Delivery:
    return entry.payload  # type: ignore[return-value]  # what the front puts there


def _being_answered() -> Problem:
    return Problem("being-answered", "a response to this request is being received already", "one response a request")


class _Taking:
    """A response that is being handed in."""

    def __init__(self, lane: LaneV2, call: Call, lease_id: str, entry: Entry) -> None:
        self.lane = lane
        self.call = call
        self.lease_id = lease_id
        self.entry = entry
        self.delivery = _delivery(entry)

    def over(self) -> None:
        """No more of it is taken."""
        self.lane._answering.discard(self.lease_id)

    def accept(self) -> None:
        """It is whole."""
        self.over()
        self.call.respond(202, [JSON, NO_STORE], encode({"id": self.lease_id}) + b"\n")

    def invalid(self, why: str, expected: str, status: int = 0, code: str = "invalid-response") -> Problem:
        """It cannot be sent: the client gets 502, or the end of what it has."""
        self.over()
        refuse(self.delivery, BAD_GATEWAY, "the application's answer could not be sent")
        return Problem(code, why, expected, status=status)

    def on_broken(self, error: BodyError) -> None:
        """The rest of it will not come."""
        code = "too-large" if error.status == 413 else "broken-body"
        raise self.invalid(error.why, "a whole response", error.status, code)

    def ended(self) -> Problem:
        """Nobody waits for it any more: why."""
        self.over()
        try:
            self.lane._desk.leased(self.lease_id, EVERYTHING)
        except Problem as problem:
            if problem.code != "unknown-request":
                return problem
        return Problem("client-gone", "the client of this request has left: nobody waits for a response")


class _Whole(_Taking):
    """As JSON."""

    def on_body(self, body: bytes) -> None:
        if self.lane._desk.leases.find(self.lease_id) is not self.entry:
            raise self.ended()
        try:
            self.lane._desk.send(self.delivery, decode_v2(body))
        except Invalid as error:
            raise self.invalid(str(error), error.expected) from error
        except AppError as error:
            raise self.invalid(str(error), "a response that HTTP allows (RFC 9110)") from error
        except ClientDisconnected:
            raise self.ended() from None
        self.accept()


class _Streamed(_Taking):
    """As `message/http`, from the first bytes on."""

    def __init__(self, lane: LaneV2, call: Call, lease_id: str, entry: Entry) -> None:
        super().__init__(lane, call, lease_id, entry)
        self._parser = Parser(
            "response",
            request_method=self.delivery.method.encode("latin-1"),
            head_bytes=lane._desk.limits.head_bytes,
        )
        self._begun = False
        self._whole = False
        # The worker stays until its response is through, or left: then nobody is to be told of it.
        call.on_gone = self._left

    def _left(self) -> None:
        # One that has shut its side only still waits for our word.
        if self.call.is_gone:
            self.over()
            if not self._whole:
                refuse(self.delivery, BAD_GATEWAY, "the application's worker left amid its answer")

    def on_body(self, piece: bytes, last: bool) -> None:
        if not self._whole and self.lane._desk.leases.find(self.lease_id) is not self.entry:
            raise self.ended()
        events = self._parser.feed(piece) if piece else []
        if last:
            events += self._parser.eof()
        if self._goes_on(events):
            # When it came in one piece, nothing of it was sent.
            raise self.invalid("the message goes on behind the end of its response", WRITE_HTTP)
        try:
            self._do(events)
        except AppError as error:
            raise self.invalid(str(error), "a response that HTTP allows (RFC 9110)") from error
        except ClientDisconnected:
            raise self.ended() from None
        if last:
            if not self._whole:
                raise self.invalid("the message ended before its response did", WRITE_HTTP)
            self.accept()
        elif not self._whole and self.delivery.waiting > self.lane._desk.limits.output_bytes:
            self.call.pause_body()

    def _goes_on(self, events: list[Event]) -> bool:
        ended, begun = self._whole, self._begun
        for event in events:
            if ended:
                return True
            begun = begun or (isinstance(event, Response) and event.status >= SUCCESS)
            ended = begun and isinstance(event, End)
        return False

    def _do(self, events: list[Event]) -> None:
        for place, event in enumerate(events):
            if self._whole:
                # Its end was told together with the last of it.
                return
            if isinstance(event, Data):
                after = events[place + 1] if place + 1 < len(events) else None
                self._whole = isinstance(after, End) and not after.trailers
                # Said before: what is written asks to be told.
                self.delivery.on_drained = self.call.resume_body
                self.delivery.write(event.data, self._whole)
            elif isinstance(event, Response):
                self._begin(event)
            elif isinstance(event, End):
                self._end(event)
            elif isinstance(event, Refused):
                raise self.invalid(f"the message is broken at byte {event.offset}: {event.why}", WRITE_HTTP)
            elif isinstance(event, Tunnel):
                return

    def _begin(self, event: Response) -> None:
        if event.status == 101:
            raise self.invalid("101 needs the connection itself", "the attach lane, for WebSockets and other upgrades")
        if event.status >= SUCCESS:
            self._begun = True
            self.delivery.begin(event.status, event.reason or None, event.fields)

    def _end(self, event: End) -> None:
        if not self._begun:
            # Of an interim response.
            return
        self._whole = True
        for name, value in event.trailers:
            self.delivery.trailer(name, value)
        self.delivery.finish()
