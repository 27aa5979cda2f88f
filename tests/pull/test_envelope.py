"""Requests and responses as JSON."""

import base64
import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawbar.pull import envelope
from drawbar.pull.envelope import (
    Answer,
    Invalid,
    Request,
    decode_v1,
    decode_v2,
    environment,
    environment_of_lists,
    request_json,
)

FIELDS = [
    (b"Host", b"shop.example:8080"),
    (b"Accept", b"a"),
    (b"accept", b"b"),
    (b"Cookie", b"x=1"),
    (b"Cookie", b"y=2"),
    (b"Content-Type", b"text/plain"),
    (b"Content-Length", b"3"),
    (b"X_Forwarded_For", b"1.1.1.1"),
    (b"Proxy", b"evil"),
    (b"X-Name", "é".encode("latin-1")),
]


def request(target: str = "/a%20b/c?d=e&f", scheme: str = "http", fields: Any = FIELDS) -> Request:
    """One with everything."""
    return Request("POST", target, "1.1", scheme, "192.0.2.1", fields)


def test_an_environment_is_made_of_strings() -> None:
    assert environment(request()) == {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/a%20b/c",
        "QUERY_STRING": "d=e&f",
        "SERVER_NAME": "shop.example",
        "SERVER_PORT": "8080",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "192.0.2.1",
        "rack.url_scheme": "http",
        "HTTP_HOST": "shop.example:8080",
        "HTTP_ACCEPT": "a, b",
        "HTTP_COOKIE": "x=1; y=2",
        "CONTENT_TYPE": "text/plain",
        "CONTENT_LENGTH": "3",
        "HTTP_X_NAME": "é",
    }


def test_an_environment_of_lists_keeps_repeated_fields_apart() -> None:
    made = environment_of_lists(request())
    assert made["HTTP_ACCEPT"] == ["a", "b"]
    assert made["HTTP_COOKIE"] == ["x=1", "y=2"]
    assert (made["CONTENT_TYPE"], made["SERVER_NAME"], made["SERVER_PORT"]) == ("text/plain", "shop.example", "8080")
    assert set(made) == set(environment(request()))


@pytest.mark.parametrize(
    ("host", "scheme", "name", "port"),
    [
        (b"a", "http", "a", "80"),
        (b"a", "https", "a", "443"),
        (b"a:1", "https", "a", "1"),
        (b"[::1]", "http", "[::1]", "80"),
        (b"[::1]:99", "http", "[::1]", "99"),
        (b"", "http", "localhost", "80"),
    ],
)
def test_the_server_is_named_by_the_host_field(host: bytes, scheme: str, name: str, port: str) -> None:
    made = environment(request(scheme=scheme, fields=[(b"Host", host)]))
    assert (made["SERVER_NAME"], made["SERVER_PORT"]) == (name, port)


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/", "/", ""),
        ("/?", "/", ""),
        ("/a?b?c", "/a", "b?c"),
        ("*", "*", ""),
        ("http://h/a?b", "/a", "b"),
        ("http://h", "/", ""),
        ("/http://h/a", "/http://h/a", ""),
    ],
)
def test_the_target_is_split_and_not_decoded(target: str, path: str, query: str) -> None:
    made = environment(request(target))
    assert (made["PATH_INFO"], made["QUERY_STRING"]) == (path, query)


def test_keys_of_strangers_names_are_forgotten_in_time() -> None:
    for number in range(envelope.MOST_KEYS * 2):
        assert environment(request(fields=[(b"X-%d" % number, b"1")]))[f"HTTP_X_{number}"] == "1"
    assert len(envelope._keys) <= envelope.MOST_KEYS


def test_a_request_is_written_as_prack_does_with_its_body_added() -> None:
    assert request_json("{1}", {"A": "b"}, b"") == b'{"identifier": "{1}", "environment": {"A":"b"}}'
    assert json.loads(request_json("{1}", {"A": '"'}, b"\x00\xff")) == {
        "identifier": "{1}",
        "environment": {"A": '"'},
        "body": "AP8=",
    }


def v1(**members: Any) -> Answer:
    """What lane v1 makes of a response."""
    decoded = decode_v1(json.dumps({"identifier": "x", "code": 200, "headers": {}, "body": "", **members}).encode())
    assert decoded is not None
    assert decoded[0] == "x"
    return decoded[1]()


def test_v1_takes_what_pracks_clients_send() -> None:
    # Ruby: Rack's status, headers and body, in Base64 with a line break after each 60 characters.
    body = b"hello " * 30
    ruby = v1(
        code=201,
        headers={"Content-Type": "text/plain", "Set-Cookie": "a=1\nb=2"},
        body=base64.encodebytes(body).decode(),
    )
    assert ruby == Answer(
        201, [(b"Content-Type", b"text/plain"), (b"Set-Cookie", b"a=1"), (b"Set-Cookie", b"b=2")], body
    )
    # Node, with hop-by-hop fields.
    assert v1(headers={"Connection": "close"}, body="aGk=").fields == [(b"Connection", b"close")]
    # PHP: an object of objects, a number for a value, a code that may be a string.
    php = v1(code="404", headers={"0": {"Content-Type": "text/html"}, "1": {"Content-length": 2}}, body="aGk=")
    assert php == Answer(404, [(b"Content-Type", b"text/html"), (b"Content-length", b"2")], b"hi")
    # Prack's first version took a list.
    assert v1(headers=[{"A": "1"}, {"B": "2"}]).fields == [(b"A", b"1"), (b"B", b"2")]


def test_v1_takes_lists_of_values_and_no_headers() -> None:
    assert v1(headers={"Set-Cookie": ["a", "b"]}).fields == [(b"Set-Cookie", b"a"), (b"Set-Cookie", b"b")]
    assert v1(headers=None).fields == []


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"{}", b'{"identifier": 1}', b"\xff", b'"x"', b"[" * 10_000])
def test_v1_knows_no_identifier_in_that(data: bytes) -> None:
    assert decode_v1(data) is None


BAD: list[dict[str, Any]] = [
    {"code": None},
    {"code": "abc"},
    {"code": "20"},
    {"code": "²00"},
    {"code": 99},
    {"code": 101},
    {"code": 1000},
    {"code": True},
    {"code": 200.5},
    {"code": []},
    {"headers": "no"},
    {"headers": 1},
    {"headers": {"A": None}},
    {"headers": {"A": True}},
    {"headers": {"A": [["x"]]}},
    {"headers": {"0": {"A": {"B": "c"}}}},
    {"headers": {"A": "€"}},
    {"headers": {"€": "a"}},
    {"body": 1},
    {"body": None},
    {"body": "a"},
    {"body": "aGk=aGk="},
    {"body": "a.b="},
    {"body": "é"},
]


@pytest.mark.parametrize("members", BAD, ids=str)
def test_both_lanes_say_what_is_wrong_with_a_response(members: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as caught:
        v1(**members)
    assert caught.value.expected
    with pytest.raises(Invalid) as caught:
        decode_v2(json.dumps({"code": 200, **members}).encode())
    assert caught.value.expected


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"\xff", "no JSON"),
        (b'{"body": ' + b"[" * 10_000, "no JSON"),
        (b"[]", "Expected `object`"),
        (b"{}", "has no code"),
        (b'{"code": 200, "header": {}}', "unknown field `header`"),
        (b'{"code": 200, "headers": [{"A": "b"}]}', "headers is a list"),
        (b'{"code": 200, "headers": null}', "headers is null"),
        (b'{"code": 200, "headers": {"A": 1}}', "'A' is a number"),
    ],
)
def test_v2_is_strict(data: bytes, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        decode_v2(data)


def test_v2_needs_a_code_alone() -> None:
    assert decode_v2(b'{"code": 204}') == Answer(204, [], b"")
    assert decode_v2(b'{"code": 200, "headers": {"A": ["1", "2"], "B": "3"}, "body": "aGk"}') == Answer(
        200, [(b"A", b"1"), (b"A", b"2"), (b"B", b"3")], b"hi"
    )


@given(st.binary(), st.integers(1, 80))
def test_base64_is_read_as_it_is_written(body: bytes, width: int) -> None:
    text = base64.b64encode(body).decode()
    lines = "\r\n".join(text[at : at + width] for at in range(0, len(text), width))
    assert v1(body=lines).body == body
    assert v1(body=text.rstrip("=")).body == body


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
        st.lists,
        max_leaves=5,
    )
)
def test_nothing_but_invalid_is_raised(value: Any) -> None:
    for name in ("code", "headers", "body"):
        with suppress(Invalid):
            v1(**{name: value})
        with suppress(Invalid):
            decode_v2(json.dumps({"code": 200, name: value}).encode())
