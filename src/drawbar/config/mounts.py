"""Where an application's requests come from, and which of them go first: hosts, paths, classes. Pure text to value."""

import msgspec

from drawbar.config.kinds import Kind, parse_text
from drawbar.config.names import parse_app

MOST_PRIORITY = 3
FORM = "write NAME=HOST/PREFIX, such as blog=blog.example.org/, shop=/shop or site="


class Mount(msgspec.Struct, frozen=True):
    """An application's name and place. `host` "" is any; "*.example.org" any below that; `prefix` is "" or "/a/b"."""

    name: str
    host: str
    prefix: str

    def __str__(self) -> str:
        return f"{self.name}={self.host}{self.prefix or '/'}"


class Preference(msgspec.Struct, frozen=True):
    """Requests whose path begins with `prefix` wait in the class `priority`: 0 goes first."""

    prefix: str
    priority: int

    def __str__(self) -> str:
        return f"{self.prefix}={self.priority}"


def parse_host(raw: object) -> str:
    """A host name without port; `*.` before it takes all names below it, nothing at all takes every name."""
    host = parse_text(raw).strip().lower().rstrip(".")
    bare = host.removeprefix("*.")
    if any(character in bare for character in "/:*@?# ") and not (bare.startswith("[") and bare.endswith("]")):
        raise ValueError(f"{raw!r} is no host name; write one such as example.org or *.example.org, without a port")
    return host


def parse_prefix(raw: object) -> str:
    """A path that requests begin with, without the slash at its end."""
    path = parse_text(raw).strip()
    if (path and not path.startswith("/")) or any(character in path for character in "?# ") or "//" in path:
        raise ValueError(f"{raw!r} is no path; write one such as /shop")
    return path.rstrip("/")


def parse_mount(raw: object) -> Mount:
    """NAME=HOST/PREFIX; a name alone takes every request that no other application takes."""
    name, _, place = parse_text(raw).partition("=")
    host, slash, prefix = place.partition("/")
    try:
        return Mount(parse_app(name), parse_host(host), parse_prefix(slash + prefix))
    except ValueError as error:
        raise ValueError(f"{error}; {FORM}") from None


def parse_preference(raw: object) -> Preference:
    """PREFIX=CLASS."""
    prefix, equals, number = parse_text(raw).rpartition("=")
    if not equals or not number.strip().isdecimal() or int(number) > MOST_PRIORITY:
        raise ValueError(f"{raw!r} is no priority; write PREFIX=N with N from 0 (first) to {MOST_PRIORITY}")
    return Preference(parse_prefix(prefix), int(number))


MOUNT = Kind("NAME=HOST/PREFIX", "`NAME=HOST/PREFIX`", parse_mount)
HOST = Kind("HOST", "a host name, `*.` before it for all below it", parse_host)
PREFIX = Kind("PATH", "a path such as `/shop`", parse_prefix)
PREFERENCE = Kind("PREFIX=N", f"`PREFIX=N`, N from 0 (first) to {MOST_PRIORITY}", parse_preference)
