"""Which interface a callable speaks, for the shapes applications come in."""

import functools
from collections.abc import Callable
from typing import Any

import pytest

from drawbar.gateways.signature import judge, objection, signature_of


def wsgi_function(environ: Any, start_response: Any) -> list[bytes]:
    return []


async def asgi_function(scope: Any, receive: Any, send: Any) -> None: ...


def asgi_by_hand(scope: Any, receive: Any, send: Any) -> Any:
    return asgi_function(scope, receive, send)


def decorated(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return wrapper


class WsgiObject:
    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        return []

    def method(self, environ: Any, start_response: Any, extra: Any = None) -> list[bytes]:
        return []


class AsgiObject:
    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...

    async def method(self, scope: Any, receive: Any, send: Any) -> None: ...


class WsgiClass:
    """PEP 3333 allows a class whose instances are the response's iterable."""

    def __init__(self, environ: Any, start_response: Any) -> None: ...

    def __iter__(self) -> Any:
        return iter(())


class AsgiEndpoint:
    """Starlette's endpoints are classes that are awaited."""

    def __init__(self, scope: Any, receive: Any, send: Any) -> None: ...


class ChoosesItsCall:
    """Some middleware chooses its `__call__` for each instance."""

    __slots__ = ("__call__",)

    def __init__(self, call: Callable[..., Any]) -> None:
        self.__call__ = call


class MarkedFunction:
    """What Cython and asyncio leave on a function that only behaves like an `async def`."""

    _is_coroutine = object()

    def __call__(self, *args: Any) -> Any: ...


def with_extra(extra: Any, environ: Any, start_response: Any) -> list[bytes]:
    return []


async def asgi_with_extra(scope: Any, receive: Any, send: Any, *, extra: Any = None) -> None: ...


@pytest.mark.parametrize(
    "app",
    [
        wsgi_function,
        decorated(wsgi_function),
        WsgiObject(),
        WsgiObject().method,
        WsgiClass,
        functools.partial(with_extra, 1),
        functools.partial(with_extra, extra=1),
        ChoosesItsCall(wsgi_function),
        lambda *args: [],
        # C functions do not tell; WSGI is the older and the commoner.
        zip,
    ],
)
def test_wsgi(app: Any) -> None:
    assert judge(app).interface == "wsgi"
    assert objection(app, "wsgi") == ""


@pytest.mark.parametrize(
    "app",
    [
        asgi_function,
        asgi_by_hand,
        decorated(asgi_function),
        AsgiObject(),
        AsgiObject().method,
        AsgiEndpoint,
        functools.partial(asgi_with_extra, extra=1),
        ChoosesItsCall(asgi_function),
    ],
)
def test_asgi(app: Any) -> None:
    assert judge(app).interface == "asgi"
    assert objection(app, "asgi") == ""


def test_what_frameworks_make() -> None:
    from django.core.handlers.asgi import ASGIHandler
    from django.core.handlers.wsgi import WSGIHandler
    from fastapi import FastAPI
    from flask import Flask
    from starlette.applications import Starlette
    from starlette.middleware.gzip import GZipMiddleware

    assert judge(Flask("site_a")).interface == "wsgi"
    # Their `__init__` would want settings, which the question does not need.
    assert judge(WSGIHandler.__new__(WSGIHandler)).interface == "wsgi"
    assert judge(ASGIHandler.__new__(ASGIHandler)).interface == "asgi"
    for app in (FastAPI(), Starlette(), GZipMiddleware(Starlette())):
        assert judge(app).interface == "asgi"


def test_a_marked_function_is_async() -> None:
    marked: Any = lambda *args: None  # noqa: E731 - a name is needed to mark it
    marked._is_coroutine = object()
    assert judge(marked).interface == "asgi"


class Plain: ...


class Asgi2:
    def __init__(self, scope: Any) -> None: ...

    async def __call__(self, receive: Any, send: Any) -> None: ...


def asgi2(scope: Any) -> Any: ...


async def view(request: Any) -> None: ...


async def nothing() -> None: ...


def factory(settings: Any = None) -> Any: ...


def factory_of_two(settings: Any = None, debug: Any = False) -> Any: ...


def five(a: Any, b: Any, c: Any, d: Any, e: Any) -> None: ...


@pytest.mark.parametrize(
    ("app", "why"),
    [
        (asgi2, "it takes one argument, as ASGI 2 applications do; Drawbar serves ASGI 3"),
        (Asgi2, "it takes one argument, as ASGI 2 applications do"),
        (
            view,
            "it is async and takes 1 argument; an ASGI application is an async callable that takes scope, receive and",
        ),
        (nothing, "it is async and takes 0 arguments"),
        (Plain, "it needs no arguments; if it returns the application, add --factory"),
        (five, "it takes 5 arguments; a WSGI application takes environ and start_response, an ASGI"),
    ],
)
def test_neither(app: Any, why: str) -> None:
    verdict = judge(app)
    assert verdict.interface is None
    assert verdict.why.startswith(why)


@pytest.mark.parametrize("app", [factory, factory_of_two])
def test_a_factory_with_optional_arguments_is_no_application(app: Any) -> None:
    assert judge(app).why == "it needs no arguments; if it returns the application, add --factory"


def test_the_chosen_interface_must_be_possible() -> None:
    assert objection(asgi_function, "wsgi").startswith("it is async and takes 3 arguments; a WSGI application takes")
    assert objection(wsgi_function, "asgi").startswith("it takes 2 arguments; an ASGI application is an async callable")
    assert objection(asgi_by_hand, "wsgi").startswith("it takes 3 arguments")
    assert objection(zip, "asgi") == objection(zip, "wsgi") == ""


def test_arguments_are_counted_in_words() -> None:
    def three_at_least(a: Any, b: Any, c: Any, *more: Any) -> None: ...

    def one_or_two(a: Any, b: Any = None) -> None: ...

    assert objection(three_at_least, "wsgi").startswith("it takes 3 or more arguments;")
    assert objection(one_or_two, "asgi").startswith("it takes 1 to 2 arguments;")


def test_what_does_not_tell_has_no_signature() -> None:
    assert signature_of(zip.__new__) is None
    assert signature_of(functools.partial(len)) is None
