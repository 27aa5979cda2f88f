"""[proxy]: whose word is taken for the client's address and scheme."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from drawbar.config.kinds import Hint
from drawbar.config.networks import TrustedPeer
from drawbar.config.section import Conflict, Section

ForwardedHeader = Literal[
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
]


class ProxyConfig(Section, frozen=True, kw_only=True):
    """Whose word is taken for the client's address and scheme."""

    OPTION: ClassVar[str] = "proxy-{}"

    trusted: Annotated[
        tuple[TrustedPeer, ...],
        Meta(description="Proxies whose forwarding headers are believed; `unix` is any Unix peer, `*` everyone."),
        Hint(option="trusted-proxies"),
    ] = ()
    # A proxy that sets one of these passes the others on as the client wrote them, so only what it sets may be listed.
    headers: Annotated[
        tuple[ForwardedHeader, ...],
        Meta(description="Headers believed from a trusted proxy: list only those it always sets itself."),
    ] = ("x-forwarded-for", "x-forwarded-proto")
    protocol: Annotated[
        bool,
        Meta(description="Trusted proxies begin each connection with a PROXY header (version 1 or 2)."),
        Hint(option="proxy-protocol"),
    ] = False

    def conflicts(self) -> Iterator[Conflict]:
        """Two accounts of the same fact are one too many."""
        if "forwarded" in self.headers and len(self.headers) > 1:
            yield Conflict(("headers",), "forwarded and x-forwarded-* state the same facts; list one or the other")
        if self.protocol and not self.trusted:
            yield Conflict(("protocol", "trusted"), "no proxy is trusted to send a PROXY header")
