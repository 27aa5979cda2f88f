"""What the server says of itself when it begins and when it ends. Pure text."""

import os
from collections.abc import Sequence

from drawbar import __version__
from drawbar.config import Config
from drawbar.supervisor.words import plural
from drawbar.supervisor.worker.concurrency import describe


def serving_line(config: Config, interface: str, addresses: Sequence[str], workers: int) -> str:
    """The line of the start: what is served how, where, and by how many.

    `interface` is what the worker found the application to be; "" when it does not say.
    """
    kind = interface or (config.app.interface if config.app.interface != "auto" else "")
    served = f"{config.app.target or 'nothing'}{f' ({kind})' if kind else ''}"
    model = describe(config.app, kind)
    where = f"on {', '.join(addresses)}"
    if config.work.front:
        label = f" {config.work.label}" if config.work.label else ""
        where = f"for {', '.join(map(str, config.work.front))} as {config.work.app}{label}"
    how = f"{plural(workers, 'worker')}, {model}"
    return f"drawbar {__version__} serving {served} {where}, {how} (pid {os.getpid()})"


def stopping_line(stopped_by: str, graceful_s: float, delay_s: float = 0.0) -> str:
    """The line of the first request to stop: without it, waiting for requests in progress looks like hanging."""
    delay = f" in {delay_s:g} s" if delay_s else ""
    return f"{stopped_by}: stopping{delay}, requests in progress have {graceful_s:g} s"


def closing_line(stopped_by: str, seconds: float) -> str:
    """The line of the end, when all workers have stopped."""
    return f"drawbar stopped by {stopped_by} after {duration(seconds)}"


def duration(seconds: float) -> str:
    """A time as a person says it, in its two largest units: `3 d 4 h`, `5 min 6 s`, `7.8 s`."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    units = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    first = next(index for index, (count, _) in enumerate(units) if count)
    return " ".join(f"{count} {unit}" for count, unit in units[first : first + 2] if count)
