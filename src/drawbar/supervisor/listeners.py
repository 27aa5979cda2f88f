"""Listening sockets: made from binds before any worker, held by the master, removed at the end.

Whatever can be wrong here is the operator's to mend, so each failure is an OperatorError that names the bind and the
way out. The sockets are close-on-exec and non-blocking; workers get them through fork.

A Unix socket's file is replaced only if nothing answers on it, and removed at the end only if it is still the file we
made: a successor may have taken the name meanwhile.
"""

import errno
import os
import socket
import stat
from collections.abc import Callable, Iterator
from typing import Any

from msgspec import Struct

from drawbar.config import Bind, Config, FdBind, OperatorError, TcpBind, UnixBind

Address = tuple[Any, ...]
"""Host and port, and for IPv6 flow label and scope: as getaddrinfo gives it and bind takes it."""

_KEEP = -1
"""Means "leave as it is" to chown(2)."""


class Made(Struct):
    """A socket file of ours: `identity` tells it from another of the same name."""

    path: str
    identity: tuple[int, int]


class Listeners:
    """All listening sockets of a server. Raises OperatorError for the first bind that cannot be had, and keeps none."""

    def __init__(self, config: Config) -> None:
        self.sockets: list[socket.socket] = []
        self._made: list[Made] = []
        try:
            for bind in config.server.bind:
                self._open(bind, config)
        except BaseException:
            self.close()
            raise

    def addresses(self) -> list[str]:
        """Where to reach the server, as a person would type it."""
        return [address_of(listener) for listener in self.sockets]

    def close(self) -> None:
        """Closes the sockets and removes their files."""
        for made in self._made:
            if _identity(made.path) == made.identity:
                os.unlink(made.path)
        for listener in self.sockets:
            listener.close()
        self._made, self.sockets = [], []

    def _open(self, bind: Bind, config: Config) -> None:
        if isinstance(bind, TcpBind):
            self.sockets += listen_tcp(bind, config.server.backlog)
        elif isinstance(bind, FdBind):
            self.sockets.append(adopt(bind, config.server.backlog))
        else:
            listener, made = listen_unix(bind, config)
            self.sockets.append(listener)
            if made is not None:
                self._made.append(made)


def listen_tcp(bind: TcpBind, backlog: int) -> list[socket.socket]:
    """A listening socket for each address the host has; one for both families when it is "" (every address)."""
    if not bind.host and socket.has_dualstack_ipv6():
        return [_listen_tcp(bind, socket.AF_INET6, ("::", bind.port), backlog, dual=True)]
    listeners: list[socket.socket] = []
    port = bind.port
    try:
        for family, (host, _, *scope) in _resolve(bind):
            # With port 0 the first address gets any free port and the others the same one.
            listeners.append(_listen_tcp(bind, family, (host, port, *scope), backlog, dual=False))
            port = listeners[0].getsockname()[1]
    except BaseException:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def _resolve(bind: TcpBind) -> Iterator[tuple[socket.AddressFamily, Address]]:
    try:
        found = socket.getaddrinfo(bind.host or "0.0.0.0", bind.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        reason = error.strerror or str(error)
        right = "write an address of this machine, such as 127.0.0.1"
        raise OperatorError(f"the host name is not known ({reason})", where=f"--bind {bind}", right=right) from error
    yield from dict.fromkeys((family, address) for family, _, _, _, address in found)


def _listen_tcp(
    bind: TcpBind, family: socket.AddressFamily, address: Address, backlog: int, *, dual: bool
) -> socket.socket:
    def prepare(listener: socket.socket) -> None:
        # Connections of a predecessor in TIME_WAIT must not keep its port from us.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Linux hands it on to accepted sockets: one system call less for each connection.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual else 1)
        listener.bind(address)

    return _listen(bind, family, backlog, prepare)


def listen_unix(bind: UnixBind, config: Config) -> tuple[socket.socket, Made | None]:
    """A listening Unix socket, and its file unless the name is abstract (unix(7))."""
    if bind.path.startswith("@"):
        name = "\0" + bind.path[1:]
        return _listen(bind, socket.AF_UNIX, config.server.backlog, lambda listener: listener.bind(name)), None
    owner = _look_up(bind, config.server.unix_owner)
    # An absolute path still names the file after a change of directory.
    path = os.path.abspath(bind.path)
    _remove_stale(bind, path)
    made: list[Made] = []

    def prepare(listener: socket.socket) -> None:
        listener.bind(bind.path)
        made.append(Made(path, _identity(path) or (0, 0)))
        # Not listening yet: nobody has connected while the file had another owner or mode.
        if owner != (_KEEP, _KEEP):
            os.chown(path, *owner)
        if config.server.unix_mode is not None:
            os.chmod(path, config.server.unix_mode)

    try:
        return _listen(bind, socket.AF_UNIX, config.server.backlog, prepare), made[0]
    except BaseException:
        if made:
            os.unlink(path)
        raise


def _remove_stale(bind: UnixBind, path: str) -> None:
    """Clears the way of a socket file whose server is gone, and of nothing else."""
    try:
        mode = os.stat(path, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise _refusal(bind, error) from error
    if not stat.S_ISSOCK(mode):
        raise OperatorError("the file exists and is no socket", where=f"--bind {bind}", right="choose another path")
    if _answers(bind):
        right = "stop the server that listens on it or choose another path"
        raise OperatorError("a running server listens on it", where=f"--bind {bind}", right=right)
    try:
        os.unlink(path)
    except OSError as error:
        raise _refusal(bind, error) from error


def _answers(bind: UnixBind) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        # A live server with a full backlog would make connect(2) wait; non-blocking it says EAGAIN.
        probe.setblocking(False)
        # Only a refusal proves that nobody is there; any other error leaves it open, and the file alone.
        return probe.connect_ex(bind.path) not in (errno.ECONNREFUSED, errno.ENOENT)


def _look_up(bind: UnixBind, owner: str | None) -> tuple[int, int]:
    """User and group number of `user`, `user:group` or `:group`."""
    if owner is None:
        return _KEEP, _KEEP
    import grp  # Few servers need the two.
    import pwd

    user, _, group = owner.partition(":")
    try:
        uid = int(user) if user.isdecimal() else pwd.getpwnam(user).pw_uid if user else _KEEP
        gid = int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid if group else _KEEP
    except KeyError as error:
        what = f"there is no such user or group: {owner!r}"
        raise OperatorError(what, where=f"--unix-owner for {bind}", right="write user, user:group or :group") from error
    return uid, gid


def _listen(
    bind: TcpBind | UnixBind, family: socket.AddressFamily, backlog: int, prepare: Callable[[socket.socket], None]
) -> socket.socket:
    try:
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            prepare(listener)
            listener.listen(backlog)
            listener.setblocking(False)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        raise _refusal(bind, error) from error
    return listener


def _refusal(bind: Bind, error: OSError) -> OperatorError:
    """The operator's view of a failed bind."""
    where = f"--bind {bind}"
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno == errno.EADDRINUSE:
        return OperatorError("the address is in use", where=where, right="stop the other server or choose another port")
    if error.errno == errno.EADDRNOTAVAIL:
        right = "use one it has, such as 127.0.0.1, or :PORT for all of them"
        return OperatorError("this machine does not have the address", where=where, right=right)
    if error.errno in (errno.EACCES, errno.EPERM):
        return OperatorError(f"not permitted ({reason})", where=where, right=_way_in(bind))
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return OperatorError(f"its directory is missing ({reason})", where=where, right="create the directory")
    return OperatorError(f"cannot listen ({reason})", where=where)


def _way_in(bind: Bind) -> str:
    if isinstance(bind, UnixBind):
        return "the directory must be writable and the owner one this user may give files to"
    return "ports below 1024 need the capability CAP_NET_BIND_SERVICE; choose one from 1024 up"


def adopt(bind: FdBind, backlog: int) -> socket.socket:
    """A socket that was open when the server started: made sure of, and taken over with its descriptor."""
    where = f"--bind {bind}"
    right = "pass an open stream socket, as systemd's socket units do from descriptor 3 on"
    try:
        if not stat.S_ISSOCK(os.fstat(bind.fd).st_mode):
            raise OperatorError("the descriptor is no socket", where=where, right=right)
        listener = socket.socket(fileno=bind.fd)
    except OSError as error:
        raise OperatorError("the descriptor is not open", where=where, right=right) from error
    try:
        if listener.type != socket.SOCK_STREAM:
            raise OperatorError("the descriptor is no stream socket", where=where, right=right)
        # Also sets our backlog on a socket that listens already (listen(2)).
        listener.listen(backlog)
    except OSError as error:
        listener.detach()
        raise OperatorError(f"the socket cannot listen ({error.strerror})", where=where, right=right) from error
    except OperatorError:
        listener.detach()
        raise
    os.set_inheritable(listener.fileno(), False)
    listener.setblocking(False)
    return listener


def address_of(listener: socket.socket) -> str:
    """`http://127.0.0.1:8000`, `unix:/run/x.sock` or `unix:@name`."""
    name = listener.getsockname()
    if isinstance(name, bytes):
        return f"unix:@{name[1:].decode(errors='replace')}"
    if isinstance(name, str):
        return f"unix:{name}"
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"http://{host}:{name[1]}"


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path, follow_symlinks=False)
    except OSError:
        return None
    return found.st_dev, found.st_ino
