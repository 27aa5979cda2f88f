"""From files and command lines to a drawbar.toml: which reader for which, and in what order.

A command line goes before the file it names, a file given later before one given earlier. A server's own order holds
inside: gunicorn's command line over GUNICORN_CMD_ARGS over its file.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from typing import Final

from drawbar.cli.importing import environment
from drawbar.cli.importing.asgi_servers import GRANIAN, HYPERCORN, UVICORN
from drawbar.cli.importing.draft import Draft, Said, Verdict
from drawbar.cli.importing.gunicorn import GUNICORN
from drawbar.cli.importing.procfile import WEB, Command, find_command, processes
from drawbar.cli.importing.puma import PUMA
from drawbar.cli.importing.server import Server
from drawbar.cli.importing.thin import THIN
from drawbar.cli.importing.unicorn import UNICORN
from drawbar.cli.importing.uwsgi import UWSGI
from drawbar.config import OperatorError

SERVERS: Final = {server.name: server for server in (GUNICORN, UVICORN, HYPERCORN, GRANIAN, UWSGI, PUMA, UNICORN, THIN)}
PROCFILE: Final = "procfile"
KINDS: Final = (*SERVERS, PROCFILE)
COMMANDS: Final = {**{name: name for name in SERVERS}, "rainbows": "unicorn", "unicorn_rails": "unicorn"}
"""What a server's program is called."""

CONTENT_BYTES: Final = 65_536
"""Of a file, looked at to find out whose it is."""

_NAMES: Final = (
    (re.compile(r"procfile(\..*)?"), PROCFILE),
    (re.compile(r".*gunicorn.*\.py"), "gunicorn"),
    (re.compile(r".*hypercorn.*\.(py|toml)"), "hypercorn"),
    (re.compile(r".*puma.*\.rb"), "puma"),
    (re.compile(r".*(unicorn|rainbows).*\.(rb|conf)"), "unicorn"),
    (re.compile(r".*thin.*\.ya?ml"), "thin"),
    (re.compile(r".*uwsgi.*\.ini"), "uwsgi"),
)
_CONTENTS: Final = (
    (re.compile(r"^\[uwsgi\]", re.MULTILINE), "uwsgi"),
    (re.compile(r"^(worker_processes|listen)\s", re.MULTILINE), "unicorn"),
    (re.compile(r"^(threads|workers|preload_app!|bind|port)\s+['\"\d:A-Z]", re.MULTILINE), "puma"),
    (re.compile(r"^(bind|workers|worker_class|timeout|wsgi_app)\s*=", re.MULTILINE), "gunicorn"),
    (re.compile(r"^:?(rackup|servers|max_conns|max_persistent_conns):", re.MULTILINE), "thin"),
    (re.compile(r"^web:\s", re.MULTILINE), PROCFILE),
)


class Found:
    """All that was read, by server: one server's files and command lines count together."""

    def __init__(self) -> None:
        self.draft = Draft()
        self.said: dict[str, list[Said]] = {}
        self.arguments: dict[str, list[str]] = {}

    def add(self, server: Server, said: Sequence[Said], arguments: Sequence[str] = ()) -> None:
        """What is added later goes before."""
        self.said.setdefault(server.name, []).extend(said)
        self.arguments.setdefault(server.name, []).extend(arguments)

    def render(self) -> str:
        """The drawbar.toml."""
        for name, said in self.said.items():
            SERVERS[name].translate(self.draft, said, self.arguments[name])
        return self.draft.render()


def translate(files: Sequence[str], line: Sequence[str] | None = None, kind: str | None = None) -> str:
    """The drawbar.toml for `files` and a command line; `kind` says whose they are. Raises OperatorError."""
    found = Found()
    for path in files:
        of = kind or kind_of(path)
        if of == PROCFILE:
            _procfile(found, path)
        else:
            _file(found, SERVERS[of], path)
    if line is not None:
        _line(found, line, kind)
    return found.render()


def kind_of(path: str) -> str:
    """Whose file it is, by its name, else by its content; raises OperatorError."""
    name = os.path.basename(path).lower()
    for pattern, kind in _NAMES:
        if pattern.fullmatch(name):
            return kind
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            content = stream.read(CONTENT_BYTES)
    except OSError as error:
        raise OperatorError(f"cannot be read: {error.strerror}", where=path) from error
    for pattern, kind in _CONTENTS:
        if pattern.search(content):
            return kind
    raise OperatorError("it is not plain whose settings these are", where=path, right=f"say --from {'|'.join(KINDS)}")


def _file(found: Found, server: Server, path: str) -> None:
    if server.read is None:
        right = f"write its command line: drawbar import -- {server.name} ..."
        raise OperatorError(f"{server.name} has no configuration file", where=path, right=right)
    if not os.path.isfile(path):
        raise OperatorError("there is no such file", where=path, right="name one that exists")
    found.draft.files.append(path)
    found.add(server, server.read(path))


def _procfile(found: Found, path: str) -> None:
    commands = processes(path)
    found.draft.files.append(path)
    if WEB not in commands:
        raise OperatorError("has no web process", where=path, right="write web: command")
    for name, text in commands.items():
        command = find_command(text, list(COMMANDS), f"{path}: {name}")
        if name == WEB and command is not None:
            _command(found, command, os.path.dirname(path))
        elif name == WEB:
            right = f"known are {', '.join(COMMANDS)}"
            raise OperatorError(f"no server of these is started by: {text}", where=f"{path}: {name}", right=right)
        else:
            words = "run it as a service of its own beside Drawbar"
            found.draft.remark(Verdict.MISSING, f"{name}: {text}", words)


def _line(found: Found, line: Sequence[str], kind: str | None) -> None:
    text = shlex.join(line)
    if kind in SERVERS and not (line and os.path.basename(line[0]) in COMMANDS):
        text = f"{kind} {text}"
    found.draft.files.append(f"`{text}`")
    command = find_command(text, list(COMMANDS), "the command line")
    if command is None:
        right = f"begin with {', '.join(COMMANDS)}, or say --from"
        raise OperatorError("no server of these is started by it", where=text, right=right)
    _command(found, command, "")


def _command(found: Found, command: Command, folder: str) -> None:
    """A command line, with the files and variables its server reads beside it."""
    draft = found.draft
    server = SERVERS[COMMANDS[command.server]]
    said, arguments = server.read_options(command.words)
    folder = os.path.join(folder, command.directory)
    if command.directory:
        draft.put("app.chdir", Said(server.name, "cd", command.directory))
    said = [*_variables(draft, server, command), *said]
    for path in _files(draft, server, said, arguments, folder):
        _file(found, server, path)
    if server is UWSGI:
        said = [one for one in said if one.name != "--ini"]
        arguments = [argument for argument in arguments if not argument.endswith(".ini")]
    found.add(server, said, arguments)
    if command.wrapper:
        draft.remark(Verdict.MISSING, " ".join(command.wrapper), "put it before `drawbar run`")
    if command.rest:
        draft.remark(Verdict.UNKNOWN, " ".join(command.rest), "it is the shell's")


def _files(draft: Draft, server: Server, said: Sequence[Said], arguments: Sequence[str], folder: str) -> Iterator[str]:
    """The files a command line names, and what its server reads unasked."""
    if server is UWSGI:
        names = [argument for argument in arguments if argument.endswith(".ini")]
        names += [str(one.value) for one in said if one.name == "--ini"]
    else:
        names = [str(one.value) for one in said if server.rule_name(one) == "config"]
    if not names and server is GUNICORN and os.path.isfile(os.path.join(folder, "gunicorn.conf.py")):
        names = ["gunicorn.conf.py"]
    for name in names:
        if name.startswith("python:"):
            draft.remark(Verdict.UNKNOWN, f"--config {name}", "import the module's file: drawbar import FILE")
        elif name != "-":
            yield os.path.join(folder, name.removeprefix("file:"))


def _variables(draft: Draft, server: Server, command: Command) -> list[Said]:
    """What the variables before a command say to its server; the others are the application's."""
    said: list[Said] = []
    for name, value in command.environment.items():
        if server is GUNICORN and name == "GUNICORN_CMD_ARGS":
            said += server.read_options(shlex.split(value))[0]
        elif name == "WEB_CONCURRENCY" and server in (GUNICORN, UVICORN, PUMA):
            said.append(Said(server.name, "--workers", value))
        else:
            environment.one(draft, Said(server.name, name, value))
    return said
