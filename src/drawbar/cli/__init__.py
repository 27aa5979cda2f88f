"""The command line: commands, and options generated from the configuration's types.

Lives here: what an operator types and what is printed back. Nothing is served from here: commands fill the
configuration and call the floor below.
"""

from drawbar.cli.commands import main, program

__all__ = ["main", "program"]
