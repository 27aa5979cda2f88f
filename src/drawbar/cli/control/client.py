"""The client of the control API: finds a server's socket and speaks HTTP over it.

Which server is meant: the socket, process id or pid file given, else the socket that DRAWBAR_CONTROL_SOCKET or
drawbar.toml names, else the only server of this user that runs. Of several it is the only one that is a front for the
application an order is about, or else the only one started here. Mistakes in that are the operator's; what the server
refuses is `Refused`.
"""

import http.client
import os
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from drawbar.cli.mistakes import complain
from drawbar.config import OperatorError
from drawbar.config.control import AUTO
from drawbar.config.log import OFF
from drawbar.config.sources import load
from drawbar.supervisor.control.instances import Instance, answers, directories, find, path_for
from drawbar.supervisor.control.unix_http import UnixConnection

CONNECT_S = 5.0
"""For a connection: past it the master does not fork the process that answers."""
ANSWER_S = 30.0
"""For an answer that is due at once. Collecting stacks takes the longest of these, some seconds."""
WAIT_S = 3660.0
"""For a command whose end is waited for, and a little more than the server itself waits."""

LONGEST_PID = 10
"""Digits: a process id is a C int."""

CONTROL_HELP = "Control socket, or process id or pid file of the master.  [default: the only, or the one started here]"
"""Of the option `choose` takes."""

DRAINING = "draining"
"""The phase of a server that is stopping."""
RIGHT = "name one with --control PATH or --control PID"

T = TypeVar("T")


class Refused(Exception):
    """The server did not do it, and says why."""


class Client:
    """One server's control API. Each request has a connection of its own."""

    def __init__(self, path: str) -> None:
        self.path = path

    def get(self, target: str, kind: type[T]) -> T:
        """What a GET answers, as a value of `kind`. Raises OperatorError and Refused."""
        return self._decode(self._request("GET", target, None, ANSWER_S), kind)

    def post(self, target: str, body: Mapping[str, Any] | None = None, *, wait: bool = False) -> dict[str, Any]:
        """Tells the server something. Raises OperatorError and Refused."""
        return self._decode(self._request("POST", target, body or {}, WAIT_S if wait else ANSWER_S), dict[str, Any])

    def _request(self, method: str, target: str, body: Mapping[str, Any] | None, timeout_s: float) -> bytes:
        connection = _Connection(self.path, timeout_s, CONNECT_S)
        headers = {"Connection": "close", "Content-Type": "application/json"}
        data = None if body is None else msgspec.json.encode(body)
        try:
            connection.request(method, target, data, headers)
            response = connection.getresponse()
            answer = response.read()
        except TimeoutError as error:
            raise Refused(f"the server at {self.path} did not answer within {timeout_s:g} s") from error
        except (http.client.HTTPException, ConnectionError) as error:
            raise Refused(f"the server at {self.path} went away without an answer; its log may say why") from error
        finally:
            connection.close()
        if response.status >= 300:
            raise Refused(_detail(answer) or f"the server answered {response.status} {response.reason}")
        return answer

    def _decode(self, answer: bytes, kind: type[T]) -> T:
        try:
            return msgspec.json.decode(answer, type=kind)
        except msgspec.DecodeError as error:
            raise Refused(f"the server's answer is not understood ({error}); is it of another version?") from error


class _Connection(UnixConnection):
    """One whose failure to connect is told to an operator."""

    def connect(self) -> None:
        try:
            super().connect()
        except OSError as error:
            raise _no_way_in(self.path, error) from error


def choose(control: str | None, environ: Mapping[str, str], uid: int, app: str | None = None) -> Client:
    """The server that is meant, by an order about `app` if there is one. Raises OperatorError when none is, or more
    than one."""
    pid = _pid_in(control) if control else None
    if pid is not None:
        return Client(_socket_of(pid, environ, uid))
    path = control or _configured(environ)
    if path is not None:
        return Client(path)
    running = find(environ, uid)
    if len(running) == 1:
        return Client(running[0].path)
    if not running:
        places = " or ".join(directories(environ, uid))
        raise OperatorError(f"no server of yours is running (looked in {places})", right=RIGHT)
    told = {instance: _told(instance) for instance in running}
    # The one that an upgrade has replaced drains, and whoever speaks now means the other.
    staying = [instance for instance in running if told[instance].get("phase") != DRAINING] or running
    fronts = [instance for instance in staying if app in _queues(told[instance])] if app is not None else []
    here = [instance for instance in fronts or staying if _is_here(instance)]
    whys = "which has that application", "which was started here", "as the others are stopping"
    for meant, why in zip((fronts, here, staying), whys, strict=True):
        if len(meant) == 1:
            one = f"{meant[0].pid}{_served(told[meant[0]])}"
            complain(f"{len(running)} servers are running: this is {one}, {why}", "note")
            return Client(meant[0].path)
    listed = ", ".join(f"{instance.pid}{_served(told[instance])}" for instance in running)
    raise OperatorError(f"{len(running)} servers are running: {listed}", right=RIGHT)


def _is_here(instance: Instance) -> bool:
    """Its master's directory is the present one: a master never leaves that it was started in."""
    try:
        return os.path.samefile(f"/proc/{instance.pid}/cwd", os.curdir)
    except OSError:
        return False


def _pid_in(control: str) -> int | None:
    """The process id that is given, or stands in the file that is; None for a path with anything but a file."""
    text = control
    if not control.isdecimal():
        if not os.path.isfile(control):
            return None
        try:
            with open(control, encoding="ascii") as file:
                text = file.read(LONGEST_PID + 1).strip()
        except (OSError, ValueError):
            text = ""
    if text.isdecimal() and len(text) <= LONGEST_PID:
        return int(text)
    right = "name a control socket, a process id or a pid file"
    raise OperatorError(f"{control} names no server", where="--control", right=right)


def _socket_of(pid: int, environ: Mapping[str, str], uid: int) -> str:
    places = directories(environ, uid)
    for directory in places:
        path = path_for(directory, pid)
        if answers(path):
            return path
    what = f"there is no control socket of a server with process id {pid} in {' or '.join(places)}"
    running = ", ".join(str(instance.pid) for instance in find(environ, uid))
    right = f"running are {running}" if running else "name the socket with --control PATH"
    raise OperatorError(what, where="--control", right=right)


def _configured(environ: Mapping[str, str]) -> str | None:
    try:
        found = load({}, environ).config.control.socket
    except OperatorError:
        # A file that is being mended must not lock the operator out.
        return None
    return None if found in (AUTO, OFF) else found


def _told(instance: Instance) -> dict[str, Any]:
    """Its status; nothing when it does not answer."""
    try:
        return Client(instance.path).get("/status", dict[str, Any])
    except (Refused, OperatorError):
        return {}


def _queues(status: Mapping[str, Any]) -> list[str]:
    """The applications it is a front for."""
    front = status.get("front") or {}
    return [queue["app"] for queue in front.get("queues", ())]


def _served(status: Mapping[str, Any]) -> str:
    apps = ", ".join(_queues(status))
    what = status.get("target") or (f"a front for {apps}" if apps else None)
    return f" ({what})" if what else ""


def _no_way_in(path: str, error: OSError) -> OperatorError:
    if isinstance(error, FileNotFoundError):
        return OperatorError(f"there is no control socket at {path}", right="is the server running?")
    if isinstance(error, ConnectionRefusedError):
        return OperatorError(f"nobody answers at {path}", right="the server has ended")
    if isinstance(error, PermissionError):
        return OperatorError(f"{path} is not yours to use", right=f"run as {_owner(path)} or as root")
    if isinstance(error, TimeoutError):
        return OperatorError(f"nobody takes the connection at {path}", right="the server's master may be stuck")
    reason = error.strerror or str(error)
    return OperatorError(f"cannot connect to {path} ({reason})", right="name a Unix socket")


def _owner(path: str) -> str:
    import pwd

    try:
        uid = os.stat(path).st_uid
    except OSError:
        return "the server's user"
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user {uid}"


def _detail(answer: bytes) -> str:
    try:
        return str(msgspec.json.decode(answer, type=dict[str, Any]).get("detail") or "")
    except msgspec.DecodeError:
        return ""
