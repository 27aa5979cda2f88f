"""Procfile: `web: gunicorn app:app -w 4`. Also any command line that starts one of the servers, however it is wrapped.

Pure but for the files a command names. A process that is no web server is told, with what to do with it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from typing import Final, NamedTuple

from drawbar.cli.importing.text_file import read_text
from drawbar.config import OperatorError

WEB: Final = "web"
ASSIGNMENT: Final = re.compile(r"[A-Za-z_]\w*=")
ENDS: Final = frozenset({"&&", "||", ";", "|", "&", ">", ">>", "2>", "2>>", "<", "2>&1"})


class Command(NamedTuple):
    """A server's command line out of a shell's."""

    server: str
    words: list[str]
    """Behind the server's name."""
    environment: dict[str, str]
    directory: str
    """Where it changes to before, or ""."""
    wrapper: list[str]
    """The words before the server's name that start it under something else."""
    rest: list[str]
    """What the shell does behind it."""


def processes(path: str) -> dict[str, str]:
    """A Procfile's types and commands; raises OperatorError."""
    found: dict[str, str] = {}
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        process = re.match(r"\s*([A-Za-z0-9_-]+)\s*:\s*(\S.*)", line)
        if process is None:
            raise OperatorError(f"line {number} is no process: {line.strip()}", where=path, right="write web: command")
        found[process[1]] = process[2].strip()
    if not found:
        raise OperatorError("has no process", where=path, right="write web: command")
    return found


def find_command(text: str, servers: Sequence[str], where: str) -> Command | None:
    """The server that a shell command starts; None when it is none of `servers`. Raises OperatorError."""
    try:
        words = shlex.split(text, comments=False)
    except ValueError as error:
        raise OperatorError(f"cannot be read: {error}", where=where, right="close the quotes") from error
    directory = ""
    environment: dict[str, str] = {}
    begin = 0
    for at, word in enumerate(words):
        if word in ENDS:
            begin = at + 1
        elif at > begin and words[at - 1] == "cd" and words[at - 1 : at] == words[begin : begin + 1]:
            directory = word
        elif ASSIGNMENT.match(word) and all(
            ASSIGNMENT.match(before) or before in ("env", "exec", "export") for before in words[begin:at]
        ):
            name, _, value = word.partition("=")
            environment[name] = value
        elif (name := word.rpartition("/")[2]) in servers:
            behind = words[at + 1 :]
            end = next((index for index, other in enumerate(behind) if other in ENDS), len(behind))
            return Command(name, behind[:end], environment, directory, _wrapper(words[begin:at]), behind[end:])
    return None


def _wrapper(before: Sequence[str]) -> list[str]:
    """What stands before the server's name and is more than a way to find it."""
    words = list(before)
    while words and (ASSIGNMENT.match(words[0]) or words[0] in ("env", "exec", "export")):
        del words[0]
    text = " ".join(words)
    finders = r"(?:\S*python[\d.]* -m|bundle exec|uv run|poetry run|pipenv run|pdm run|hatch run)"
    return [] if re.fullmatch(finders, text) else words
