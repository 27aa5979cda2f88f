"""How a mistake is told, and with which exit code.

0 is success, 2 a mistake of the operator's, told in one line on standard error. Its traceback is shown only where the
log level is debug. Anything else that is raised is a fault of Drawbar and keeps its traceback. Imports no parser of
command lines: a serving process tells its mistakes here, too.
"""

import sys
from collections.abc import Callable, Mapping
from typing import Any

from drawbar.config.errors import OperatorError

EXIT_MISTAKE = 2
# What a shell reports for a process that SIGINT ended.
EXIT_INTERRUPTED = 130


class Debug:
    """Whether mistakes are told with their tracebacks; a command that learns of the log level says so."""

    def __init__(self) -> None:
        self.is_on = False

    def learn(self, options: Mapping[str, Any], environ: Mapping[str, str]) -> None:
        """From command line and environment: known even while the configuration is broken."""
        level = options.get("log.level", environ.get("DRAWBAR_LOG_LEVEL", ""))
        self.is_on = self.is_on or str(level).strip().lower() == "debug"


def exit_code(work: Callable[[], int], debug: Debug) -> int:
    """What `work` returns; an operator's mistake or interruption in it as the code it has, the mistake told."""
    try:
        return work()
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except OperatorError as error:
        if debug.is_on:
            print_traceback(error)
        complain(str(error))
        return EXIT_MISTAKE


def complain(line: str, kind: str = "error") -> None:
    """One line on standard error."""
    print(f"drawbar: {kind}: {line}", file=sys.stderr, flush=True)


def print_traceback(error: BaseException) -> None:
    """The traceback with what caused it."""
    import traceback  # only a mistake that is being debugged needs it

    traceback.print_exception(error)
