"""Where a server writes besides its sockets: made sure of at the start, and independent of the directory it changes to.

Asked once, by the process that becomes the master. Later a place may be lost; then lines or requests are, each with a
message, and the server stays.
"""

import os

import msgspec

from drawbar.config import Config, OperatorError
from drawbar.config.log import OFF, STANDARD
from drawbar.supervisor.privileges import hand_over_logs, require_inside


def settle_places(config: Config) -> Config:
    """The configuration with absolute paths of logs and spill directory, which can be written, also by the workers.

    Raises OperatorError.
    """
    log, server = config.log, config.server
    if log.error not in (OFF, STANDARD):
        log = msgspec.structs.replace(log, error=os.path.abspath(log.error))
    if log.access not in (OFF, STANDARD):
        log = msgspec.structs.replace(log, access=_writable_file(log.access))
    if server.temp_dir is not None:
        server = msgspec.structs.replace(server, temp_dir=_writable_directory(server.temp_dir))
    config = msgspec.structs.replace(config, log=log, server=server)
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
