"""The stub front's lanes v1 and v2: one function of a request to the API, with the front's queue behind it."""

import base64
import binascii
import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import h11

from tests.support.stub_parts import Answer, Fields, Job, Message, Reply

if TYPE_CHECKING:
    from tests.support.stub_front import StubFront

V1_WAIT_S = 5.0
NOTHING = json.dumps({"error": "There are no requests pending"}).encode()
THANKS = json.dumps({"message": "thank you"}).encode()
BACKEND_ERROR = Answer(502, [(b"Content-Type", b"text/plain")], b"Backend error\r\n")
NAMED = {b"content-type": "CONTENT_TYPE", b"content-length": "CONTENT_LENGTH"}


class Invalid(Exception):
    """A worker's response is none."""


class Lanes:
    """Answers what workers ask."""

    def __init__(self, front: "StubFront") -> None:
        self._front = front
        self._given: set[str] = set()

    def answer(self, message: Message) -> Reply:
        """The reply to one request to the API."""
        path = urlsplit(message.target).path.decode()
        if path in ("/api/v1/request", "/api/v1/response"):
            return self.refuse(message, named=False) or self._v1(message)
        if refused := self.refuse(message, named=path == "/api/v2/next"):
            return refused
        if path == "/api/v2/next" and message.method == b"GET":
            return self._next(message)
        if message.method == b"POST" and (found := re.fullmatch(r"/api/v2/requests/([^/]+)/(\w+)", path)):
            return self._about(found[1], found[2], message)
        self._front.complain(f"{message.method!r} {message.target!r} is not in the protocol")
        return self.problem(404, f"{path} is not in the protocol")

    def refuse(self, message: Message, *, named: bool = True) -> Reply | None:
        """What a worker without the token, or one of an unknown application, is told."""
        token = self._front.token
        if token and message.header(b"authorization") != f"Bearer {token}".encode():
            return self.problem(401, "bring the token of --api-token-file as Authorization: Bearer")
        app = parse_qs(urlsplit(message.target).query.decode()).get("app", [""])[0]
        if named and app != self._front.app:
            return self.problem(404, f"there is no application {app!r}; there is {self._front.app!r}")
        return None

    def problem(self, status: int, detail: str) -> Reply:
        """RFC 9457."""
        text = json.dumps({"title": "refused", "status": status, "detail": detail})
        return Reply(status, text.encode(), "application/problem+json")

    # -- lane v1 ------------------------------------------------------------------------------------------------------

    def _v1(self, message: Message) -> Reply:
        if message.method == b"GET":
            job = self._lease(V1_WAIT_S)
            if job is None:
                return Reply(404, NOTHING)
            whole = {
                "identifier": "{" + job.id.upper() + "}",
                "environment": environment(job.message, lists=False),
                "body": base64.b64encode(job.message.body).decode(),
            }
            return Reply(200, json.dumps(whole).encode())
        job = self._take(identifier_of(message.body).strip("{}").lower())
        if job is None:
            return Reply(404, NOTHING)
        try:
            self._finish(job, from_json(message.body))
        except Invalid:
            self._finish(job, BACKEND_ERROR)
        return Reply(200, THANKS)

    # -- lane v2 ------------------------------------------------------------------------------------------------------

    def _next(self, message: Message) -> Reply:
        query = parse_qs(urlsplit(message.target).query.decode())
        wait_s = float(query.get("wait", ["30"])[0])
        if not 0 <= wait_s <= 60:
            return self.problem(400, "wait is 0 to 60 seconds")
        job = self._lease(wait_s)
        if job is None:
            return Reply(204)
        fields = [
            ("Drawbar-Request-Id", job.id),
            ("Drawbar-Lease-Ms", "60000"),
            ("Drawbar-Deadline-Ms", "60000"),
            ("Drawbar-Attempt", str(job.attempts)),
        ]
        if message.header(b"accept") == b"application/json":
            whole = {
                "identifier": job.id,
                "environment": environment(job.message, lists=True),
                "body": base64.b64encode(job.message.body).decode(),
            }
            return Reply(200, json.dumps(whole).encode(), fields=fields)
        head = b"%s %s HTTP/1.1\r\n" % (job.message.method, job.message.target)
        head += b"".join(b"%s: %s\r\n" % pair for pair in job.message.fields)
        return Reply(200, head + b"\r\n" + job.message.body, "message/http; msgtype=request", fields)

    def _about(self, identifier: str, verb: str, message: Message) -> Reply:
        known = {"response": self._respond, "renew": self._renew, "release": self._release}
        if verb not in known:
            self._front.complain(f"{message.target!r} is not in the protocol")
            return self.problem(404, f"{verb} is not in the protocol; there are {', '.join(known)}")
        with self._front.changed:
            job = self._front.leased.get(identifier)
        if job is None:
            seen = identifier in self._given
            return self.problem(409 if seen else 404, "the lease is lost" if seen else "there is no such request")
        handle: Callable[[Job, Message], Reply] = known[verb]
        return handle(job, message)

    def _respond(self, job: Job, message: Message) -> Reply:
        self._take(job.id)
        kind = message.header(b"content-type").decode()
        try:
            if kind.startswith("application/json"):
                answer = from_json(message.body)
            elif kind.replace(" ", "") == "message/http;msgtype=response":
                answer = from_http(job.message.method, message.body)
            else:
                raise Invalid(f"Content-Type: {kind}")
        except Invalid as wrong:
            self._finish(job, BACKEND_ERROR)
            self._front.complain(f"{job.message.target!r}: not a response: {wrong}")
            return self.problem(422, str(wrong))
        self._finish(job, answer)
        return Reply(202, b"{}")

    def _renew(self, job: Job, message: Message) -> Reply:
        return Reply(200, b"{}", fields=[("Drawbar-Lease-Ms", "60000")])

    def _release(self, job: Job, message: Message) -> Reply:
        with self._front.changed:
            del self._front.leased[job.id]
            job.attempts -= 1
            self._front.queue.appendleft(job)
            self._front.changed.notify_all()
        return Reply(200, b"{}")

    # -- leases -------------------------------------------------------------------------------------------------------

    def _lease(self, wait_s: float) -> Job | None:
        front = self._front
        with front.changed:
            if not front.changed.wait_for(lambda: bool(front.queue), wait_s):
                return None
            job = front.queue.popleft()
            front.leased[job.id] = job
            self._given.add(job.id)
            return job

    def _take(self, identifier: str) -> Job | None:
        with self._front.changed:
            return self._front.leased.pop(identifier, None)

    def _finish(self, job: Job, answer: Answer) -> None:
        with self._front.changed:
            job.answer = answer
            self._front.changed.notify_all()


def environment(message: Message, *, lists: bool) -> dict[str, Any]:
    """The request in CGI's names."""
    path, _, query = message.target.decode().partition("?")
    host, _, port = message.header(b"host").decode().partition(":")
    env: dict[str, Any] = {
        "REQUEST_METHOD": message.method.decode(),
        "SCRIPT_NAME": "",
        # Prack's is the whole target.
        "PATH_INFO": path if lists else message.target.decode(),
        "QUERY_STRING": query,
        "SERVER_NAME": host,
        "SERVER_PORT": port or "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "rack.url_scheme": "http",
        "CONTENT_LENGTH": str(len(message.body)),
    }
    fields: dict[str, list[str]] = {}
    for name, value in message.fields:
        if b"_" in name or name.lower() == b"proxy":
            continue
        key = NAMED.get(name.lower(), "HTTP_" + name.decode().upper().replace("-", "_"))
        fields.setdefault(key, []).append(value.decode("latin-1"))
    for key, values in fields.items():
        env[key] = values if lists and key.startswith("HTTP_") else ", ".join(values)
    return env


def identifier_of(body: bytes) -> str:
    """The request a v1 response is for; empty when it names none."""
    try:
        return str(json.loads(body)["identifier"])
    except (ValueError, KeyError, TypeError):
        return ""


def from_json(body: bytes) -> Answer:
    """A response of lane v1, or v2's in JSON."""
    try:
        whole = json.loads(body)
        status = int(whole["code"])
        fields: Fields = []
        for name, values in whole["headers"].items():
            for value in values if isinstance(values, list) else [values]:
                fields.append((name.encode("ascii"), str(value).encode("latin-1")))
        content = base64.b64decode("".join(whole["body"].split()), validate=True)
    except (ValueError, KeyError, TypeError, AttributeError, binascii.Error) as error:
        raise Invalid(f"{type(error).__name__}: {error}") from None
    answer = Answer(status, fields, content)
    _check(answer)
    return answer


def from_http(method: bytes, body: bytes) -> Answer:
    """A response of lane v2 as message/http."""
    parser = h11.Connection(h11.CLIENT)
    parser.send(h11.Request(method=method, target="/", headers=[("Host", "front")]))
    parser.send(h11.EndOfMessage())
    parser.receive_data(body)
    parser.receive_data(b"")
    answer: Answer | None = None
    try:
        while not isinstance(event := parser.next_event(), h11.EndOfMessage):
            if isinstance(event, h11.Response):
                answer = Answer(event.status_code, list(event.headers.raw_items()), b"")
            elif isinstance(event, h11.Data) and answer is not None:
                answer.body += bytes(event.data)
            elif not isinstance(event, h11.InformationalResponse):
                raise Invalid("it ends before its end")
    except h11.RemoteProtocolError as error:
        raise Invalid(str(error)) from None
    if answer is None or parser.trailing_data[0]:
        raise Invalid("there are bytes behind its end")
    return answer


def _check(answer: Answer) -> None:
    try:
        h11.Response(status_code=answer.status, headers=answer.fields)
    except h11.LocalProtocolError as error:
        raise Invalid(str(error)) from None
    lengths = [int(value) for name, value in answer.fields if name.lower() == b"content-length"]
    if lengths not in ([], [len(answer.body)]):
        raise Invalid(f"Content-Length {lengths} of {len(answer.body)} bytes")
