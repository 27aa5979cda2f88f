"""Which interface an application speaks, judged from how it may be called.

Lives here: the question alone, over a callable; loading is `target`. The application is not called to find out. Only
code flags and argument counts are read: `inspect` would give the same answers, at a cost every worker would carry.
"""

import functools
from typing import Any, Literal

import msgspec

Interface = Literal["wsgi", "asgi"]

# Flags of code objects, as the `inspect` module documents them.
CO_VARARGS = 0x04
CO_COROUTINE = 0x80
UNBOUNDED = 1 << 16

WSGI_FORM = "a WSGI application takes environ and start_response"
ASGI_FORM = "an ASGI application is an async callable that takes scope, receive and send"


class Signature(msgspec.Struct, frozen=True):
    """How a callable may be called: the positional arguments it needs at least and takes at most; is it async."""

    least: int
    most: int
    is_async: bool

    def takes(self, count: int) -> bool:
        """Whether a call with `count` positional arguments fits."""
        return self.least <= count <= self.most


class Verdict(msgspec.Struct, frozen=True):
    """The interface of an application, None when it has neither; then `why` says what it looks like instead."""

    interface: Interface | None
    why: str = ""


def signature_of(app: Any) -> Signature | None:
    """The signature of a callable, None for one that does not tell, such as a function written in C."""
    if isinstance(app, type):
        return signature_of_class(app)
    if isinstance(app, functools.partial):
        return signature_of_partial(app)
    # Some middleware sets `__call__` for each instance, so it is not looked up on the type.
    function = app if hasattr(app, "__code__") else getattr(app, "__call__", None)  # noqa: B004 - not asked whether, but which
    bound = hasattr(function, "__func__")
    function = getattr(function, "__func__", function)
    code = getattr(function, "__code__", None)
    if code is None:
        return None
    most = code.co_argcount - bound
    least = max(most - len(getattr(function, "__defaults__", None) or ()), 0)
    if code.co_flags & CO_VARARGS:
        most = UNBOUNDED
    return Signature(least, most, is_coroutine_function(function))


def signature_of_class(app: type) -> Signature | None:
    """The signature of a class as a callable: that of its `__init__` without `self`."""
    init: Any = getattr(app, "__init__", None)
    if init is object.__init__:
        plain = getattr(app, "__new__", None) is object.__new__
        return Signature(0, 0, False) if plain else None
    found = signature_of(init)
    return None if found is None else Signature(max(found.least - 1, 0), found.most - 1, False)


def signature_of_partial(app: "functools.partial[Any]") -> Signature | None:
    """The signature of a functools.partial: what its function still needs."""
    found = signature_of(app.func)
    if found is None:
        return None
    given = len(app.args)
    return Signature(max(found.least - given - len(app.keywords), 0), found.most - given, found.is_async)


def is_coroutine_function(function: Any) -> bool:
    """Whether a call gives a coroutine: an `async def`, one behind functools.wraps, or one marked as such."""
    while function is not None:
        if getattr(getattr(function, "__code__", None), "co_flags", 0) & CO_COROUTINE:
            return True
        # asyncio, Cython and inspect.markcoroutinefunction leave these on what only behaves like an `async def`.
        if getattr(function, "_is_coroutine", None) or getattr(function, "_is_coroutine_mark", None):
            return True
        function = getattr(function, "__wrapped__", None)
    return False


def judge(app: Any) -> Verdict:
    """The interface of `app`, which must be callable."""
    signature = signature_of(app)
    if signature is None:
        return Verdict("wsgi")
    if signature.is_async:
        if signature.takes(3):
            return Verdict("asgi")
        return Verdict(None, f"it is async and takes {counted(signature)}; {ASGI_FORM}")
    if signature.least == 0 and signature.most < UNBOUNDED:
        return Verdict(None, "it needs no arguments; if it returns the application, add --factory")
    if signature.takes(2):
        return Verdict("wsgi")
    if signature.takes(3):
        return Verdict("asgi")
    if signature.takes(1):
        return Verdict(
            None,
            "it takes one argument, as ASGI 2 applications do; Drawbar serves ASGI 3: "
            "wrap it in asgiref.compatibility.guarantee_single_callable",
        )
    return Verdict(None, f"it takes {counted(signature)}; {WSGI_FORM}, {ASGI_FORM}")


def objection(app: Any, interface: Interface) -> str:
    """Why `app` cannot be called through the interface the operator chose, "" when it can."""
    signature = signature_of(app)
    if signature is None:
        return ""
    if interface == "wsgi" and (signature.is_async or not signature.takes(2)):
        return f"it {'is async and ' if signature.is_async else ''}takes {counted(signature)}; {WSGI_FORM}"
    if interface == "asgi" and not signature.takes(3):
        return f"it takes {counted(signature)}; {ASGI_FORM}"
    return ""


def counted(signature: Signature) -> str:
    """The number of arguments in words."""
    if signature.most >= UNBOUNDED:
        return f"{signature.least} or more arguments"
    if signature.least != signature.most:
        return f"{signature.least} to {signature.most} arguments"
    return f"{signature.most} argument{'' if signature.most == 1 else 's'}"
