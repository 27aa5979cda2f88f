"""The WSGI gateway against PEP 3333, rule by rule, and what an application that breaks one is told."""

import io
import sys
from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import pytest

from drawbar.exchange.forwarded import Proxies
from tests.support.inprocess import Site

Environ = dict[str, Any]
App = Callable[[Environ, Any], Any]
GET = b"GET / HTTP/1.1\r\nHost: test\r\n\r\n"


class Recorder:
    """An app that keeps the environ it is given."""

    def __init__(self) -> None:
        self.environs: list[Environ] = []

    def __call__(self, environ: Environ, start_response: Any) -> list[bytes]:
        # Later the input is gone.
        self.environs.append(dict(environ, body=environ["wsgi.input"].read()))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"ok"]


def environ_of(request: bytes, **options: Any) -> Environ:
    """The environ an app gets for `request`."""
    recorder = Recorder()
    with Site(recorder, **options) as site:
        assert site.request(request).status == 200
        return recorder.environs[0]


def get(target: str, *fields: str) -> bytes:
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: test", *fields, "", ""]).encode("latin-1")


def failure(app: App, request: bytes = GET, **options: Any) -> str:
    """What an app that breaks a rule is told. Its client gets a 500, and keeps its connection."""
    with Site(app, **options) as site:
        client = site.connect()
        for _ in range(2):
            client.send(request)
            response = client.response()
            assert (response.status, response.body) == (500, b"Internal Server Error\n")
        return str(site.failed[-1])


# -- environ


def test_an_environ_has_all_the_pep_asks_for() -> None:
    request = (
        b"PUT /a/b?c=d&e HTTP/1.1\r\nHost: example.org:81\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nabc"
    )
    with Site(recorder := Recorder(), multithread=True) as site:
        client = site.connect()
        client.send(request)
        assert client.response().status == 200
        environ = recorder.environs[0]
        assert {key: environ[key] for key in environ if key.isupper()} == {
            "REQUEST_METHOD": "PUT",
            "SCRIPT_NAME": "",
            "PATH_INFO": "/a/b",
            "QUERY_STRING": "c=d&e",
            "REQUEST_URI": "/a/b?c=d&e",
            "CONTENT_TYPE": "text/plain",
            "CONTENT_LENGTH": "3",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": str(site.address[1]),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "SERVER_SOFTWARE": "drawbar",
            "REMOTE_ADDR": "127.0.0.1",
            "REMOTE_PORT": str(client.socket.getsockname()[1]),
            "HTTP_HOST": "example.org:81",
        }
        assert environ["wsgi.version"] == (1, 0)
        assert environ["wsgi.url_scheme"] == "http"
        assert (environ["wsgi.multithread"], environ["wsgi.multiprocess"], environ["wsgi.run_once"]) == (
            True,
            False,
            False,
        )
        assert environ["wsgi.input_terminated"] is True
        assert environ["body"] == b"abc"
        assert type(environ) is dict


def test_nothing_of_one_request_is_in_the_next_ones_environ() -> None:
    with Site(recorder := Recorder()) as site:
        client = site.connect()
        client.send(get("/a?b", "X-One: 1", "Cookie: c") + GET)
        assert [client.response().status for _ in range(2)] == [200, 200]
        first, second = recorder.environs
        assert first["QUERY_STRING"] == "b"
        assert second["QUERY_STRING"] == ""
        assert set(first) - set(second) == {"HTTP_X_ONE", "HTTP_COOKIE"}


def test_an_app_may_do_with_its_environ_what_it_likes() -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        assert environ["PATH_INFO"] == "/"
        environ.clear()
        environ["PATH_INFO"] = "mine"
        start_response("200 OK", [])
        return []

    with Site(app) as site:
        assert [site.get().status for _ in range(2)] == [200, 200]


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/", "/", ""),
        ("/?", "/", ""),
        ("/%41%2f%C3%A9?%41", "/A/\xc3\xa9", "%41"),
        ("/100%", "/100%", ""),
        ("/%zz%4", "/%zz%4", ""),
        ("/a//b/../c", "/a//b/../c", ""),
        ("http://other/x?y", "/x", "y"),
        ("http://other", "/", ""),
        ("http://other?y", "/", "y"),
    ],
)
def test_a_target_becomes_path_and_query(target: str, path: str, query: str) -> None:
    environ = environ_of(get(target).replace(b"Host: test", b"Host: other"))
    assert (environ["PATH_INFO"], environ["QUERY_STRING"], environ["REQUEST_URI"]) == (path, query, target)


def test_an_absolute_target_says_which_host() -> None:
    assert environ_of(get("http://a.example:81/p"))["HTTP_HOST"] == "a.example:81"


def test_options_for_the_server_has_no_path() -> None:
    environ = environ_of(b"OPTIONS * HTTP/1.1\r\nHost: test\r\n\r\n")
    assert (environ["REQUEST_METHOD"], environ["PATH_INFO"]) == ("OPTIONS", "")


def test_a_method_nobody_knows_reaches_the_app_as_it_is() -> None:
    assert environ_of(b"PROPFIND / HTTP/1.1\r\nHost: test\r\n\r\n")["REQUEST_METHOD"] == "PROPFIND"


def test_http_1_0_is_told() -> None:
    environ = environ_of(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert environ["SERVER_PROTOCOL"] == "HTTP/1.0"
    assert "wsgi.early_hints" not in environ


@pytest.mark.parametrize(
    ("target", "script_name", "path"),
    [("/app", "/app", ""), ("/app/", "/app", "/"), ("/app/x", "/app", "/x"), ("/apple", "/app", "/apple")],
)
def test_a_root_path_is_the_script_name(target: str, script_name: str, path: str) -> None:
    environ = environ_of(get(target), root_path="/app")
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == (script_name, path)


def test_fields_of_one_name_are_joined() -> None:
    environ = environ_of(get("/", "X-A: 1", "Cookie: a=b", "x-a: 2", "Cookie: c=d", "X-A:"))
    assert environ["HTTP_X_A"] == "1, 2, "
    assert environ["HTTP_COOKIE"] == "a=b; c=d"


def test_values_are_latin_1() -> None:
    assert environ_of(get("/", "X-A: \xe9\xff"))["HTTP_X_A"] == "\xe9\xff"


def test_more_names_than_a_table_remembers_come_through() -> None:
    with Site(recorder := Recorder(), policy={"fields": 256, "head_bytes": 100_000}) as site:
        for start in range(0, 3000, 200):
            names = [f"X-{number}" for number in range(start, start + 200)]
            site.get("/", *(f"{name}: {name.lower()}" for name in names), *(f"{name}: again" for name in names[:20]))
            environ = recorder.environs.pop()
            for at, name in enumerate(names):
                expected = f"{name.lower()}, again" if at < 20 else name.lower()
                assert environ[f"HTTP_{name.upper().replace('-', '_')}"] == expected


def test_names_that_would_pass_for_others_are_dropped() -> None:
    environ = environ_of(get("/", "X_Real_Ip: forged", "Content_Length: 5", "Proxy: http://evil"))
    assert not {"HTTP_X_REAL_IP", "CONTENT_LENGTH", "HTTP_CONTENT_LENGTH", "HTTP_PROXY"} & set(environ)


# -- proxies

FORWARDED = (
    "X-Forwarded-For: 203.0.113.7",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Host: public.example",
    "X-Forwarded-Prefix: /shop",
    "X-Forwarded-Scheme: https",
    "X-Forwarded-Ssl: on",
)
TRUSTED_FIELDS = ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-prefix")


def proxies(*networks: str, fields: tuple[str, ...] = TRUSTED_FIELDS) -> dict[str, Any]:
    listed = [ip_network(network) for network in networks if network != "unix"]

    def contains(packed: bytes | None) -> bool:
        return "unix" in networks if packed is None else any(ip_address(packed) in network for network in listed)

    return {"proxies": Proxies(contains, fields)}


def test_what_a_stranger_forwards_is_nowhere_in_its_environ() -> None:
    for policy in ({}, proxies("10.0.0.0/8")):
        environ = environ_of(get("/shop/x", *FORWARDED, "Forwarded: for=1.2.3.4"), policy=policy)
        assert not [key for key in environ if "FORWARDED" in key]
        assert (environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]) == ("127.0.0.1", "http")
        assert (environ["HTTP_HOST"], environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("test", "", "/shop/x")


def test_what_a_trusted_proxy_forwards_is_who_the_client_is() -> None:
    environ = environ_of(get("/shop/x", *FORWARDED), policy=proxies("127.0.0.0/8"))
    assert (environ["REMOTE_ADDR"], environ["wsgi.url_scheme"], environ["HTTPS"]) == ("203.0.113.7", "https", "on")
    assert (environ["HTTP_HOST"], environ["SERVER_PORT"]) == ("public.example", "443")
    assert (environ["SCRIPT_NAME"], environ["PATH_INFO"]) == ("/shop", "/x")
    assert environ["HTTP_X_FORWARDED_FOR"] == "203.0.113.7"


@pytest.mark.parametrize(("said", "port"), [((), "443"), (("X-Forwarded-Port: 8443",), "8443")])
def test_the_port_of_https_is_the_proxys_or_the_default(said: tuple[str, ...], port: str) -> None:
    fields = ("x-forwarded-proto", "x-forwarded-port")
    environ = environ_of(get("/", "X-Forwarded-Proto: https", *said), policy=proxies("127.0.0.0/8", fields=fields))
    assert environ["SERVER_PORT"] == port


def test_a_field_the_proxy_does_not_set_itself_is_the_clients_invention() -> None:
    environ = environ_of(get("/", *FORWARDED), policy=proxies("127.0.0.0/8", fields=("x-forwarded-for",)))
    assert (environ["REMOTE_ADDR"], environ["wsgi.url_scheme"], environ["HTTP_HOST"]) == ("203.0.113.7", "http", "test")
    assert [key for key in environ if "FORWARDED" in key] == ["HTTP_X_FORWARDED_FOR"]


def test_a_unix_socket_has_a_path_and_no_address(tmp_path: Path) -> None:
    environ = environ_of(GET, unix=tmp_path / "socket")
    assert environ["REMOTE_ADDR"] == ""
    assert environ["SERVER_NAME"] == "localhost"
    environ = environ_of(get("/", *FORWARDED), unix=tmp_path / "other", policy=proxies("unix"))
    assert environ["REMOTE_ADDR"] == "203.0.113.7"


# -- start_response


def responding(status: Any, headers: Any, body: Any = (b"ok",)) -> App:
    def app(environ: Environ, start_response: Any) -> Any:
        start_response(status, headers)
        return list(body)

    return app


@pytest.mark.parametrize(
    ("status", "headers", "told"),
    [
        (200, [], "status"),
        (b"200 OK", [], "status"),
        (None, [], "the status must be a str such as '200 OK', not NoneType"),
        ("", [], "three digits, a space and a reason"),
        ("20 OK", [], "three digits, a space and a reason"),
        ("2000 OK", [], "three digits, a space and a reason"),
        ("abc", [], "three digits, a space and a reason"),
        ("200 O\r\nSet-Cookie: a=b", [], "the status has a control character"),
        ("200 \xfcber", [], "ASCII"),
        ("101 Switching Protocols", [], "interim"),
        ("200 OK", None, "headers must be a list"),
        ("200 OK", (("A", "b"),), "the headers must be a list of (name, value) tuples, not tuple"),
        ("200 OK", {"A": "b"}, "the headers must be a list of (name, value) tuples, not dict"),
        ("200 OK", [["A", "b"]], "a header must be a (name, value) tuple, not ['A', 'b']"),
        ("200 OK", [("A",)], "a header must be a (name, value) tuple, not ('A',)"),
        ("200 OK", ["A: b"], "a header must be a (name, value) tuple, not 'A: b'"),
        ("200 OK", [("A", 5)], "header name and value must be str, not str and int"),
        ("200 OK", [(b"A", "b")], "header name and value must be str, not bytes and str"),
        ("200 OK", [("A", "\u20ac")], "a header must be latin-1 text"),
    ],
)
def test_a_wrong_start_response_is_told_what_is_wrong(status: Any, headers: Any, told: str) -> None:
    assert told in failure(responding(status, headers))


def test_a_reason_is_sent_as_it_is_or_as_the_standard_has_it() -> None:
    for status, code, reason in (("200 Fine", 200, "Fine"), ("404", 404, "Not Found"), ("299 ", 299, "")):
        with Site(responding(status, [])) as site:
            response = site.get()
            assert (response.status, response.reason) in ((code, reason), (code, "Unknown"))


def test_calling_start_response_twice_needs_exc_info() -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        start_response("500 Sorry", [])
        return []

    assert "second time without exc_info" in failure(app)


def test_exc_info_replaces_a_head_that_is_not_out() -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("X-First", "1"), ("Content-Length", "100")])
        try:
            raise ValueError("so far so good")
        except ValueError:
            start_response("503 Sorry", [("X-Second", "2")], sys.exc_info())
        return [b"sorry"]

    with Site(app) as site:
        response = site.get()
        assert (response.status, response.body) == (503, b"sorry")
        assert (response.header("x-first"), response.header("x-second")) == (None, "2")


def test_exc_info_is_raised_again_once_the_head_is_out() -> None:
    raised: list[BaseException] = []

    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"out"
        try:
            raise ValueError("too late")
        except ValueError as error:
            try:
                start_response("500 Sorry", [], sys.exc_info())
            except ValueError as again:
                raised.extend([error, again])
                raise

    with Site(app) as site:
        client = site.connect()
        client.send(GET)
        assert client.read_to_end().endswith(b"3\r\nout\r\n")
        error, again = raised
        assert error is again
        assert site.failed == [error]


def test_write_sends_at_once_and_the_iterable_follows() -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        write = start_response("200 OK", [])
        write(b"written ")
        write(b"")
        return [b"returned"]

    with Site(app) as site:
        assert site.get().body == b"written returned"


def test_write_takes_bytes_only() -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])("text")
        return []

    assert failure(app) == "write() takes bytes, not str"


# -- what is returned


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (None, "returned None instead of an iterable of bytes"),
        ("text", "returned a str instead of an iterable of bytes"),
        (["text"], "the body must be bytes, not str"),
        (["a", "b"], "the body must be bytes, not str"),
        ([b"a", 5], "the body must be bytes, not int"),
        ([bytearray(b"a")], "the body must be bytes, not bytearray"),
        (5, "returned int instead of an iterable of bytes"),
    ],
)
def test_a_wrong_body_is_told_what_is_wrong(result: Any, told: str) -> None:
    def app(environ: Environ, start_response: Any) -> Any:
        start_response("200 OK", [])
        return result

    assert told in failure(app)


def test_a_body_needs_a_start() -> None:
    def returns(environ: Environ, start_response: Any) -> Any:
        return [b"body"]

    def returns_nothing(environ: Environ, start_response: Any) -> Any:
        return []

    assert failure(returns) == "a body before start_response was called"
    assert failure(returns_nothing) == "the application ended without starting a response"


def test_a_generator_may_start_its_response_with_its_first_bytes() -> None:
    def app(environ: Environ, start_response: Any) -> Iterator[bytes]:
        yield b""
        start_response("201 Created", [])
        yield b"late"

    with Site(app) as site:
        response = site.get()
        assert (response.status, response.body) == (201, b"late")


def test_bytes_of_a_subclass_are_bytes() -> None:
    class Mine(bytes):
        pass

    with Site(responding("200 OK", [], [Mine(b"x" * 10_000), Mine(b"y")])) as site:
        assert site.get().body == b"x" * 10_000 + b"y"


class Closing:
    """An iterable that notes when it is closed."""

    def __init__(self, items: list[Any], fails: bool = False) -> None:
        self.items = iter(items)
        self.closed = 0
        self.fails = fails

    def __iter__(self) -> "Closing":
        return self

    def __next__(self) -> bytes:
        item = next(self.items)
        if isinstance(item, BaseException):
            raise item
        assert isinstance(item, (bytes, str))
        return item  # type: ignore[return-value]

    def close(self) -> None:
        self.closed += 1
        if self.fails:
            raise ValueError("close failed")


@pytest.mark.parametrize("items", [[], [b"a"], [ValueError("first")], [b"a", ValueError("second")], ["text"]])
def test_close_is_called_once_whatever_happens(items: list[Any]) -> None:
    result = Closing(items)

    def app(environ: Environ, start_response: Any) -> Closing:
        start_response("200 OK", [])
        return result

    with Site(app) as site:
        client = site.connect()
        client.send(GET)
        client.available()
        assert result.closed == 1


def test_close_is_called_when_there_was_no_start_response() -> None:
    result = Closing([b"a"])
    with Site(lambda environ, start_response: result) as site:
        assert site.get().status == 500
        assert result.closed == 1


def test_close_is_called_when_the_client_is_gone() -> None:
    result = Closing([b"x" * 100_000] * 1000)

    def app(environ: Environ, start_response: Any) -> Closing:
        start_response("200 OK", [])
        client.reset()
        return result

    with Site(app) as site:
        client = site.connect()
        client.socket.send(GET)
        site.settle()
        assert result.closed == 1
        assert site.failed == [], "a client that goes is no mistake of the application's"


def test_a_close_that_fails_is_logged_with_its_request_and_harms_no_response() -> None:
    def app(environ: Environ, start_response: Any) -> Closing:
        start_response("200 OK", [])
        return Closing([b"a"], fails=True)

    with Site(app) as site:
        client = site.connect()
        client.send(get("/of/this") * 2)
        assert [client.response().body for _ in range(2)] == [b"a", b"a"]
        assert site.failed_requests == ["GET /of/this"] * 2


def test_an_app_that_ends_the_interpreter_ends_its_request() -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        sys.exit(3)

    assert failure(app) == "3"


# -- wsgi.file_wrapper


def sending(make: Callable[[Any], Any], headers: list[tuple[str, str]] | None = None) -> App:
    def app(environ: Environ, start_response: Any) -> Any:
        start_response("200 OK", headers or [])
        return make(environ["wsgi.file_wrapper"])

    return app


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(256)) * 4000)
    return path


def test_a_file_is_sent_whole_with_its_length_and_closed(file: Path) -> None:
    opened: list[Any] = []

    def make(wrapper: Any) -> Any:
        opened.append(file.open("rb"))
        return wrapper(opened[-1], 8192)

    with Site(sending(make)) as site:
        client = site.connect()
        for _ in range(2):
            client.send(GET)
            response = client.response()
            assert response.header("content-length") == "1024000"
            assert response.body == file.read_bytes()
        assert [each.closed for each in opened] == [True, True]


def test_a_file_is_sent_from_where_it_stands_and_as_far_as_declared(file: Path) -> None:
    def make(wrapper: Any) -> Any:
        opened = file.open("rb")
        assert opened.read(100)
        return wrapper(opened)

    with Site(sending(make, [("Content-Length", "50")])) as site:
        assert site.get().body == file.read_bytes()[100:150]


def test_a_file_shorter_than_declared_is_a_mistake(file: Path) -> None:
    def make(wrapper: Any) -> Any:
        return wrapper(file.open("rb"))

    assert "shorter than its Content-Length" in failure(sending(make, [("Content-Length", "1024001")]))


def test_what_is_no_file_is_read(file: Path) -> None:
    with Site(sending(lambda wrapper: wrapper(io.BytesIO(b"x" * 100_000), 1000))) as site:
        assert site.get().body == b"x" * 100_000


def test_head_sends_no_file_and_leaves_no_descriptor(file: Path) -> None:
    with Site(sending(lambda wrapper: wrapper(file.open("rb")))) as site:
        client = site.connect()
        client.send(b"HEAD / HTTP/1.1\r\nHost: test\r\n\r\n")
        assert b"\r\nContent-Length: 1024000\r\n" in client.read_until(b"\r\n\r\n")
        client.send(GET)
        assert len(client.response().body) == 1_024_000


# -- wsgi.input


def reading(read: Callable[[Any], Any]) -> App:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        result = repr(read(environ["wsgi.input"])).encode()
        start_response("200 OK", [])
        return [result]

    return app


BODY = b"first\nsecond\n" + b"x" * 100_000 + b"\nlast"
POST = b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("read", "expected"),
    [
        (lambda body: body.read() == BODY, True),
        (lambda body: body.read(-1) == BODY, True),
        (lambda body: body.read(None) == BODY, True),
        (lambda body: (body.read(3), body.read(0), body.read(3)), (b"fir", b"", b"st\n")),
        (lambda body: body.read(200_000) + body.read(5) == BODY, True),
        (lambda body: (body.readline(), body.readline()), (b"first\n", b"second\n")),
        (lambda body: (body.readline(3), body.readline(30)), (b"fir", b"st\n")),
        (lambda body: [len(line) for line in body], [6, 7, 100_001, 4]),
        (lambda body: [len(line) for line in body.readlines()], [6, 7, 100_001, 4]),
        (
            lambda body: (body.readline(), len(body.read()), body.read(), body.readline()),
            (b"first\n", 100_012, b"", b""),
        ),
    ],
)
def test_an_input_reads_as_files_do(stream: bool, read: Callable[[Any], Any], expected: Any) -> None:
    with Site(reading(read), stream_input=stream) as site:
        assert site.request(POST).body == repr(expected).encode()


def test_a_buffered_input_can_be_read_again() -> None:
    with Site(reading(lambda body: (body.read(5), body.seek(0), body.read(5), body.tell()))) as site:
        assert site.request(POST).body == b"(b'first', 0, b'first', 5)"


def test_a_streamed_input_says_why_it_cannot() -> None:
    assert "run without --stream-input" in failure(reading(lambda body: body.seek(0)), POST, stream_input=True)


def test_a_request_without_a_body_has_an_empty_input() -> None:
    with Site(reading(lambda body: (body.read(), body.readline(), list(body), body.close()))) as site:
        for _ in range(2):
            assert site.get().body == b"(b'', b'', [], None)"


def test_a_streamed_body_that_breaks_is_an_error_to_its_reader() -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        environ["wsgi.input"].read()
        raise AssertionError("not reached")

    request = b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
    with Site(app, stream_input=True) as site:
        client = site.connect()
        client.socket.send(request + b"3\r\nabc\r\nnonsense\r\n")
        assert client.response().status == 400
        client = site.connect()
        client.socket.send(request + b"3\r\nabc\r\n")
        client.end()
        assert client.response().status == 400
        assert site.failed == []


def test_an_input_is_over_with_its_response() -> None:
    inputs: list[Any] = []

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        inputs.append(environ["wsgi.input"])
        start_response("200 OK", [])
        return [environ["PATH_INFO"].encode()]

    with Site(app, stream_input=True) as site:
        client = site.connect()
        client.send(b"POST /1 HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\n")
        assert client.response().body == b"/1"
        with pytest.raises(OSError, match="until the response is complete"):
            inputs[0].read()
        client.send(b"hello" + get("/2"))
        assert client.response().body == b"/2"
        with pytest.raises(OSError, match="until the response is complete"):
            inputs[0].read()


# -- early hints, errors, the error page, the validator


def test_early_hints_go_ahead_of_the_response() -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        environ["wsgi.early_hints"]([("Link", "</style.css>; rel=preload")])
        start_response("200 OK", [])
        return [b"ok"]

    with Site(app) as site:
        response = site.get()
        assert response.informational == [(103, [("link", "</style.css>; rel=preload")])]
        assert response.body == b"ok"


def test_early_hints_cannot_break_framing() -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        environ["wsgi.early_hints"]([("Link", "a\r\n\r\nHTTP/1.1 200 OK")])
        return []

    assert "control character" in failure(app)


def test_errors_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        print("complaint", file=environ["wsgi.errors"])
        environ["wsgi.errors"].writelines(["a", "b"])
        environ["wsgi.errors"].flush()
        start_response("200 OK", [])
        return []

    with Site(app) as site:
        assert site.get().status == 200
    assert capsys.readouterr().err == "complaint\nab"


def test_an_error_page_is_shown_in_place_of_the_bare_500() -> None:
    def page(error: BaseException, exchange: Any) -> bytes:
        return f"{error} at {exchange.target}".encode()

    def app(environ: Environ, start_response: Any) -> list[bytes]:
        raise ValueError("no")

    with Site(app, error_page=page) as site:
        response = site.get("/here")
        assert (response.status, response.body) == (500, b"no at /here")
        assert response.header("content-type") == "text/html; charset=utf-8"


def test_the_validator_of_the_standard_library_finds_nothing() -> None:
    def app(environ: Environ, start_response: Any) -> list[bytes]:
        environ["wsgi.input"].read(3)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"valid"]

    with Site(validator(app)) as site:
        for request in (GET, POST, get("/a%20b?c"), b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"):
            assert site.request(request).body == b"valid"


def test_a_file_that_only_says_it_is_empty_is_read() -> None:
    def app(environ: Environ, start_response: Any) -> Any:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return environ["wsgi.file_wrapper"](Path("/proc/self/status").open("rb"))

    with Site(app) as site:
        assert b"VmPeak" in site.request(GET).body
