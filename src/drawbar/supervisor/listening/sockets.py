"""One bind made into listening sockets: bound, given their options, or taken over from whoever started us.

Whatever can be wrong here is the operator's to mend, so each failure is an OperatorError that names the bind and the
way out. The sockets are close-on-exec and non-blocking; accepted ones inherit what is set on them here, which saves
system calls for each connection.

A Unix socket's file is replaced only if nothing answers on it, and removed only if it is still the file we made and
nobody listens on it any more: a successor may have taken the name, or the socket itself.
"""

import contextlib
import errno
import math
import os
import socket
import stat
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from msgspec import Struct

from drawbar.config import Bind, Config, FdBind, OperatorError, TcpBind, UnixBind

Address = tuple[Any, ...]
"""Host and port, and for IPv6 flow label and scope: as getaddrinfo gives it and bind takes it."""

_KEEP = -1
"""Means "leave as it is" to chown(2)."""


class InUse(OperatorError):
    """Somebody listens there; they may be about to leave."""


class Made(Struct):
    """A socket file of ours: `identity` tells it from another of the same name."""

    path: str
    identity: tuple[int, int]


class Opened(Struct):
    """A listening socket, and its file if it has one of ours."""

    socket: socket.socket
    made: Made | None = None
    inode: int = 0
    """The socket's own number, once it is closed here."""

    def let_go(self) -> None:
        """Closes the socket; its file is left to whoever has it too, or to close()."""
        if self.socket.fileno() >= 0:
            self.inode = os.fstat(self.socket.fileno()).st_ino
            self.socket.close()

    def close(self) -> None:
        """Closes the socket, and removes its file when that was the last process to listen on it."""
        self.let_go()
        if self.made is None or _identity(self.made.path) != self.made.identity:
            return
        if not _is_held(self.inode, self.made.path):
            # Its directory may be ours no longer.
            with contextlib.suppress(OSError):
                os.unlink(self.made.path)


class Options(NamedTuple):
    """What sockets are made with."""

    backlog: int
    nodelay: bool = True
    defer_accept_s: float = 0.0
    receive_buffer: int = 0
    send_buffer: int = 0
    ipv6_only: bool = False
    unix_mode: int | None = None
    unix_owner: str | None = None

    @classmethod
    def of(cls, config: Config) -> "Options":
        """As the configuration says."""
        server, listen = config.server, config.listen
        return cls(
            backlog=server.backlog,
            nodelay=listen.nodelay,
            defer_accept_s=listen.defer_accept,
            receive_buffer=listen.receive_buffer,
            send_buffer=listen.send_buffer,
            ipv6_only=listen.ipv6_only,
            unix_mode=server.unix_mode,
            unix_owner=server.unix_owner,
        )


class Sharing(NamedTuple):
    """How a TCP bind stands to other sockets of ours on the same address or port."""

    port: int = 0
    """In place of the bind's port 0: that of an earlier socket of the same bind."""
    joins: bool = False
    """Others of ours have the address already (SO_REUSEPORT)."""
    joined: bool = False
    """Others of ours will have it too. The first one is bound without, so that a stranger's server is noticed."""


ALONE = Sharing()


def open_bind(bind: Bind, options: Options, where: str, sharing: Sharing = ALONE) -> list[Opened]:
    """The sockets of a bind; one, unless it is a host name with several addresses.

    where: what the operator wrote, for the error. Raises InUse when others listen there, OperatorError for the rest.
    """
    if isinstance(bind, TcpBind):
        return [Opened(listener) for listener in _listen_on_host(bind, options, where, sharing)]
    if isinstance(bind, FdBind):
        return [Opened(adopt(bind, options, where))]
    return [_listen_unix(bind, options, where)]


def apply(listener: socket.socket, options: Options) -> None:
    """Sets on a socket, live or new, what connections inherit from it. The backlog is listen's to set."""
    if options.receive_buffer:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, options.receive_buffer)
    if options.send_buffer:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, options.send_buffer)
    if listener.family == socket.AF_UNIX:
        return
    # Linux hands these on to accepted sockets: one system call less for each connection (tcp(7)).
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, int(options.nodelay))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, math.ceil(options.defer_accept_s))


def reapply(opened: Opened, options: Options, where: str) -> None:
    """Gives a socket that serves already what a new configuration says. Raises OperatorError."""
    try:
        if opened.made is not None:
            _give(opened.made.path, options, where)
        apply(opened.socket, options)
        # Also sets the backlog of a socket that listens already (listen(2)).
        opened.socket.listen(options.backlog)
    except OSError as error:
        raise _refusal(None, error, where) from error


def _listen_on_host(bind: TcpBind, options: Options, where: str, sharing: Sharing) -> list[socket.socket]:
    """A listening socket for each address the host has; one for both families when it is "" (every address)."""
    port = bind.port or sharing.port
    if not bind.host and (options.ipv6_only or socket.has_dualstack_ipv6()):
        dual = not options.ipv6_only
        return [_listen_tcp(bind, socket.AF_INET6, ("::", port), options, where, sharing, dual=dual)]
    listeners: list[socket.socket] = []
    try:
        for family, (host, _, *scope) in _resolve(bind, where):
            # With port 0 the first address gets any free port and the others the same one.
            address = (host, port, *scope)
            listeners.append(_listen_tcp(bind, family, address, options, where, sharing, dual=False))
            port = listeners[0].getsockname()[1]
    except BaseException:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def _resolve(bind: TcpBind, where: str) -> Iterator[tuple[socket.AddressFamily, Address]]:
    try:
        host = bind.host or "0.0.0.0"
        # As text it would have Python load the tables for names in other scripts, 0.5 MB in master and workers.
        name = host.encode() if host.isascii() else host
        found = socket.getaddrinfo(name, bind.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except socket.gaierror as error:
        reason = error.strerror or str(error)
        right = "write an address of this machine, such as 127.0.0.1"
        raise OperatorError(f"the host name is not known ({reason})", where=where, right=right) from error
    yield from dict.fromkeys((family, address) for family, _, _, _, address in found)


def _listen_tcp(
    bind: TcpBind,
    family: socket.AddressFamily,
    address: Address,
    options: Options,
    where: str,
    sharing: Sharing,
    *,
    dual: bool,
) -> socket.socket:
    def prepare(listener: socket.socket) -> None:
        # Connections of a predecessor in TIME_WAIT must not keep its port from us.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if dual else 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(sharing.joins))
        listener.bind(address)
        if sharing.joined:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)

    return _listen(bind, family, options, where, prepare)


def _listen_unix(bind: UnixBind, options: Options, where: str) -> Opened:
    """A listening Unix socket, and its file unless the name is abstract (unix(7))."""
    if bind.path.startswith("@"):
        name = "\0" + bind.path[1:]
        return Opened(_listen(bind, socket.AF_UNIX, options, where, lambda listener: listener.bind(name)))
    owner_of(options.unix_owner, str(bind))
    # An absolute path still names the file after a change of directory.
    path = os.path.abspath(bind.path)
    _remove_stale(bind, path, where)
    made: list[Made] = []

    def prepare(listener: socket.socket) -> None:
        listener.bind(bind.path)
        made.append(Made(path, _identity(path) or (0, 0)))
        # Not listening yet: nobody has connected while the file had another owner or mode.
        _give(path, options, str(bind))

    try:
        return Opened(_listen(bind, socket.AF_UNIX, options, where, prepare), made[0])
    except BaseException:
        if made:
            os.unlink(path)
        raise


def _give(path: str, options: Options, bind: str) -> None:
    """Owner and mode of a socket's file."""
    owner = owner_of(options.unix_owner, bind)
    if owner != (_KEEP, _KEEP):
        os.chown(path, *owner)
    if options.unix_mode is not None:
        os.chmod(path, options.unix_mode)


def _remove_stale(bind: UnixBind, path: str, where: str) -> None:
    """Clears the way of a socket file whose server is gone, and of nothing else."""
    try:
        mode = os.stat(path, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise _refusal(bind, error, where) from error
    if not stat.S_ISSOCK(mode):
        raise OperatorError("the file exists and is no socket", where=where, right="choose another path")
    if _answers(bind.path):
        right = "stop the server that listens on it or choose another path"
        raise InUse("a running server listens on it", where=where, right=right)
    try:
        os.unlink(path)
    except OSError as error:
        raise _refusal(bind, error, where) from error


def _is_held(inode: int, path: str) -> bool:
    """Some process still has the socket. Looked up, as who asks by connecting wakes that process for nothing."""
    try:
        with open("/proc/net/unix", "rb") as table:
            # proc(5): Num RefCount Protocol Flags Type St Inode Path
            return any(line.split(maxsplit=7)[6] == b"%d" % inode for line in table)
    except OSError:
        return _answers(path)


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        # A live server with a full backlog would make connect(2) wait; non-blocking it says EAGAIN.
        probe.setblocking(False)
        # Only a refusal proves that nobody is there; any other error leaves it open, and the file alone.
        return probe.connect_ex(path) not in (errno.ECONNREFUSED, errno.ENOENT)


def owner_of(owner: str | None, bind: str) -> tuple[int, int]:
    """User and group number of `user`, `user:group` or `:group`. Raises OperatorError when there is no such one."""
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
    bind: TcpBind | UnixBind,
    family: socket.AddressFamily,
    options: Options,
    where: str,
    prepare: Callable[[socket.socket], None],
) -> socket.socket:
    try:
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            # Before listen(): the window a client is offered depends on the receive buffer (tcp(7), SO_RCVBUF).
            apply(listener, options)
            prepare(listener)
            listener.listen(options.backlog)
            listener.setblocking(False)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        raise _refusal(bind, error, where) from error
    return listener


def _refusal(bind: Bind | None, error: OSError, where: str) -> OperatorError:
    """The operator's view of a failed bind."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    if error.errno == errno.EADDRINUSE:
        return InUse("the address is in use", where=where, right="stop the other server or choose another port")
    if error.errno == errno.EADDRNOTAVAIL:
        right = "use one it has, such as 127.0.0.1, or :PORT for all of them"
        return OperatorError("this machine does not have the address", where=where, right=right)
    if error.errno in (errno.EACCES, errno.EPERM):
        return OperatorError(f"not permitted ({reason})", where=where, right=_way_in(bind))
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return OperatorError(f"its directory is missing ({reason})", where=where, right="create the directory")
    return OperatorError(f"cannot listen ({reason})", where=where)


def _way_in(bind: Bind | None) -> str:
    if isinstance(bind, TcpBind):
        return "ports below 1024 need the capability CAP_NET_BIND_SERVICE; choose one from 1024 up"
    return "the directory must be writable and the owner one this user may give files to"


def adopt(bind: FdBind, options: Options, where: str) -> socket.socket:
    """A socket that was open when the server started: made sure of, and taken over with its descriptor."""
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
        apply(listener, options)
        # Also sets our backlog on a socket that listens already (listen(2)).
        listener.listen(options.backlog)
    except OSError as error:
        listener.detach()
        raise OperatorError(f"the socket cannot listen ({error.strerror})", where=where, right=right) from error
    except OperatorError:
        listener.detach()
        raise
    os.set_inheritable(listener.fileno(), False)
    listener.setblocking(False)
    return listener


def address_of(listener: socket.socket, scheme: str = "http") -> str:
    """`http://127.0.0.1:8000`, `unix:/run/x.sock` or `unix:@name`."""
    name = listener.getsockname()
    if isinstance(name, bytes):
        return f"unix:@{name[1:].decode(errors='replace')}"
    if isinstance(name, str):
        return f"unix:{name}"
    host = f"[{name[0]}]" if ":" in name[0] else name[0]
    return f"{scheme}://{host}:{name[1]}"


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path, follow_symlinks=False)
    except OSError:
        return None
    return found.st_dev, found.st_ino
