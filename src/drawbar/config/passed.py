"""Sockets that the service manager opened for us: sd_listen_fds(3).

Pure: environment in, values out; no descriptor is touched. LISTEN_PID says for whom the variables are meant, so that a
process which merely inherited them does not take another's sockets.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from drawbar.config.binds import Bind, FdBind, NamedBind
from drawbar.config.errors import OperatorError

FIRST_FD: Final = 3
"""SD_LISTEN_FDS_START: behind the three standard streams."""

MAX_FDS: Final = 1024
"""More sockets than a unit has; a larger number is a mistake, and nothing is taken."""

UNNAMED: Final = "unknown"
"""What a socket is called whose unit says nothing (sd_listen_fds_with_names(3))."""


class Passed(msgspec.Struct, frozen=True):
    """One socket: its descriptor, and the name its unit gives it."""

    fd: int
    name: str = UNNAMED

    def __str__(self) -> str:
        return f"fd://{self.fd}" + (f" ({self.name})" if self.name != UNNAMED else "")


def passed_sockets(environ: Mapping[str, str], pid: int) -> tuple[Passed, ...]:
    """The sockets that process `pid` was given, in order."""
    if environ.get("LISTEN_PID") != str(pid):
        return ()
    digits = environ.get("LISTEN_FDS", "")
    if not (digits.isascii() and digits.isdecimal() and 0 < int(digits) <= MAX_FDS):
        return ()
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    return tuple(
        Passed(FIRST_FD + index, (names[index] if index < len(names) else "") or UNNAMED)
        for index in range(int(digits))
    )


def with_numbers(binds: Iterable[Bind | NamedBind], passed: tuple[Passed, ...], place: str) -> Iterator[Bind]:
    """The binds with the descriptors that names stand for; sockets of one unit share a name, so it may be several.

    Raises OperatorError, which names `place`, for a name that no socket has.
    """
    for bind in binds:
        if not isinstance(bind, NamedBind):
            yield bind
            continue
        found = [FdBind(socket.fd) for socket in passed if socket.name == bind.name]
        if not found:
            have = ", ".join(sorted({socket.name for socket in passed}))
            right = f"sockets are passed under: {have}" if passed else "the service manager has passed none"
            raise OperatorError(f"no socket is called {bind.name!r}", where=f"{place}: {bind}", right=right)
        yield from found


def left_over(passed: tuple[Passed, ...], binds: Iterable[Bind]) -> str:
    """A note on the sockets that were passed and are not listened on; "" when there are none."""
    used = {bind.fd for bind in binds if isinstance(bind, FdBind)}
    left = [str(socket) for socket in passed if socket.fd not in used]
    return f"LISTEN_FDS: passed and not used, as other addresses are bound: {', '.join(left)}" if left else ""
