"""Requests and responses as JSON: the form of lane v1, and of lane v2 for those that ask for it.

Law: pure functions. A request becomes an environment as CGI and Rack know it (RFC 3875 section 4.1), with its body in
Base64. A response is checked here for what JSON can get wrong; what would break HTTP is checked where HTTP is written.
Version 1 takes whatever the clients of Prack send: headers as an object, as an object of objects or as a list of them,
numbers for values, and values of several lines, which are several fields (Rack 2).
"""

import re
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from msgspec import UNSET, DecodeError, Struct, UnsetType, ValidationError
from msgspec.json import Decoder, encode

from drawbar.pull.problem import shortened

Fields = list[tuple[bytes, bytes]]

WHITE_SPACE: Final = re.compile(r"\s+")
CODE: Final = re.compile(r"[1-9][0-9][0-9]")
MOST_KEYS: Final = 1_000
"""Names of fields whose key is remembered; past it all are forgotten, as they come from strangers."""


class Request(NamedTuple):
    """What an environment is made of."""

    method: str
    target: str
    http_version: str
    scheme: str
    remote: str
    fields: Iterable[tuple[bytes, bytes]]


class Answer(NamedTuple):
    """A response, not checked for what HTTP allows."""

    status: int
    fields: Fields
    body: bytes


class Invalid(ValueError):
    """A response that cannot be sent. `expected` says how to write it."""

    def __init__(self, why: str, expected: str) -> None:
        super().__init__(why)
        self.expected = expected


# -- requests

_keys: dict[bytes, str] = {}


def _key(name: bytes) -> str:
    """The key of a field; empty for one that gets none."""
    key = _keys.get(name)
    if key is None:
        if len(_keys) >= MOST_KEYS:
            _keys.clear()
        upper = name.decode("latin-1").upper()
        if upper in ("CONTENT-TYPE", "CONTENT-LENGTH"):
            key = upper.replace("-", "_")
        elif "_" in upper or upper == "PROXY":
            # X_Forwarded_For and X-Forwarded-For would be one key; many clients obey HTTP_PROXY (CVE-2016-5385).
            key = ""
        else:
            key = "HTTP_" + upper.replace("-", "_")
        _keys[name] = key
    return key


def _of_target(target: str) -> tuple[str, str]:
    """Path and query, both as the client wrote them."""
    if not target.startswith("/") and "://" in target:
        # RFC 9112 section 3.2.2: absolute-form.
        target = "/" + target.partition("://")[2].partition("/")[2]
    path, _, query = target.partition("?")
    return path, query


def _base(request: Request) -> dict[str, Any]:
    path, query = _of_target(request.target)
    return {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "443" if request.scheme == "https" else "80",
        "SERVER_PROTOCOL": "HTTP/" + request.http_version,
        "REMOTE_ADDR": request.remote,
        "rack.url_scheme": request.scheme,
    }


def _name_server(environment: dict[str, Any], host: str) -> None:
    """Host = uri-host [ ":" port ] (RFC 9110 section 7.2)."""
    name, colon, port = host.rpartition(":")
    if colon and port.isdigit():
        environment["SERVER_PORT"] = port
    elif not colon or host.endswith("]"):
        name = host
    if name:
        environment["SERVER_NAME"] = name


def environment(request: Request) -> dict[str, str]:
    """Every value a string: fields of one name are joined (RFC 9110 section 5.3), cookies by a semicolon."""
    made: dict[str, str] = _base(request)
    for name, value in request.fields:
        key = _key(name)
        if key in made:
            if key.startswith("HTTP_"):
                made[key] += ("; " if key == "HTTP_COOKIE" else ", ") + value.decode("latin-1")
        elif key:
            made[key] = value.decode("latin-1")
    if (host := made.get("HTTP_HOST")) is not None:
        _name_server(made, host)
    return made


def environment_of_lists(request: Request) -> dict[str, Any]:
    """The same, but every `HTTP_*` is the list of the field's values."""
    made = _base(request)
    for name, value in request.fields:
        key = _key(name)
        if key.startswith("HTTP_"):
            made.setdefault(key, []).append(value.decode("latin-1"))
        elif key and key not in made:
            made[key] = value.decode("latin-1")
    if (host := made.get("HTTP_HOST")) is not None:
        _name_server(made, host[0])
    return made


def request_json(identifier: str, environment: dict[str, Any], body: bytes) -> bytes:
    """A request to send to a worker; `body` is a member of its own when there is one."""
    rest = b', "body": "' + b2a_base64(body, newline=False) + b'"}' if body else b"}"
    return b'{"identifier": "' + identifier.encode() + b'", "environment": ' + encode(environment) + rest


# -- responses


class _Given(Struct):
    identifier: Any = None
    code: Any = None
    headers: Any = None
    body: Any = None


class _Strict(Struct, forbid_unknown_fields=True):
    code: Any | UnsetType = UNSET
    identifier: Any | UnsetType = UNSET
    headers: Any | UnsetType = UNSET
    body: Any | UnsetType = UNSET


_given = Decoder(_Given)
_strict = Decoder(_Strict)


def decode_v1(data: bytes) -> tuple[str, Callable[[], Answer]] | None:
    """The identifier of a response and what makes the rest of it; None when it cannot be read or names none.

    The rest raises Invalid: who knows the identifier has an answer to give then.
    """
    try:
        given = _given.decode(data)
    except (DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(given.identifier, str):
        return None

    def rest() -> Answer:
        return Answer(_code(given.code), list(_loose_fields(given.headers)), _base64(given.body))

    return given.identifier, rest


def decode_v2(data: bytes) -> Answer:
    """A response of lane v2. Raises Invalid."""
    try:
        given = _strict.decode(data)
    except ValidationError as error:
        raise Invalid(f"the response is not as it should be: {error}", WRITE_OBJECT) from None
    except (DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(f"the response is no JSON: {error}", WRITE_OBJECT) from None
    if given.code is UNSET:
        raise Invalid("the response has no code", WRITE_OBJECT)
    headers = {} if given.headers is UNSET else given.headers
    if not isinstance(headers, dict):
        raise Invalid(f"headers is {_kind(headers)}", WRITE_HEADERS)
    body = b"" if given.body is UNSET else _base64(given.body)
    return Answer(_code(given.code), list(_fields(headers)), body)


WRITE_OBJECT: Final = '{"code": 200, "headers": {"Content-Type": "text/plain"}, "body": "aGVsbG8="}'
WRITE_CODE: Final = "a number from 200 to 999, such as 200 or 404"
WRITE_HEADERS: Final = 'an object of strings or lists of strings, such as {"Set-Cookie": ["a=1", "b=2"]}'
WRITE_BASE64: Final = "Base64 (RFC 4648 section 4), with or without line breaks"
KINDS: Final = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}


def _kind(value: object) -> str:
    return KINDS.get(type(value), "a number")


def _code(code: object) -> int:
    if isinstance(code, str) and CODE.fullmatch(code):
        code = int(code)
    if type(code) is not int:
        shown = shortened(code) if isinstance(code, str) else _kind(code)
        raise Invalid(f"the code is {shown}", WRITE_CODE)
    if not 200 <= code <= 999:
        raise Invalid(f"the code is {code}", WRITE_CODE)
    return code


def _base64(text: object) -> bytes:
    if not isinstance(text, str):
        raise Invalid(f"the body is {_kind(text)}", WRITE_BASE64)
    if not text.isascii():
        raise Invalid("the body is not Base64: it has characters beyond ASCII", WRITE_BASE64)
    try:
        return a2b_base64(text, strict_mode=True)
    except Base64Error:
        pass
    # Second try, as most have neither: without line breaks, and with the padding some leave out.
    bare = WHITE_SPACE.sub("", text)
    try:
        return a2b_base64(bare + "=" * (-len(bare) % 4), strict_mode=True) if bare else b""
    except Base64Error as error:
        raise Invalid(f"the body is not Base64: {error}", WRITE_BASE64) from None


def _text(name: str, value: object) -> bytes:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Invalid(f"the header {shortened(name)} is {_kind(value)}", WRITE_HEADERS)
    return _latin1(name, str(value))


def _latin1(name: str, text: str) -> bytes:
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        raise Invalid(f"the header {shortened(name)} has characters beyond Latin-1", WRITE_HEADERS) from None


def _fields(headers: dict[str, Any]) -> Iterable[tuple[bytes, bytes]]:
    for name, value in headers.items():
        values = value if isinstance(value, list) else [value]
        key = _latin1(name, name)
        for one in values:
            if not isinstance(one, str):
                raise Invalid(f"the header {shortened(name)} is {_kind(one)}", WRITE_HEADERS)
            yield key, _latin1(name, one)


def _loose_fields(headers: Any) -> Iterable[tuple[bytes, bytes]]:
    """As Prack's clients write them."""
    if headers is None:
        return
    if isinstance(headers, list):
        headers = {str(place): one for place, one in enumerate(headers)}
    if not isinstance(headers, dict):
        raise Invalid(f"headers is {_kind(headers)}", WRITE_HEADERS)
    for name, value in headers.items():
        if isinstance(value, dict):
            # PHP's way: {"0": {"Content-Type": "text/html"}}
            for inner, one in value.items():
                yield from _lines(inner, one)
        else:
            yield from _lines(name, value)


def _lines(name: str, value: Any) -> Iterable[tuple[bytes, bytes]]:
    key = _latin1(name, name)
    for one in value if isinstance(value, list) else [value]:
        for line in _text(name, one).split(b"\n"):
            yield key, line
