"""Where fronts are: http://HOST:PORT, https://HOST:PORT or unix:/path.

Pure text to value and back. The port is not guessed: the API of a front listens apart from its site, and neither 80
nor its default is where it usually is seen from outside.
"""

import re
from typing import Annotated, Final

import msgspec

from drawbar.config.kinds import Kind

FORMS: Final = "write http://HOST:PORT, https://HOST:PORT or unix:/path"

TCP: Final = re.compile(r"(https?)://(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::(\d{1,5}))?/?")
"""RFC 3986 section 3.2 without user and with names of hosts as DNS has them."""


class FrontUrl(msgspec.Struct, frozen=True):
    """One front's API: `scheme` is http, https or unix; of a Unix socket `host` is the path and `port` 0."""

    scheme: str
    host: str
    port: int = 0

    @property
    def authority(self) -> str:
        """What stands in the Host field (RFC 9110 section 7.2)."""
        if self.scheme == "unix":
            return "localhost"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __str__(self) -> str:
        return f"unix:{self.host}" if self.scheme == "unix" else f"{self.scheme}://{self.authority}"


def parse_front(raw: object) -> FrontUrl:
    """The front `raw` names; raises ValueError saying what is wrong and what would be right."""
    text = raw.strip() if isinstance(raw, str) else ""
    if text.startswith("unix:"):
        path = text.removeprefix("unix:")
        if not path or "\0" in path:
            raise ValueError(f"{raw!r} names no socket; {FORMS}")
        return FrontUrl("unix", path)
    match = TCP.fullmatch(text)
    if match is None:
        raise ValueError(f"{raw!r} is not the address of a front; {FORMS}")
    scheme, host, port = match[1], match[2] or match[3], int(match[4] or 0)
    if not 0 < port < 65_536:
        raise ValueError(f"{raw!r} names no port; write the API's, such as {scheme}://{host}:4242")
    return FrontUrl(scheme, host, port)


FRONT = Kind("URL", "`http://HOST:PORT`, `https://HOST:PORT` or `unix:/path`", parse_front)
FrontAddress = Annotated[FrontUrl, FRONT]
