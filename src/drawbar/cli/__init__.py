"""The command line: commands, and options generated from the configuration's types.

Lives here: what an operator types and what is printed back. Nothing is served from here: commands fill the
configuration and call the floor below.
"""

import sys
from typing import Final, NoReturn

SERVERS: Final = ("run", "dev", "serve", "work")
"""The commands whose process becomes a server."""


def main() -> NoReturn:
    """The console script `drawbar`: runs the command that the process was started with, and exits with its code."""
    arguments = sys.argv[1:]
    if arguments[:1] and arguments[0] in SERVERS:
        from drawbar.cli.aside import read_aside
        from drawbar.cli.serving import Serving, serve

        said = read_aside(arguments)
        sys.exit(serve(said) if isinstance(said, Serving) else said)
    # For no server: it takes more memory than one has.
    from drawbar.cli.commands import program

    program.main(arguments)
