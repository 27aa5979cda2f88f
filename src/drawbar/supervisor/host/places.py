"""Where a server is, and where it writes besides its sockets: made sure of at the start.

Asked once, by the process that becomes the master. Later a place may be lost; then lines or requests are, each with a
message, and the server stays.
"""

import contextlib
import functools
import os

import msgspec

from drawbar.config import Config, OperatorError
from drawbar.config.log import OFF, STANDARD
from drawbar.supervisor.host.privileges import hand_over_logs, require_inside


@functools.cache
def home() -> str:
    """The directory the server was started in, by the name its starter knew it by: noted at the first call.

    A shell's name for it (PWD, as POSIX has it) goes through symbolic links, and a deploy is often a link that is
    turned to another directory. The kernel knows the directory alone.
    """
    known_as = os.environ.get("PWD", "")
    try:
        present = os.getcwd()
        return known_as if os.path.isabs(known_as) and os.path.samefile(known_as, present) else present
    except FileNotFoundError:
        # Gone before the start, or what the variable says is.
        return known_as or os.curdir


def go_home() -> None:
    """Enters the directory the name of the start leads to now.

    When there is none the process stays where it is: what needs the directory will tell, and not everything does.
    """
    with contextlib.suppress(OSError):
        os.chdir(home())


def go_home_if_lost() -> None:
    """The same where the present directory has been deleted: another of its name may have taken its place."""
    try:
        os.getcwd()
    except FileNotFoundError:
        go_home()


def settle_places(config: Config) -> Config:
    """The configuration with absolute paths of logs and spill directory, which can be written, also by the workers.

    Raises OperatorError.
    """
    home()
    log, server, work = config.log, config.server, config.work
    if log.error not in (OFF, STANDARD):
        log = msgspec.structs.replace(log, error=os.path.abspath(log.error))
    if log.access not in (OFF, STANDARD):
        log = msgspec.structs.replace(log, access=_writable_file(log.access))
    if server.temp_dir is not None:
        server = msgspec.structs.replace(server, temp_dir=_writable_directory(server.temp_dir))
    paths = {name: getattr(work, name) for name in ("token_file", "ca_file", "cert_file", "key_file")}
    work = msgspec.structs.replace(work, **{name: os.path.abspath(path) for name, path in paths.items() if path})
    config = msgspec.structs.replace(config, log=log, server=server, work=work)
    require_inside(config)
    hand_over_logs(config)
    return config


def _writable_file(path: str) -> str:
    try:
        # As the worker will open it. O_NONBLOCK: a FIFO nobody reads is refused, not waited for.
        os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK, 0o640))
    except OSError as error:
        what = f"cannot write {path} ({error.strerror})"
        raise OperatorError(what, where="--access-log", right="write a path that can be opened, - or off") from error
    return os.path.abspath(path)


def _writable_directory(path: str) -> str:
    right = "name a directory that exists and can be written"
    try:
        os.stat(os.path.join(path, ""))
    except OSError as error:
        raise OperatorError(f"cannot use {path} ({error.strerror})", where="--temp-dir", right=right) from error
    if not os.access(path, os.W_OK | os.X_OK):
        raise OperatorError(f"cannot write to {path}", where="--temp-dir", right=right)
    return os.path.abspath(path)
