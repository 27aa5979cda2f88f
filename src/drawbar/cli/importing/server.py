"""What is known of a server whose settings are read: its rules, its command line, its files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from drawbar.cli.importing.draft import Draft, Rules, Said
from drawbar.cli.importing.flags import Flags, gather, read_line
from drawbar.cli.importing.words import application


def nothing(draft: Draft, said: Mapping[str, object]) -> None:
    """Nothing is implied."""


class Server(NamedTuple):
    """One server. What is read is a list of Said, which its rules then turn into settings."""

    name: str
    rules: Rules
    flags: Flags
    read: Callable[[str], list[Said]] | None = None
    """Reads a configuration file; raises OperatorError."""
    finish: Callable[[Draft, Mapping[str, object]], None] = nothing
    """Sees to settings that depend on each other, and to what the server does unasked."""
    argument: Callable[[Draft, Said], None] = application
    """What the command's argument is."""

    def read_options(self, words: Sequence[str]) -> tuple[list[Said], list[str]]:
        """What a command line says, and its arguments."""
        line = read_line(words, self.flags)
        said = [Said(self.name, option.written, option.value) for option in gather(line.options, self.flags)]
        return said, line.arguments

    def rule_name(self, said: Said) -> str:
        """What a setting is called in the rules, however it was written."""
        flag = self.flags.get(said.name)
        return flag.name if flag is not None else said.name

    def translate(self, draft: Draft, found: Sequence[Said], arguments: Sequence[str] = ()) -> None:
        """Turns all that was found, in order, into settings and remarks."""
        last = {self.rule_name(said): said for said in found}
        for name, said in last.items():
            draft.apply(self.rules, name, said)
        for argument in arguments[:1]:
            self.argument(draft, Said(self.name, "application", argument))
        for argument in arguments[1:]:
            draft.apply({}, "", Said(self.name, "argument", argument))
        self.finish(draft, {name: said.value for name, said in last.items()})
