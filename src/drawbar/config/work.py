"""[work]: the fronts a worker takes its requests from (`drawbar work`)."""

from collections.abc import Iterator
from typing import Annotated, ClassVar

from msgspec import Meta

from drawbar.config.fronts import FrontAddress
from drawbar.config.kinds import Hint, Path, Seconds
from drawbar.config.names import NAME
from drawbar.config.section import Conflict, Section

MAX_SLOTS = 10_000
"""Each is a connection: beyond this it is a slip of the keyboard."""


class WorkConfig(Section, frozen=True, kw_only=True):
    """The fronts that `drawbar work` takes requests from."""

    COMMANDS: ClassVar[tuple[str, ...]] = ("work", "check")

    front: Annotated[
        tuple[FrontAddress, ...],
        Meta(description="The API of the front; each one that is named gets as many connections as there are slots."),
        Hint(option="from"),
    ] = ()
    app: Annotated[
        Annotated[str, NAME],
        Meta(description="Name of the application, as the front knows it; `app` is that of a front with only one."),
    ] = "app"
    label: Annotated[
        Annotated[str, NAME] | None,
        Meta(description="What tells these workers from others of the same app, such as a version."),
    ] = None
    slots: Annotated[
        int,
        Meta(
            ge=0,
            le=MAX_SLOTS,
            description="Requests of one worker at once, WebSockets counted: a connection to each front for each. `0` "
            "is what the worker can run at once: its threads, `max_concurrency`, or 100 for tasks and greenlets.",
        ),
    ] = 0
    token_file: Annotated[
        Path | None,
        Meta(description="File that holds the token for the front, read for each connection by the workers' user."),
    ] = None
    ca_file: Annotated[
        Path | None,
        Meta(description="Certificates (PEM) that vouch for an `https` front; unset are the system's."),
        Hint(option="from-ca"),
    ] = None
    cert_file: Annotated[
        Path | None,
        Meta(description="Certificate (PEM) shown to an `https` front, with those that vouch for it."),
        Hint(option="from-cert"),
    ] = None
    key_file: Annotated[
        Path | None,
        Meta(description="Private key (PEM) of that certificate; unset is in the same file."),
        Hint(option="from-key"),
    ] = None
    dial_timeout: Annotated[
        Seconds,
        Meta(ge=0.1, le=600, description="For one attempt to connect, TLS and the front's answer included."),
        Hint(past="it has failed and is made again later"),
    ] = 10.0
    vanish_timeout: Annotated[
        Seconds,
        Meta(
            ge=3,
            le=86_400,
            description="For the machine of a front that answers nothing, not even the kernel's probes (TCP "
            "keep-alive).",
        ),
        Hint(past="the connection is lost, and made again"),
    ] = 30.0

    def conflicts(self) -> Iterator[Conflict]:
        """A front is dialled as often as there are slots, and a key is one to a certificate."""
        for front in sorted({str(front) for front in self.front if self.front.count(front) > 1}):
            yield Conflict(("front",), f"{front} is listed twice; --slots says how many connections it gets")
        if self.key_file is not None and self.cert_file is None:
            yield Conflict(("key_file", "cert_file"), "a key without its certificate; write --from-cert PATH")
