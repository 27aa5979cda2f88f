"""A WSGI application inside `wsgiref.validate`: answers in each way there is, and reads in each way there is."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING
from wsgiref.validate import validator

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

PLAIN = [("Content-Type", "text/plain; charset=utf-8")]


def plain(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    start_response("200 OK", PLAIN)
    size = len(read_all(environ))
    return [f"path={environ['PATH_INFO']} query={environ['QUERY_STRING']} body={size}".encode("latin-1")]


def read_all(environ: "WSGIEnvironment") -> bytes:
    """The whole body, by reads of a size: the validator allows no read without one."""
    parts: list[bytes] = []
    while part := environ["wsgi.input"].read(8192):
        parts.append(part)
    return b"".join(parts)


def write(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    out = start_response("200 OK", PLAIN)
    out(read_all(environ))
    return []


def generator(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterator[bytes]:
    start_response("200 OK", PLAIN)
    yield from environ["wsgi.input"]


def iterator(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    start_response("200 OK", PLAIN)
    lines: list[bytes] = environ["wsgi.input"].readlines()
    return iter(lines)


def lines(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    start_response("200 OK", PLAIN)
    return list(iter(lambda: environ["wsgi.input"].readline(100), b""))


def empty(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    start_response("200 OK", PLAIN)
    return []


def headers(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    start_response("200 OK", PLAIN)
    fields = sorted((name, value) for name, value in environ.items() if name.startswith("HTTP_"))
    return ["\n".join(f"{name}={value}" for name, value in fields).encode("latin-1")]


WAYS = {f"/{way.__name__}": way for way in (write, generator, iterator, lines, empty, headers)}


def choose(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
    """The way the path names, else the plain one."""
    return WAYS.get(environ["PATH_INFO"], plain)(environ, start_response)


app = validator(choose)
