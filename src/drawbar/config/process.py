"""[process]: as whom and where the processes run."""

from collections.abc import Iterator
from typing import Annotated

from msgspec import Meta

from drawbar.config.kinds import TEXT, Hint, Kind, Path, Size
from drawbar.config.limits import MIB, PIB
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
    memory: Annotated[
        Size | None,
        Meta(
            ge=16 * MIB,
            le=PIB,
            description="Memory a worker may take, its heap and all else that is its own to write (RLIMIT_DATA). "
            "Address space that is only reserved does not count.",
        ),
        Hint(option="limit-memory", past="the worker gets no more: MemoryError in Python"),
    ] = None
    open_files: Annotated[
        int | None,
        Meta(ge=64, le=1 << 30, description="Files and sockets a worker may have open (RLIMIT_NOFILE)."),
        Hint(option="limit-open-files", past="accepting pauses, opening fails"),
    ] = None
    processes: Annotated[
        int | None,
        Meta(
            ge=1,
            le=1 << 22,
            description="Processes and threads that a worker's user may have in all (RLIMIT_NPROC); root is not bound.",
        ),
        Hint(option="limit-processes", past="no process or thread can be started"),
    ] = None
    nice: Annotated[
        int | None,
        Meta(ge=-20, le=19, description="How readily the workers leave the processor to others: 19 most, -20 least."),
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
