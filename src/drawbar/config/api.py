"""[api]: where workers pull from."""

from collections.abc import Iterator
from typing import Annotated, ClassVar

from msgspec import Meta

from drawbar.config.binds import Bind, BindAddress, TcpBind, UnixBind, is_loopback
from drawbar.config.kinds import Hint, Path, Seconds, Size
from drawbar.config.limits import GIB, KIB, MIB
from drawbar.config.section import OF_FRONTS, Conflict, Section


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
    token_file: Annotated[
        Path | None,
        Meta(description="File of the tokens workers show: on each line one, then its applications or `*`."),
    ] = None
    certificate: Annotated[
        Path | None,
        Meta(description="PEM file with the API's certificate chain; with it the API speaks TLS."),
    ] = None
    key: Annotated[Path | None, Meta(description="PEM file with the private key of the certificate.")] = None
    client_ca: Annotated[
        Path | None,
        Meta(description="PEM file with the authorities whose certificates workers must show."),
        Hint(option="api-client-ca"),
    ] = None
    polls: Annotated[
        int,
        Meta(ge=1, le=1_000_000, description="Workers that wait for a request on the polling lanes."),
        Hint(past="503 to the worker"),
    ] = 10_000
    body_bytes: Annotated[
        Size,
        Meta(ge=KIB, le=1024 * GIB, description="A response that comes as JSON."),
        Hint(past="413 to the worker, and 502 to the client"),
    ] = 64 * MIB
    worker_timeout: Annotated[
        Seconds,
        Meta(
            ge=1,
            le=3600,
            description="For how long a worker's machine may be silent before its connections are given up.",
        ),
    ] = 15.0

    def conflicts(self) -> Iterator[Conflict]:
        """Whoever reaches the API answers for the site: nobody but this machine does without a token."""
        exposed = [str(bind) for bind in self.bind if not is_of_this_machine(bind)]
        if exposed and self.token_file is None:
            why = f"{exposed[0]} can be reached from other machines, and whoever reaches the API answers for the site"
            yield Conflict(("bind", "token_file"), f"{why}; write --api-token-file PATH, or listen on 127.0.0.1")
        if self.key is not None and self.certificate is None:
            yield Conflict(("key", "certificate"), "a key without its certificate; write --api-certificate PATH")
        if self.client_ca is not None and self.certificate is None:
            yield Conflict(("client_ca", "certificate"), "only over TLS do workers show certificates")


def is_of_this_machine(bind: Bind) -> bool:
    """Nobody on another machine gets there. What a descriptor leads to is known only when it is open."""
    if isinstance(bind, UnixBind):
        return True
    return isinstance(bind, TcpBind) and is_loopback(bind.host)
