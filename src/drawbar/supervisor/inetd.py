"""--inetd: one connection, accepted by somebody else, served by this process until it closes.

inetd's `nowait` services and socket units with `Accept=yes` start a program for each connection and give it the
connection as its standard input and output. There is no master, no listener and no second worker: this process imports
the application, answers the requests of its connection, and ends.

The standard streams that are the connection are taken away from everybody else, as what an application prints must not
end up in a response. inetd connects standard error, too: messages then go to the system's log, or nowhere where there
is none.
"""

import errno
import os
import socket
import stat
from typing import Final

import msgspec

from drawbar.config import Config, OperatorError, ThreadRange
from drawbar.supervisor.host.notify import forget_manager
from drawbar.supervisor.host.privileges import become

SYSTEM_LOG: Final = "/dev/log"
"""Where syslog(3) and systemd's journal take datagrams, one a message."""

STDIN: Final = 0
STDOUT: Final = 1
STDERR: Final = 2

RIGHT: Final = "have inetd (nowait) or a socket unit (Accept=yes, StandardInput=socket) start it"


def serve_connection(config: Config) -> int:
    """Serves the connection on standard input; returns the exit code.

    Raises OperatorError when there is none, or the application cannot be loaded.
    """
    connection = take_connection()
    if connection is None:
        return 0
    forget_manager(os.environ)
    from drawbar.supervisor.worker.life import run_worker

    return run_worker(become(for_one(config)), [connection], 1, lambda report: None)


def for_one(config: Config) -> Config:
    """The configuration where one connection is all there is: its requests come one after the other."""
    app = msgspec.structs.replace(config.app, threads=ThreadRange(1, 1))
    server = msgspec.structs.replace(config.server, workers=1)
    return msgspec.structs.replace(config, app=app, server=server)


def take_connection() -> socket.socket | None:
    """The connection, with a descriptor of its own; None when the client has gone already. Raises OperatorError."""
    try:
        identity = os.fstat(STDIN)
    except OSError as error:
        raise OperatorError("standard input is closed", where="--inetd", right=RIGHT) from error
    if not stat.S_ISSOCK(identity.st_mode):
        raise OperatorError("standard input is no connection", where="--inetd", right=RIGHT)
    connection = socket.socket(fileno=os.dup(STDIN))
    os.set_inheritable(connection.fileno(), False)
    try:
        if not _is_connected(connection):
            connection.close()
            return None
    except BaseException:
        connection.close()
        raise
    _withdraw(identity)
    connection.setblocking(False)
    return connection


def _is_connected(connection: socket.socket) -> bool:
    if connection.type != socket.SOCK_STREAM:
        raise OperatorError("standard input is no stream socket", where="--inetd", right=RIGHT)
    if connection.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        right = f"{RIGHT}, or listen on it with --bind fd://0"
        raise OperatorError("standard input is a listening socket", where="--inetd", right=right)
    try:
        connection.getpeername()
    except OSError as error:
        if error.errno == errno.ENOTCONN:
            return False
        raise
    if connection.family != socket.AF_UNIX:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return True


def _withdraw(identity: os.stat_result) -> None:
    """Puts something else where the standard streams are the connection."""
    nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    os.dup2(nowhere, STDIN)
    if _is(STDOUT, identity):
        os.dup2(nowhere, STDOUT)
    if _is(STDERR, identity):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as system_log:
            has_log = system_log.connect_ex(SYSTEM_LOG) == 0
            os.dup2(system_log.fileno() if has_log else nowhere, STDERR)
    os.close(nowhere)


def _is(descriptor: int, identity: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), identity)
    except OSError:
        return False
