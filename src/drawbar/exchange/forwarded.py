"""Who the client is behind proxies: Forwarded (RFC 7239) and X-Forwarded-*, believed from listed peers only.

Pure functions over text. A list of proxies is read from its right end, where the nearest proxy wrote, and only as far
as trusted addresses go: everything further left may be the client's invention.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton
from typing import NamedTuple

Address = tuple[str, int]


class Client(NamedTuple):
    """What an app is told about the client. `None` for host, port and prefix: as the request and its connection say."""

    address: Address | None
    scheme: str
    host: str | None
    port: int | None
    prefix: str | None


class Proxies:
    """Peers whose word is believed, and in which fields.

    contains: whether an address in network byte order is a trusted proxy's; None is a peer on a Unix socket.
    fields: lower-case names of what those peers always set themselves; a field that is not among them passes through a
    proxy as its client wrote it, so it is believed no more than the client.
    known: clients by what was said of them, for `behind`, which bounds it.
    """

    def __init__(self, contains: Callable[[bytes | None], bool], fields: Iterable[str]) -> None:
        self._contains = contains
        self.fields = frozenset(fields)
        self.known: dict[bytes, Client] = {}

    def trusts(self, host: str | None) -> bool:
        """Whether a peer at that address is a trusted proxy; None is a peer on a Unix socket."""
        if host is None:
            return self._contains(None)
        packed = _pack(host)
        return packed is not None and self._contains(packed)


def _pack(text: str) -> bytes | None:
    """An address in network byte order; None when it is none."""
    try:
        return inet_pton(AF_INET6 if ":" in text else AF_INET, text)
    except (OSError, ValueError):
        return None


def _nodes(values: Sequence[str]) -> list[str]:
    return [node.strip() for value in values for node in value.split(",") if node.strip()]


def _parse_node(node: str) -> Address | None:
    """`1.2.3.4`, `1.2.3.4:5`, `[::1]:5`, `::1`; None for `unknown`, `_hidden` and anything else."""
    text = node.strip().strip('"')
    port = 0
    if text.startswith("["):
        text, _, rest = text[1:].partition("]")
        if rest.startswith(":") and _is_decimal(rest[1:]):
            port = int(rest[1:])
    elif text.count(":") == 1:
        text, _, rest = text.partition(":")
        port = int(rest) if _is_decimal(rest) else 0
    packed = _pack(text)
    if packed is None:
        return None
    return inet_ntop(AF_INET if len(packed) == 4 else AF_INET6, packed), port if port < 65_536 else 0


def _rightmost_untrusted(nodes: Sequence[str], peer: Address | None, proxies: Proxies) -> Address | None:
    """The first address from the right that is no trusted proxy; the leftmost one when all are."""
    found = peer
    for node in reversed(nodes):
        address = _parse_node(node)
        if address is None:
            return found
        found = address
        if not proxies.trusts(address[0]):
            return found
    return found


# RFC 7239 section 4: forwarded-pair = token "=" value; value = token / quoted-string
_PAIR = re.compile(r'\s*([!#$%&\'*+.^_`|~\w-]+)=(?:"((?:[^"\\]|\\.)*)"|([^;,"\s]*))\s*')


def _split(text: str, separator: str) -> list[str]:
    """Text between separators that an even number of quotes follows: a client's unpaired one to the left ends before
    what the nearest proxy wrote. In one pass, as a client may write a head full of separators."""
    quoted = text.split('"')
    elements: list[list[str]] = [[]]
    for left, part in enumerate(quoted, 1 - len(quoted)):
        first, *others = [part] if left % 2 else part.split(separator)
        elements[-1].append(first)
        elements += [[other] for other in others]
        if left:
            elements[-1].append('"')
    return ["".join(parts) for parts in elements]


def _parse_forwarded(values: Sequence[str]) -> list[dict[str, str]]:
    elements: list[dict[str, str]] = []
    for value in values:
        for element in _split(value, ","):
            matches = [match for pair in _split(element, ";") if (match := _PAIR.fullmatch(pair))]
            pairs = {
                match[1].lower(): re.sub(r"\\(.)", r"\1", match[2]) if match[2] is not None else match[3]
                for match in matches
            }
            if pairs:
                elements.append(pairs)
    return elements


def _scheme(text: str | None, otherwise: str) -> str:
    word = (text or "").strip().lower()
    return {"http": "http", "https": "https", "ws": "http", "wss": "https"}.get(word, otherwise)


def _last(values: Sequence[str]) -> str | None:
    """What the nearest proxy said."""
    nodes = _nodes(values)
    return nodes[-1] if nodes else None


_HOST = re.compile(r"(?:[A-Za-z0-9._~%!$&'()*+,;=-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?\Z")


def _host(text: str | None) -> str | None:
    return text if text and _HOST.match(text) else None


PORT_DIGITS = 5
DEFAULT_PORTS = {"http": 80, "https": 443}


# RFC 9110 section 4.2.1: "If the port subcomponent is empty or not given, TCP port 80 (the reserved port for WWW
# services) is the default", and 443 in section 4.2.2.
def _port(said: str | None, host: str | None, scheme: str, ours: str) -> int | None:
    """The port that the client asked for; None: that of the connection, as nothing was said that contradicts it."""
    for text in (said or "", (host or "").rpartition("]")[2].partition(":")[2]):
        if _is_decimal(text) and 0 < int(text) < 65_536:
            return int(text)
    return DEFAULT_PORTS[scheme] if host is not None or scheme != ours else None


def client_of(peer: Address | None, scheme: str, proxies: Proxies, fields: dict[str, list[str]]) -> Client:
    """The client a trusted `peer` speaks for.

    fields: values by lower-case name of `forwarded` and the `x-forwarded-*` fields of the request. `Forwarded`, when
    it is there, wins over all of them: mixing both lets a client complete one with the other.
    """
    fields = {name: values for name, values in fields.items() if name in proxies.fields}
    forwarded = _parse_forwarded(fields.get("forwarded", ()))
    if forwarded:
        address = _rightmost_untrusted([element.get("for", "unknown") for element in forwarded], peer, proxies)
        nearest = forwarded[-1]
        host = _host(nearest.get("host"))
        used = _scheme(nearest.get("proto"), scheme)
        return Client(address, used, host, _port(None, host, used, scheme), None)
    address = _rightmost_untrusted(_nodes(fields.get("x-forwarded-for", ())), peer, proxies)
    host = _host(_last(fields.get("x-forwarded-host", ())))
    used = _scheme(_last(fields.get("x-forwarded-proto", ())), scheme)
    port = _last(fields.get("x-forwarded-port", ()))
    prefix = _last(fields.get("x-forwarded-prefix", ()))
    return Client(
        address,
        used,
        host,
        _port(port, host, used, scheme),
        prefix.rstrip("/") if prefix and prefix.startswith("/") else None,
    )


def _is_decimal(text: str) -> bool:
    """ASCII digits alone, as many as a port has: a superscript is a digit to str.isdigit() and none to int(), which
    raises at thousands of digits as well."""
    return len(text) <= PORT_DIGITS and text.isascii() and text.isdigit()
