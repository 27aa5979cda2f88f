"""What the log says of requests that were refused and of applications that failed: pure functions to one line each.

Everything a client sent is escaped and cut, so a line is one line, of bounded length, and cannot pass for another.
"""

from __future__ import annotations

from typing import Final

from drawbar.exchange.seen import Address, Asked

SHOWN_BYTES: Final = 120
"""Of a client's bytes in a line, before escaping; the rest is left out, and said to be."""

MESSAGE_CHARACTERS: Final = 400
"""Of an exception's text in a line; the traceback has all of it."""

_CONTROLS: Final = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160))}


def _peer(address: Address | None) -> str:
    if address is None:
        return "a Unix socket"
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _shown(text: str, most: int) -> str:
    """Escaped, and cut when long."""
    cut = text[:most].translate(_CONTROLS)
    return cut if len(text) <= most else f"{cut}... ({len(text)} characters)"


def refusal_line(peer: Address | None, status: int, why: str, offending: bytes) -> str:
    """`400 from 127.0.0.1:53412: a line ends with a bare LF; near b"..."`: who was answered what, and for what."""
    line = f"{status} from {_peer(peer)}: {why}"
    if not offending:
        return line
    rest = len(offending) - SHOWN_BYTES
    return f"{line}; near {offending[:SHOWN_BYTES]!r}" + (f" and {rest} bytes more" if rest > 0 else "")


def app_error_line(exchange: Asked, error: BaseException) -> str:
    """`GET /path from 127.0.0.1:53412: ValueError: no such thing`. The traceback is for the caller to log."""
    return f"{request_line(exchange)}: {describe(error)}"


def request_line(exchange: Asked) -> str:
    """`GET /path from 127.0.0.1:53412`: whose request a line is about."""
    request = f"{exchange.method} {_shown(exchange.target, SHOWN_BYTES)}".strip() or "a request"
    return f"{request} from {_peer(exchange.remote)}"


def describe(error: BaseException) -> str:
    """The exception's type and text in one line; an exception that cannot be shown is no reason to fail."""
    try:
        text = str(error)
    except Exception as broken:
        text = f"(its text cannot be had: {type(broken).__name__})"
    name = type(error).__qualname__
    return f"{name}: {_shown(text, MESSAGE_CHARACTERS)}" if text else name
