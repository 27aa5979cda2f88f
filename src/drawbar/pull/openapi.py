"""The API as an OpenAPI 3.1 document, served at /api/v2/openapi.json.

Law: what stands here is checked against the running API by a test that makes requests of it, so it says neither more
nor less than is true. The attach lane is in it as far as it is HTTP.
"""

from typing import Any, Final

from drawbar.pull.desk import Limits
from drawbar.pull.problem import CODES
from drawbar.pull.query import LONGEST_NAME
from drawbar.pull.status import MOST_LISTED

VERSION: Final = "2"
Json = dict[str, Any]


def document(limits: Limits) -> Json:
    """The document of an API with these limits."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Drawbar: the pull API",
            "version": VERSION,
            "description": (
                "Workers take requests from a queue and hand in responses. Lane v1 is the protocol of Prack; lane v2 "
                "is plain HTTP for any language; on the attach lane the server sends requests by a connection that "
                "the worker has opened."
            ),
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {}],
        "tags": [{"name": "v1"}, {"name": "v2"}, {"name": "probes"}],
        "paths": {**_probes(), **_v1(), **_v2(limits)},
        "components": {
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
            "schemas": _schemas(),
            "parameters": _parameters(limits),
            "responses": {"Problem": _problem("What is wrong, and what would be right.")},
        },
    }


def _schema(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(name: str, description: str, **more: Any) -> Json:
    return {"description": description, "content": {"application/json": {"schema": _schema(name)}}, **more}


def _problem(description: str) -> Json:
    return {"description": description, "content": {"application/problem+json": {"schema": _schema("Problem")}}}


def _parameter(name: str) -> Json:
    return {"$ref": f"#/components/parameters/{name}"}


def _operation(tag: str, name: str, summary: str, responses: Json, **more: Any) -> Json:
    """Whatever the operation, it may be refused: for want of a token, or by a mistake."""
    refused = {"default": {"$ref": "#/components/responses/Problem"}}
    return {"operationId": name, "tags": [tag], "summary": summary, "responses": {**responses, **refused}, **more}


def _header(description: str, **schema: Any) -> Json:
    return {"description": description, "required": True, "schema": schema}


# -- paths


def _probes() -> Json:
    text = {"text/plain": {"schema": {"type": "string", "const": "ok\n"}}}
    ready = _operation(
        "probes",
        "ready",
        "Whether the queues move: a request that came now would meet a worker.",
        {"200": {"description": "They do.", "content": text}, "503": _problem("One does not; `apps` says why.")},
        parameters=[_parameter("app")],
        security=[{}],
    )
    live = _operation(
        "probes",
        "live",
        "Whether this server answers at all.",
        {"200": {"description": "It does.", "content": text}},
        security=[{}],
    )
    return {"/livez": {"get": live}, "/readyz": {"get": ready}}


def _v1() -> Json:
    who = [_parameter("app"), _parameter("label"), _parameter("worker")]
    nothing = _json("V1Nothing", "None: there is no request, or none with that identifier.")
    problem = {"application/problem+json": {"schema": _schema("Problem")}}
    none = {"description": "None, or no such app.", "content": {**nothing["content"], **problem}}
    ask = _operation(
        "v1",
        "v1Next",
        "The next request; waits a while for one.",
        {"200": _json("V1Request", "A request."), "404": none},
        parameters=who,
    )
    take: Json = {
        "responses": {"200": _json("V1Thanks", "Taken, whatever was in it."), "404": nothing},
        # Prack's clients send it as any type, and so it is read as JSON whatever is said.
        "requestBody": {"required": True, "content": {"application/json": {"schema": _schema("V1Response")}}},
    }
    return {
        "/api/v1/request": {"get": ask, "post": _operation("v1", "v1RespondToo", "As /api/v1/response.", **take)},
        "/api/v1/response": {"post": _operation("v1", "v1Respond", "Hands in a response.", **take)},
    }


def _v2(limits: Limits) -> Json:
    lease = _json("Lease", "The lease begins anew.")
    return {
        "/api/v2/next": {"get": _next()},
        "/api/v2/requests/{id}/response": {"parameters": [_parameter("id")], "post": _respond(limits)},
        "/api/v2/requests/{id}/renew": {
            "parameters": [_parameter("id")],
            "post": _operation("v2", "renew", "Asks for more time.", {"200": lease, **_lost()}),
        },
        "/api/v2/requests/{id}/release": {
            "parameters": [_parameter("id")],
            "post": _operation(
                "v2",
                "release",
                "Gives a request back, to the head of its queue; the attempt does not count. One that may not be run "
                "twice goes back only when it has not been begun; otherwise its client gets 502.",
                {"200": _json("Released", "It is given back."), **_lost()},
                parameters=[_parameter("begun")],
            ),
        },
        "/api/v2/status": {
            "get": _operation(
                "v2",
                "status",
                "Queues, workers and requests in progress.",
                {"200": _json("Status", "Of every app that the token is for.")},
                parameters=[_parameter("app"), _parameter("most")],
            )
        },
        "/api/v2/openapi.json": {
            "get": _operation(
                "v2",
                "openapi",
                "This document.",
                {"200": {"description": "It.", "content": {"application/json": {"schema": {"type": "object"}}}}},
            )
        },
        "/api/v2/attach": {"get": _attach()},
    }


def _next() -> Json:
    given = {
        "description": "A request, on lease.",
        "headers": {
            "Drawbar-Request-Id": _header("Names the lease; for the response, renew and release.", type="string"),
            "Drawbar-Lease-Ms": _header("Milliseconds the lease lasts; 0: no end.", type="integer", minimum=0),
            "Drawbar-Deadline-Ms": _header(
                "Milliseconds after which the client gets 504; 0: none.", type="integer", minimum=0
            ),
            "Drawbar-Attempt": _header("1, and more when it comes again.", type="integer", minimum=1),
        },
        "content": {
            # RFC 9112 section 10.1.
            "message/http": {"schema": {"type": "string", "format": "binary"}},
            "application/json": {"schema": _schema("Request")},
        },
    }
    return _operation(
        "v2",
        "next",
        "The next request, as message/http, or as JSON to those who accept nothing else.",
        {"200": given, "204": {"description": "None came in time."}},
        parameters=[_parameter(name) for name in ("app", "wait", "label", "worker")],
    )


def _respond(limits: Limits) -> Json:
    return _operation(
        "v2",
        "respond",
        "Hands in a response. As message/http it goes to its client while it comes.",
        {
            "202": _json("Accepted", "The client has it, or has it waiting."),
            **_lost(),
            "413": _problem(f"JSON of more than {limits.body_bytes} bytes; the client gets 502."),
            "415": _problem("A response is message/http or JSON; it can still be handed in."),
            "422": _problem("It cannot be sent; the client gets 502, or the end of what it has got."),
        },
        requestBody={
            "required": True,
            "content": {
                "message/http": {"schema": {"type": "string", "format": "binary"}},
                "application/json": {"schema": _schema("Response")},
            },
        },
    )


def _lost() -> Json:
    return {
        "404": _problem("An id that was never given out, or is answered."),
        "409": _problem("The lease is lost, or a response to it is being received."),
        "410": _problem("The client has left."),
    }


def _attach() -> Json:
    return _operation(
        "v2",
        "attach",
        "Makes this connection one on which the server sends requests, and the worker answers.",
        {"101": {"description": "From here on the server speaks first."}, "426": _problem("Without the upgrade.")},
        parameters=[_parameter("app"), _parameter("label"), _parameter("worker")],
    )


# -- components


def _parameters(limits: Limits) -> Json:
    # As str.isprintable() has it, without spaces at either end of what a person would see.
    name = {"type": "string", "maxLength": LONGEST_NAME, "pattern": "^[ -~]*$"}
    longest = limits.most_wait_ms / 1000
    return {
        "app": _in_query("app", "Whose requests. Needed when there are several.", {"type": "string"}),
        "label": _in_query("label", "The version of the app that this worker runs.", name),
        "worker": _in_query("worker", "The worker's name in reports, instead of its address.", name),
        "most": _in_query(
            "most",
            "So many workers and requests of each app are listed at most.",
            {"type": "integer", "minimum": 0, "maximum": MOST_LISTED},
        ),
        "begun": _in_query("begun", "`no`: the worker has not begun it.", {"type": "string", "enum": ["yes", "no"]}),
        "wait": _in_query(
            "wait",
            f"Seconds to wait for a request; {limits.wait_ms / 1000:g} unless said.",
            # Without an exponent.
            {"type": "number", "minimum": 0, "maximum": longest, "multipleOf": 0.001},
        ),
        "id": {
            "name": "id",
            "in": "path",
            "required": True,
            "description": "Drawbar-Request-Id of the request.",
            "schema": {"type": "string", "pattern": "^[0-9a-f]{32}(-[0-9]{1,9})?$"},
        },
    }


def _in_query(name: str, description: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _object(properties: Json, *, optional: tuple[str, ...] = (), closed: bool = False) -> Json:
    required = [name for name in properties if name not in optional]
    made: Json = {"type": "object", "properties": properties, "required": required}
    return {**made, "additionalProperties": False} if closed else made


def _schemas() -> Json:
    text: Json = {"type": "string"}
    number: Json = {"type": "integer", "minimum": 0}
    texts: Json = {"type": "array", "items": text}
    base64: Json = {"type": "string", "contentEncoding": "base64"}
    one_or_more: Json = {"anyOf": [text, texts]}
    code: Json = {"type": "integer", "minimum": 200, "maximum": 999}
    return {
        "Problem": _object(
            {
                "type": text,
                "title": text,
                "status": {"type": "integer", "minimum": 400, "maximum": 599},
                "code": {"type": "string", "enum": list(CODES)},
                "detail": text,
                "expected": text,
            },
            optional=("expected",),
        ),
        "V1Nothing": _object({"error": {"type": "string", "const": "There are no requests pending"}}, closed=True),
        "V1Thanks": _object({"message": {"type": "string", "const": "thank you"}}, closed=True),
        "V1Request": _object(
            {"identifier": text, "environment": {"type": "object", "additionalProperties": text}, "body": base64},
            optional=("body",),
        ),
        "V1Response": _object(
            {
                "identifier": text,
                "code": {"anyOf": [code, {"type": "string", "pattern": "^[2-9][0-9][0-9]$"}]},
                "headers": {"type": "object", "additionalProperties": one_or_more},
                "body": base64,
            },
            optional=("headers",),
        ),
        "Request": _object(
            {
                "identifier": text,
                "environment": {"type": "object", "additionalProperties": one_or_more},
                "body": base64,
            },
            optional=("body",),
        ),
        "Response": _object(
            {
                "code": code,
                "headers": {"type": "object", "additionalProperties": one_or_more},
                "body": base64,
                "identifier": text,
            },
            optional=("headers", "body", "identifier"),
            closed=True,
        ),
        "Lease": _object({"id": text, "lease_ms": number, "deadline_ms": number, "attempt": number}, closed=True),
        "Released": _object({"id": text, "queued": {"type": "boolean"}}, closed=True),
        "Accepted": _object({"id": text}, closed=True),
        "Status": _object(
            {
                "apps": {"type": "object", "additionalProperties": _schema("App")},
                "polls": number,
                "draining": {"type": "boolean"},
                "histograms": {"type": "object", "additionalProperties": _schema("Histogram")},
            },
            optional=("histograms",),
            closed=True,
        ),
        "Histogram": _object(
            {
                "sum_s": {"type": "number"},
                "count": number,
                "up_to_s": {"type": "array", "items": {"type": "array", "items": {"type": "number"}}},
            },
            closed=True,
        ),
        "App": _object(
            {
                "ready": {"type": "boolean"},
                "why_not_ready": text,
                "gate": {"type": "string", "enum": ["open", "paused", "closed"]},
                **dict.fromkeys(("queued", "queued_bytes", "oldest_ms", "leased", "idle"), number),
                "limits": {"type": "object", "additionalProperties": number},
                "counters": {"type": "object", "additionalProperties": number},
                "labels": {"type": "array", "items": _schema("Label")},
                "trial": _schema("Trial"),
                "workers": {"type": "array", "items": _schema("Worker")},
                "histograms": {"type": "object", "additionalProperties": _schema("Histogram")},
                "workers_in_all": number,
                "requests": {"type": "array", "items": _schema("InProgress")},
                "waiting": {"type": "array", "items": _schema("Waiting")},
            },
            optional=("why_not_ready", "trial"),
            closed=True,
        ),
        "Trial": _object(
            {"label": text, **dict.fromkeys(("answers", "failed", "wanted"), number)},
            closed=True,
        ),
        "Label": _object(
            {
                "label": text,
                "weight": {"type": "number"},
                "retired": {"type": "boolean"},
                "held": {"type": "boolean"},
                **dict.fromkeys(("idle", "leased", "given", "answered", "failed", "lost"), number),
            },
            closed=True,
        ),
        "Worker": _object(
            {
                "worker": text,
                "label": text,
                "lane": {"type": "string", "enum": ["v1", "v2", "attach", "poll"]},
                **dict.fromkeys(("idle", "leased", "seen_ms_ago", "given"), number),
            },
            optional=("given",),
            closed=True,
        ),
        "Waiting": _object({"request": text, "attempts": number, "age_ms": number}, closed=True),
        "InProgress": _object(
            {
                "request": text,
                **dict.fromkeys(("attempt", "age_ms", "leased_ms"), number),
                "worker": text,
                "label": text,
                "answering": {"type": "boolean"},
            },
            closed=True,
        ),
    }
