"""[process]: as whom and where the processes run."""

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from drawbar.config.kinds import TEXT, Kind, Path
from drawbar.config.section import Conflict, Section


def parse_umask(raw: object) -> int:
    """Bits a new file does not get, as octal text. TOML's bare 22 would be another number than it looks."""
    text = raw.strip().removeprefix("0o") if isinstance(raw, str) else ""
    if 1 <= len(text) <= 4 and not text.strip("01234567") and int(text, 8) <= 0o777:
        return int(text, 8)
    raise ValueError(f'{raw!r} is not a umask; write octal digits in quotes such as "022"')


def show_umask(mask: int) -> str:
    """Three octal digits."""
    return f"{mask:03o}"


UMASK = Kind("MASK", 'octal digits in quotes, such as `"022"`', parse_umask, show_umask)


class ProcessConfig(Section, frozen=True, kw_only=True):
    """As whom and where the processes run."""

    user: Annotated[
        Annotated[str, TEXT] | None,
        Meta(
            description="User the workers run as, by name or number. The master stays who it is and runs no code of "
            "the application."
        ),
    ] = None
    group: Annotated[
        Annotated[str, TEXT] | None,
        Meta(description="Group the workers run as; unset is the user's own, with the others the user is in."),
    ] = None
    chroot: Annotated[
        Path | None, Meta(description="Directory that becomes the workers' root; what they import must lie in it.")
    ] = None
    umask: Annotated[
        Annotated[int, UMASK] | None,
        Meta(description="Permissions that files and sockets made by master and workers do not get."),
    ] = None
    pid_file: Annotated[
        Path | None,
        Meta(description="File that holds the master's process id while it runs; a running server's is not replaced."),
    ] = None
    daemonize: Annotated[
        bool, Meta(description="Detach from the terminal; the command returns when the server serves.")
    ] = False
    inetd: Annotated[
        bool, Meta(description="Serve the one connection on standard input and output, then end (inetd, socket units).")
    ] = False

    def conflicts(self) -> Iterator[Conflict]:
        """One connection needs no daemon and has no master."""
        if self.inetd and self.daemonize:
            yield Conflict(("inetd", "daemonize"), "whoever passes a connection waits for its process to end")
        if self.inetd and self.pid_file is not None:
            yield Conflict(("inetd", "pid_file"), "there is a process for each connection, and no master to name")
