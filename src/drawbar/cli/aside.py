"""A command line that is read in a child, so that the process that goes on to serve never loads what reads it.

The parser of command lines brings more than a third of what an idle master would hold, and of that every worker writes
to some pages. The child is forked before anything of it is imported. It tells mistakes and shows help itself; what the
parent learns is what to serve, as JSON through a pipe, or the child's exit code.
"""

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import Final, NoReturn

import msgspec

from drawbar.cli.mistakes import EXIT_INTERRUPTED
from drawbar.cli.serving import Serving

EXIT_BROKEN: Final = 1
PIPE_READ: Final = 65536


def read_aside(arguments: Sequence[str]) -> Serving | int:
    """What the command line asks to serve, or the code to exit with. Only while there is one thread."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        _tell(arguments, writer)
    os.close(writer)
    said = b""
    try:
        while chunk := os.read(reader, PIPE_READ):
            said += chunk
        status = os.waitpid(child, 0)[1]
    except KeyboardInterrupt:
        # The terminal has interrupted the child as well.
        return EXIT_INTERRUPTED
    finally:
        os.close(reader)
    code = os.waitstatus_to_exitcode(status)
    # As a shell reports a process that a signal ended.
    return msgspec.json.decode(said, type=Serving) if said and code == 0 else code if code >= 0 else 128 - code


def _tell(arguments: Sequence[str], writer: int) -> NoReturn:
    """In the child: reads, and writes what is to be served."""
    code = EXIT_BROKEN
    try:
        from drawbar.cli.commands import program

        said = program.read(arguments)
        if isinstance(said, Serving):
            with os.fdopen(writer, "wb") as stream:
                stream.write(msgspec.json.encode(said))
        code = said if isinstance(said, int) else 0
        for output in (sys.stdout, sys.stderr):
            # Whoever was to read the help may have seen enough of it.
            with contextlib.suppress(OSError, AttributeError):
                output.flush()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else EXIT_BROKEN
    except BaseException as error:
        from drawbar.cli.mistakes import print_traceback

        print_traceback(error)
    finally:
        os._exit(code)
