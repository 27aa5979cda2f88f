"""The group of all commands: which there are, how one is found, and what a command line comes to."""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, NoReturn

import click

from drawbar.cli.mistakes import EXIT_INTERRUPTED, EXIT_MISTAKE, Debug, complain, exit_code
from drawbar.cli.serving import Serving, serve
from drawbar.cli.usage import Group, in_words

LATE_COMMANDS = {
    "ctl": ("drawbar.cli.control.ctl", "ctl"),
    "import": ("drawbar.cli.importing.command", "import_settings"),
    "top": ("drawbar.cli.control.top", "top"),
}
"""Commands by module and name in it: what they need, no server shall have imported."""


class Program(Group):
    """The group of all commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, for the help."""
        return sorted([*super().list_commands(ctx), *LATE_COMMANDS])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name; one of LATE_COMMANDS is imported now."""
        if cmd_name not in LATE_COMMANDS:
            return super().get_command(ctx, cmd_name)
        module, name = LATE_COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(module), name)
        return command

    def main(self, args: Sequence[str] | None = None, *_: Any, **extra: Any) -> NoReturn:
        """Runs the command that `args` names and exits with its code."""
        said = self.read(args, **extra)
        sys.exit(serve(said) if isinstance(said, Serving) else said)

    def read(self, args: Sequence[str] | None = None, **extra: Any) -> Serving | int:
        """What `args` ask to serve; or the exit code of a command that has run, or of a mistake that was told."""
        # The name is not taken from the process: it is `drawbar` for `python -m drawbar` too. Errors are told here.
        extra |= {"prog_name": "drawbar", "standalone_mode": False}
        debug = Debug()
        found: list[Serving] = []

        def work() -> int:
            result = super(Program, self).main(args, obj=debug, **extra)
            if isinstance(result, Serving):
                found.append(result)
                return 0
            return int(result or 0)

        try:
            code = exit_code(work, debug)
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            code = EXIT_MISTAKE
        except click.UsageError as error:
            complain(in_words(error))
            code = EXIT_MISTAKE
        except click.Abort:
            code = EXIT_INTERRUPTED
        return found[0] if found else code
