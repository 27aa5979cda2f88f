"""What every command has in common: how a mistake is told, and the exit code.

0 is success, 2 a mistake of the operator's, told in one line on standard error. Its traceback is shown only where the
log level is debug. Anything else that is raised is a fault of Drawbar and keeps its traceback.
"""

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, NoReturn

import click

from drawbar.config.errors import OperatorError

EXIT_MISTAKE = 2
# What a shell reports for a process that SIGINT ended.
EXIT_INTERRUPTED = 130


LATE_COMMANDS = {
    "ctl": ("drawbar.cli.control.ctl", "ctl"),
    "import": ("drawbar.cli.importing.command", "import_settings"),
    "top": ("drawbar.cli.control.top", "top"),
}
"""Commands by module and name in it: what they need, no server shall have imported."""


class Program(click.Group):
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
        # The name is not taken from the process: it is `drawbar` for `python -m drawbar` too. Errors are told here.
        extra |= {"prog_name": "drawbar", "standalone_mode": False}
        debug: list[bool] = []
        try:
            code = super().main(args, obj=debug, **extra)
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            code = EXIT_MISTAKE
        except click.UsageError as error:
            command = error.ctx.command_path if error.ctx else "drawbar"
            said = error.format_message()
            complain(f"{said if said.endswith('?') else said.rstrip('.') + ';'} see {command} --help")
            code = EXIT_MISTAKE
        except click.Abort:
            code = EXIT_INTERRUPTED
        except OperatorError as error:
            if debug:
                print_traceback(error)
            complain(str(error))
            code = EXIT_MISTAKE
        sys.exit(code)


def complain(line: str, kind: str = "error") -> None:
    """One line on standard error."""
    click.echo(f"drawbar: {kind}: {line}", err=True)


def print_traceback(error: BaseException) -> None:
    """The traceback with what caused it."""
    import traceback  # only a mistake that is being debugged needs it

    traceback.print_exception(error)


def wants_debug(options: Mapping[str, Any], environ: Mapping[str, str]) -> bool:
    """Whether command line or environment ask for the debug level: known even while the configuration is broken."""
    return str(options.get("log.level", environ.get("DRAWBAR_LOG_LEVEL", ""))).strip().lower() == "debug"
