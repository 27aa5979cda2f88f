"""Addresses to listen on: HOST:PORT, [::1]:PORT, :PORT, unix:/path, fd://N, fd://NAME.

Pure text to value and back; nothing is resolved or opened here. A host name stays a name for the listener to resolve.
`str(bind)` is text that `parse_bind` reads back.
"""

from typing import Annotated

import msgspec

from drawbar.config.kinds import Kind

FORMS = "write HOST:PORT, [IPV6]:PORT, :PORT, unix:/path, fd://N or fd://NAME"
# sockaddr_un.sun_path of unix(7): 108 bytes with the closing NUL.
UNIX_PATH_BYTES = 107


class TcpBind(msgspec.Struct, frozen=True, tag="tcp"):
    """A TCP address. `host` is a name or a literal without brackets; "" listens on every address, IPv6 and IPv4."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


class UnixBind(msgspec.Struct, frozen=True, tag="unix"):
    """A Unix socket in the file system, or in the abstract name space when `path` starts with "@"."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


class FdBind(msgspec.Struct, frozen=True, tag="fd"):
    """A listening socket that was open when the server started."""

    fd: int

    def __str__(self) -> str:
        return f"fd://{self.fd}"


class NamedBind(msgspec.Struct, frozen=True, tag="named"):
    """Sockets that the service manager passed under a name. Only text: the sources find out which they are."""

    name: str

    def __str__(self) -> str:
        return f"fd://{self.name}"


Bind = TcpBind | UnixBind | FdBind


def parse_bind(raw: object) -> Bind:
    """The address `raw` names, as it stands in a configuration; raises ValueError as parse_written_bind() does."""
    bind = parse_written_bind(raw)
    if isinstance(bind, NamedBind):
        raise ValueError(f"{raw!r} is a name only the start of a server can look up; write fd://3")
    return bind


def parse_written_bind(raw: object) -> Bind | NamedBind:
    """The address `raw` names; raises ValueError saying what is wrong with it and what would be right."""
    if not isinstance(raw, str):
        raise ValueError(f"{raw!r} is not an address; {FORMS}")
    text = raw.strip()
    if text.startswith("unix:"):
        return parse_unix(text)
    if text.startswith("fd:"):
        return parse_fd(text)
    if "://" in text:
        raise ValueError(f"{text!r} looks like a URL, not an address; {FORMS}")
    return parse_tcp(text)


def parse_unix(text: str) -> UnixBind:
    """`unix:/path`, `unix:relative/path` or `unix:@name`; `unix:///path` means the same as `unix:/path`."""
    path = text.removeprefix("unix:")
    if path.startswith("//"):
        path = path[2:]
    if path in ("", "@", "/"):
        raise ValueError(f"{text!r} names no socket; write unix:/run/drawbar.sock")
    if "\0" in path:
        raise ValueError(f"{text!r} holds a NUL; write unix:/run/drawbar.sock")
    size = len(path.encode("utf-8", "surrogateescape"))
    if size > UNIX_PATH_BYTES:
        raise ValueError(f"{text!r} is {size} bytes long; the system allows {UNIX_PATH_BYTES}")
    return UnixBind(path)


def parse_fd(text: str) -> FdBind | NamedBind:
    """`fd://3`, or `fd://web` for the sockets of that name; `fd:3` means the same as `fd://3`."""
    name = text.removeprefix("fd:").removeprefix("//")
    if is_decimal(name):
        return FdBind(int(name))
    # sd_listen_fds(3): a name is made of printable ASCII characters without the colon that stands between names.
    if not name or not name.isascii() or not name.isprintable() or name[0] in "+-.0123456789" or set(name) & set(" :/"):
        raise ValueError(f"{text!r} names no file descriptor; write fd://3, or fd://NAME for a socket unit's")
    return NamedBind(name)


def parse_tcp(text: str) -> TcpBind:
    """`host:port`, the host in brackets when it holds colons, or empty for every address."""
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or not rest.startswith(":") or ":" not in host:
            raise ValueError(f"{text!r} is not an IPv6 address and port; write [::1]:8000")
        return TcpBind(host, parse_port(rest[1:], text))
    host, colon, port = text.rpartition(":")
    if not colon:
        right = f"write :{text}" if is_decimal(text) else f"write {text or '127.0.0.1'}:8000"
        raise ValueError(f"{text!r} has no port; {right}")
    if ":" in host:
        raise ValueError(f"{text!r} has more than one colon; write an IPv6 address as [::1]:8000")
    if any(character.isspace() or character in "/@" for character in host):
        raise ValueError(f"{text!r} has no valid host name; {FORMS}")
    return TcpBind("" if host == "*" else host, parse_port(port, text))


def parse_port(digits: str, text: str) -> int:
    """A port from 0 (the system chooses) to 65535."""
    if not is_decimal(digits) or int(digits) > 65_535:
        raise ValueError(f"{text!r} has no valid port; write a number from 0 to 65535 after the last colon")
    return int(digits)


def is_loopback(host: str) -> bool:
    """Nobody on another machine gets there. A name that only begins so may be anybody's: 127.0.0.1.example.org."""
    return host in ("localhost", "::1") or (host.startswith("127.") and set(host) <= set("0123456789."))


def is_decimal(digits: str) -> bool:
    """Whether `digits` are one to nine ASCII digits."""
    return 0 < len(digits) < 10 and digits.isascii() and digits.isdigit()


BIND = Kind("ADDRESS", "`HOST:PORT`, `[IPV6]:PORT`, `:PORT`, `unix:/path`, `fd://N` or `fd://NAME`", parse_written_bind)
BindAddress = Annotated[Bind, BIND]
