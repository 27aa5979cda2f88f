"""Applications that break their contract: told what they did, answered for, and never taken for good ones."""

import re

import pytest

from tests.conftest import Connect
from tests.server.conftest import SITES, Serve
from tests.support.raw import RawClient
from tests.support.server import Server, Servers

# What the log says of each mistake that is noticed before a byte is out.
WSGI_EARLY = {
    "raises": "ValueError: broken before the head",
    "raises_after_start": "ValueError: broken behind start_response",
    "raises_base_exception": "KeyboardInterrupt: not yours",
    "exits": "SystemExit: 3",
    "generator_raises_first": "ValueError: invalid literal for int() with base 10: 'broken before a byte'",
    "recurses": "RecursionError: maximum recursion depth exceeded",
    "no_memory": "MemoryError",
    "no_start": "AppError: a body before start_response was called",
    "no_start_and_no_body": "AppError: the application ended without starting a response",
    "starts_twice": "AppError: start_response called a second time without exc_info",
    "returns_none": "AppError: the application returned None instead of an iterable of bytes",
    "returns_number": "AppError: the application returned int instead of an iterable of bytes",
    "write_str": "AppError: write() takes bytes, not str",
    "too_long": "AppError: the body is longer than its Content-Length: 1 declared, 2 sent",
    "too_short": "AppError: the body is shorter than its Content-Length: 3 declared, 2 sent",
    "length_of_nothing": "AppError: the body is shorter than its Content-Length: 3 declared, 0 sent",
    "length_not_a_number": "AppError: Content-Length must be a decimal number, not '2;'",
    "length_negative": "AppError: Content-Length must be a decimal number, not '-2'",
    "two_lengths": "AppError: two different Content-Length fields: 2 and 3",
    "transfer_encoding": "AppError: Transfer-Encoding is the server's to set, and 'gzip' is none it can send",
    "header_name_crlf": r"AppError: field name 'A\r\nB' is not a token",
    "header_name_space": "AppError: field name 'A B' is not a token",
    "header_name_colon": "AppError: field name 'A:' is not a token",
    "header_name_nul": r"AppError: field name 'A\x00' is not a token",
    "header_name_empty": "AppError: field name '' is not a token",
    "header_value_crlf": r"AppError: the value 'b\r\nSet-Cookie: c=d' of field 'A' has a control character",
    "header_value_lf": r"AppError: the value 'b\nSet-Cookie: c=d' of field 'A' has a control character",
    "header_value_cr": r"AppError: the value 'b\rc' of field 'A' has a control character",
    "header_value_nul": r"AppError: the value 'b\x00c' of field 'A' has a control character",
    "header_value_control": r"AppError: the value 'b\x07c' of field 'A' has a control character",
    "header_value_wide": "AppError: a header must be latin-1 text (PEP 3333)",
    "header_name_bytes": "AppError: header name and value must be str, not bytes and str",
    "header_value_bytes": "AppError: header name and value must be str, not str and bytes",
    "header_value_number": "AppError: header name and value must be str, not str and int",
    "header_value_none": "AppError: header name and value must be str, not str and NoneType",
    "header_alone": "AppError: a header must be a (name, value) tuple, not 'A: b'",
    "header_of_three": "AppError: a header must be a (name, value) tuple, not ('A', 'b', 'c')",
    "headers_dict": "AppError: the headers must be a list of (name, value) tuples, not dict",
    "headers_tuple": "AppError: the headers must be a list of (name, value) tuples, not tuple",
    "status_crlf": r"AppError: the status has a control character: '200 OK\r\nA: b'",
    "status_nul": r"AppError: the status has a control character: '200 \x00'",
    "status_number": "AppError: the status must be a str such as '200 OK', not int",
    "status_bytes": "AppError: the status must be a str such as '200 OK', not bytes",
    "status_words": "AppError: the status must be three digits, a space and a reason, not 'OK'",
    "status_four_digits": "AppError: the status must be three digits, a space and a reason, not '2000 OK'",
    "status_interim": "AppError: the status of a response is 200 or above; 101 is interim",
    "status_wide": "AppError: the status must be an ASCII str such as '200 OK'",
    "body_str": "AppError: the body must be bytes, not str",
    "body_str_alone": "AppError: the application returned a str instead of an iterable of bytes",
    "body_numbers": "AppError: the body must be bytes, not int",
    "body_str_second": "AppError: the body must be bytes, not str",
    "body_for_204": "AppError: a response with status 204 has no body, but the application sent 2 bytes",
    "body_for_304": "AppError: a response with status 304 has no body, but the application sent 2 bytes",
}
ASGI_EARLY = {
    "raises": "ValueError: broken before the head",
    "raises_after_start": "ValueError: broken behind the start",
    "exits": "SystemExit: 3",
    "cancels": "CancelledError: cancelled itself",
    "recurses": "RecursionError: maximum recursion depth exceeded",
    "no_start": "AppError: http.response.body before http.response.start",
    "nothing": "AppError: the application returned without sending a response",
    "start_only": "AppError: the application returned before the end of its response",
    "starts_twice": "AppError: the response has begun already",
    "wrong_type": "AppError: an http application may not send 'http.response.stop'",
    "no_type": "AppError: an http application may not send None",
    "websocket_type": "AppError: an http application may not send 'websocket.accept'",
    "not_a_message": "AppError: an event must be a dict, not int",
    "trailers_unannounced": "AppError: http.response.trailers needs trailers=True in http.response.start",
    "too_long": "AppError: the body is longer than its Content-Length: 1 declared, 2 sent",
    "too_short": "AppError: the body is shorter than its Content-Length: 3 declared, 2 sent",
    "length_not_a_number": "AppError: Content-Length must be a decimal number, not '2;'",
    "two_lengths": "AppError: two different Content-Length fields: 2 and 3",
    "transfer_encoding": "AppError: Transfer-Encoding is the server's to set",
    "header_name_crlf": r"AppError: field name 'a\r\nb' is not a token",
    "header_name_space": "AppError: field name 'a b' is not a token",
    "header_name_nul": r"AppError: field name 'a\x00' is not a token",
    "header_name_empty": "AppError: field name '' is not a token",
    "header_value_crlf": r"AppError: the value 'b\r\nset-cookie: c=d' of field 'a' has a control character",
    "header_value_lf": r"AppError: the value 'b\nset-cookie: c=d' of field 'a' has a control character",
    "header_value_nul": r"AppError: the value 'b\x00c' of field 'a' has a control character",
    "header_name_str": "AppError: header name and value must be bytes, not str and bytes",
    "header_value_str": "AppError: header name and value must be bytes, not bytes and str",
    "header_value_number": "AppError: header name and value must be bytes, not bytes and int",
    "header_alone": "AppError: a header must be a (name, value) pair, not b'a: b'",
    "header_of_three": "AppError: a header must be a (name, value) pair, not (b'a', b'b', b'c')",
    "headers_bytes": "AppError: headers must be an iterable of (name, value) pairs, not bytes",
    "headers_none": "AppError: headers must be an iterable of (name, value) pairs, not NoneType",
    "status_str": "AppError: http.response.start: status must be an int from 200 to 999, not '200'",
    "status_missing": "AppError: http.response.start: status must be an int from 200 to 999, not None",
    "status_interim": "AppError: http.response.start: status must be an int from 200 to 999, not 101",
    "status_huge": "AppError: http.response.start: status must be an int from 200 to 999, not 1000",
    "body_str": "AppError: http.response.body: body must be bytes, not str",
    "body_for_204": "AppError: a response with status 204 has no body, but the application sent 2 bytes",
    "body_for_304": "AppError: a response with status 304 has no body, but the application sent 2 bytes",
}
# And of those that come when the client has the head already.
WSGI_LATE = {
    "late_raise": "ValueError: broken in the middle",
    "late_raise_of_a_length": "ValueError: broken in the middle",
    "late_raise_at_the_end_of_a_length": "ValueError: broken behind the end",
    "late_start": "AppError: start_response called a second time without exc_info",
    "late_error": "ValueError: behind the head",
    "late_str": "AppError: the body must be bytes, not str",
    "late_too_short": "AppError: the body is shorter than its Content-Length: 100 declared, 5 sent",
    "late_too_long": "AppError: the body is longer than its Content-Length: 7 declared, 11 sent",
    "late_write": "ValueError: broken behind write",
}
ASGI_LATE = {
    "late_raise": "ValueError: broken in the middle",
    "late_raise_of_a_length": "ValueError: broken in the middle",
    "late_raise_at_the_end_of_a_length": "ValueError: broken behind the end",
    "late_return": "AppError: the application returned before the end of its response",
    "late_start": "AppError: the response has begun already",
    "late_str": "AppError: http.response.body: body must be bytes, not str",
    "late_too_short": "AppError: the body is shorter than its Content-Length: 100 declared, 5 sent",
    "late_too_long": "AppError: the body is longer than its Content-Length: 7 declared, 11 sent",
}
# Those after which all is well for the client, whose response was complete.
WSGI_AFTER = {
    "close_raises": "LookupError: close is broken",
    "close_raises_without_an_end": "LookupError: close is broken",
}
ASGI_AFTER = {
    "after_the_end": "AppError: the response is complete: nothing can be sent after its end",
    "raises_after_the_end": "ValueError: broken behind the end",
}
WSGI = ("bad_wsgi:app", "--threads", "1:4")
INLINE = ("bad_wsgi:app", "--threads", "1")
ASGI = ("bad_asgi:app", "--loop", "asyncio")

EARLY = [(WSGI, *item) for item in WSGI_EARLY.items()] + [(ASGI, *item) for item in ASGI_EARLY.items()]
LATE = [(way, *item) for way in (WSGI, INLINE) for item in WSGI_LATE.items()]
LATE += [(ASGI, *item) for item in ASGI_LATE.items()]
AFTER = [(WSGI, *item) for item in WSGI_AFTER.items()] + [(ASGI, *item) for item in ASGI_AFTER.items()]


def get(name: str, version: str = "1.1", method: str = "GET") -> bytes:
    return f"{method} /{name} HTTP/{version}\r\nHost: a\r\n\r\n".encode()


def told(site: Server, client: RawClient, name: str, mistake: str, method: str = "GET") -> None:
    """The log has the mistake in one line with the request and its peer."""
    port = client.socket.getsockname()[1]
    site.log.wait_for(rf" error: {method} /{name} from 127\.0\.0\.1:{port}: {re.escape(mistake)}")


@pytest.mark.parametrize(("way", "name", "mistake"), EARLY)
def test_a_mistake_before_the_head_is_a_500(
    shared: Serve, connect: Connect, way: tuple[str, ...], name: str, mistake: str
) -> None:
    site = shared(*way)
    client = connect(site)
    response = client.request(get(name))
    assert (response.status, response.body) == (500, b"Internal Server Error\n")
    assert response.header("set-cookie") is None
    told(site, client, name, mistake)
    # Keep-alive survives.
    assert client.request(get("fine")).body == b"fine"


@pytest.mark.parametrize("way", [WSGI, ASGI])
def test_the_log_has_the_traceback(shared: Serve, connect: Connect, way: tuple[str, ...]) -> None:
    site = shared(*way)
    connect(site).request(get("raises"))
    site.log.wait_for(r" error: Traceback \(most recent call last\):")
    site.log.wait_for(r' error:   File ".*/sites/bad_\w+\.py", line \d+, in ')
    site.log.wait_for(r" error: ValueError: broken before the head")


@pytest.mark.parametrize("version", ["1.1", "1.0"])
@pytest.mark.parametrize(("way", "name", "mistake"), LATE)
def test_a_mistake_behind_the_head_is_never_a_clean_end(
    shared: Serve, connect: Connect, way: tuple[str, ...], name: str, mistake: str, version: str
) -> None:
    site = shared(*way)
    client = connect(site)
    # A request behind it shows that the connection is over.
    client.send(get(name, version) + get("fine"))
    reset = False
    try:
        while data := client.socket.recv(65536):
            client.received += data
    except ConnectionResetError:
        reset = True
    told(site, client, name, mistake)
    head, _, body = client.received.partition(b"\r\n\r\n")
    assert b"fine" not in body
    if b"Transfer-Encoding: chunked" in head:
        assert not body.endswith(b"0\r\n\r\n")
    elif found := re.search(rb"Content-Length: (\d+)", head):
        assert reset or len(body) < int(found[1])
    else:
        # It ends where the connection does: only a reset is no end. It may outrun the head.
        assert reset


@pytest.mark.parametrize(("way", "name", "mistake"), AFTER)
def test_a_mistake_behind_the_end_harms_nobody(
    shared: Serve, connect: Connect, way: tuple[str, ...], name: str, mistake: str
) -> None:
    site = shared(*way)
    client = connect(site)
    assert client.request(get(name)).status == 200
    told(site, client, name, mistake)
    assert client.request(get("fine")).body == b"fine"


@pytest.mark.parametrize("way", [WSGI, ASGI])
def test_head_has_no_body_whatever_the_application_sends(shared: Serve, connect: Connect, way: tuple[str, ...]) -> None:
    client = connect(shared(*way))
    for _ in range(2):
        response = client.request(get("fine", method="HEAD"))
        assert (response.status, response.body) == (200, b"")
    assert client.request(get("fine")).body == b"fine"


@pytest.mark.parametrize("way", [WSGI, INLINE, ASGI])
def test_neighbours_and_worker_are_unharmed(shared: Serve, connect: Connect, way: tuple[str, ...]) -> None:
    site = shared(*way)
    neighbour = connect(site)
    for name in (WSGI_EARLY | WSGI_LATE) if way is not ASGI else (ASGI_EARLY | ASGI_LATE):
        client = connect(site)
        client.send(get(name))
        assert neighbour.request(get("fine")).body == b"fine"
        client.close()
    assert "worker 1" not in site.log.text


def test_a_page_for_developers_is_for_developers(server: Servers, connect: Connect) -> None:
    site = server(WSGI[0], "--debug", chdir=SITES)
    response = connect(site).request(get("raises"))
    assert response.status == 500
    assert (response.header("content-type") or "").startswith("text/html")
    assert b"broken before the head" in response.body
