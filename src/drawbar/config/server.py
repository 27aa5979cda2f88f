"""[server]: listeners and processes."""

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta

from drawbar.config.binds import BindAddress, TcpBind
from drawbar.config.kinds import Hint, Kind, Path, parse_integer, parse_text
from drawbar.config.section import Conflict, Section

# A process per core is the use of more; beyond this it is a slip of the keyboard.
MAX_WORKERS = 1024


def parse_workers(raw: object) -> int | str:
    """A number of processes, or `auto`."""
    if isinstance(raw, str) and raw.strip().lower() == "auto":
        return "auto"
    try:
        workers = parse_integer(raw)
    except ValueError:
        workers = 0
    if not 1 <= workers <= MAX_WORKERS:
        raise ValueError(f"{raw!r} is not a number of workers; write one from 1 to {MAX_WORKERS}, or auto")
    return workers


def parse_mode(raw: object) -> int:
    """Permission bits as octal text. TOML's bare 660 would be another number than it looks, so only text is taken."""
    text = raw.strip().removeprefix("0o") if isinstance(raw, str) else ""
    if 3 <= len(text) <= 4 and not text.strip("01234567") and int(text, 8) <= 0o777:
        return int(text, 8)
    raise ValueError(f'{raw!r} is not a file mode; write octal digits in quotes such as "0660"')


def parse_owner(raw: object) -> str:
    """`user`, `user:group` or `:group`, by name or number; whether they exist is asked when the socket is made."""
    text = parse_text(raw).strip()
    user, _, group = text.partition(":")
    if not (user or group) or ":" in group or any(character.isspace() for character in text):
        raise ValueError(f"{raw!r} is not an owner; write user, user:group or :group")
    return text


def show_mode(mode: int) -> str:
    """Permission bits as four octal digits."""
    return f"{mode:04o}"


WORKERS = Kind("N|auto", f"a number from 1 to {MAX_WORKERS}, or `auto`", parse_workers)
MODE = Kind("MODE", 'octal digits in quotes, such as `"0660"`', parse_mode, show_mode)
OWNER = Kind("USER:GROUP", "`user`, `user:group` or `:group`", parse_owner)


class ServerConfig(Section, frozen=True, kw_only=True):
    """Listeners and processes."""

    bind: Annotated[
        tuple[BindAddress, ...],
        Meta(description="Addresses to listen on. `:PORT` is every address, IPv6 and IPv4; port 0 any free one."),
    ] = (TcpBind("127.0.0.1", 8000),)
    backlog: Annotated[
        int,
        Meta(ge=1, le=65_535, description="Connections the kernel holds until they are accepted."),
        Hint(past="the kernel drops the handshake and the client tries again"),
    ] = 2048
    unix_mode: Annotated[
        Annotated[int, MODE] | None,
        Meta(description="Permissions of Unix sockets; unset leaves them to the umask."),
    ] = None
    unix_owner: Annotated[
        Annotated[str, OWNER] | None,
        Meta(description="Owner of Unix sockets; unset leaves them to the user the server runs as."),
    ] = None
    workers: Annotated[
        int | Literal["auto"],
        WORKERS,
        Meta(description="Worker processes; `auto` is one for each core the server may run on."),
        Hint(fallback="WEB_CONCURRENCY"),
    ] = 1
    split: Annotated[
        bool,
        Meta(
            description="Serves clients from a process of its own, the front, and the application from workers behind "
            "it: a worker that dies costs no request that can be run again, and nobody waits while a worker has room."
        ),
    ] = False
    reload: Annotated[bool, Meta(description="Restart the workers when a source file changes.")] = False
    reload_dirs: Annotated[
        tuple[Path, ...],
        Meta(description="Directories to watch for changes; none given is the application's directory."),
        Hint(option="reload-dir"),
    ] = ()
    server_header: Annotated[str, Meta(description="The Server field of responses; empty sends none.")] = "drawbar"
    server_timing: Annotated[
        bool,
        Meta(description="Say in each response how long its request waited, and how long the application took."),
    ] = False
    temp_dir: Annotated[
        Path | None,
        Meta(description="Where large bodies spill to unlinked files; unset is the system's (TMPDIR, else /tmp)."),
    ] = None

    def conflicts(self) -> Iterator[Conflict]:
        """An address can be listened on once; port 0 is another one each time."""
        fixed = [bind for bind in self.bind if not (isinstance(bind, TcpBind) and bind.port == 0)]
        for bind in sorted({str(bind) for bind in fixed if fixed.count(bind) > 1}):
            yield Conflict(("bind",), f"{bind} is listed twice")
        if not self.bind:
            yield Conflict(("bind",), "the list is empty; give at least one address such as 127.0.0.1:8000")

    def worker_count(self, cores: int) -> int:
        """The number of worker processes on a machine that gives this server `cores` cores."""
        return max(1, cores) if self.workers == "auto" else self.workers
