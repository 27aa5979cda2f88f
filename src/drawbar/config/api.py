"""[api]: where workers pull from."""

from collections.abc import Iterator
from typing import Annotated, ClassVar

from msgspec import Meta

from drawbar.config.binds import Bind, BindAddress, TcpBind, UnixBind, is_loopback
from drawbar.config.kinds import Hint, Path, Size
from drawbar.config.limits import GIB, KIB, MIB
from drawbar.config.section import OF_FRONTS, Conflict, Section
from drawbar.config.server import MODE


class ApiConfig(Section, frozen=True, kw_only=True):
    """Where workers pull requests from, and who may."""

    OPTION: ClassVar[str] = "api-{}"
    COMMANDS: ClassVar[tuple[str, ...]] = OF_FRONTS

    bind: Annotated[
        tuple[BindAddress, ...],
        Meta(
            description="Addresses of the API, by default 127.0.0.1:4242; others than this machine's need a token file."
        ),
        Hint(option="api"),
    ] = ()
    unix_mode: Annotated[
        Annotated[int, MODE],
        Meta(description="Permissions of the API's Unix sockets: whoever may write to one answers for the site."),
    ] = 0o600
    token_file: Annotated[
        Path | None,
        Meta(description="File of the tokens workers show: on each line one, then its applications or `*`."),
    ] = None
    cert_file: Annotated[
        Path | None,
        Meta(
            description="Certificate (PEM) of the API, with those that vouch for it: its TCP addresses then speak TLS "
            "1.2 or newer. Read anew at a reload."
        ),
    ] = None
    key_file: Annotated[
        Path | None,
        Meta(description="Private key (PEM) of that certificate, without a password; unset is in the same file."),
    ] = None
    client_ca_file: Annotated[
        Path | None,
        Meta(
            description="Certificates (PEM) one of which must vouch for the certificate that every worker then shows."
        ),
        Hint(option="api-client-ca"),
    ] = None
    polls: Annotated[
        int,
        Meta(ge=1, le=1_000_000, description="Workers that wait for a request on the polling lanes."),
        Hint(past="503 to the worker"),
    ] = 10_000
    attached: Annotated[
        int,
        Meta(ge=1, le=1_000_000, description="Connections that workers hold on the attach lane, idle or not."),
        Hint(past="503 to the worker, which tries again"),
    ] = 10_000
    body_bytes: Annotated[
        Size,
        Meta(ge=KIB, le=1024 * GIB, description="A request or response as JSON, which has it whole."),
        Hint(past="413 to the worker, and 502 to the client"),
    ] = 16 * MIB

    def conflicts(self) -> Iterator[Conflict]:
        """Whoever reaches the API answers for the site: nobody but this machine does without a token."""
        exposed = [str(bind) for bind in self.bind if not is_of_this_machine(bind)]
        if exposed and self.token_file is None:
            why = f"{exposed[0]} can be reached from other machines, and whoever reaches the API answers for the site"
            yield Conflict(("bind", "token_file"), f"{why}; write --api-token-file PATH, or listen on 127.0.0.1")
        if self.cert_file is None:
            if self.key_file is not None:
                yield Conflict(("key_file", "cert_file"), "a key without its certificate; write --api-cert-file PATH")
            if self.client_ca_file is not None:
                why = "certificates of workers are seen by TLS only"
                yield Conflict(("client_ca_file", "cert_file"), f"{why}; write --api-cert-file PATH")


def is_of_this_machine(bind: Bind) -> bool:
    """Nobody on another machine gets there. What a descriptor leads to is known only when it is open."""
    if isinstance(bind, UnixBind):
        return True
    return isinstance(bind, TcpBind) and is_loopback(bind.host)
