"""`drawbar top`: a live picture of a running server."""

import os
import shutil
import sys
import time
from collections.abc import Callable

import click

from drawbar.cli.control.client import CONTROL_HELP, Client, choose
from drawbar.cli.control.screen import Change, line, picture
from drawbar.cli.control.terminal import Screen, Style, is_quit, is_terminal, open_screen
from drawbar.cli.control.text import cut
from drawbar.supervisor.control.status import Status

FOOT = "q quits"


@click.command(short_help="Watch a running server.")
@click.option("--control", metavar="PATH|PID", help=CONTROL_HELP)
@click.option(
    "--interval",
    type=click.FloatRange(0.1, 3600),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Between two looks.",
)
@click.option("--count", type=click.IntRange(1), metavar="N", help="End after so many looks.")
def top(control: str | None, interval: float, count: int | None) -> int:
    """Watch a running server: its workers, what they are busy with, how fast they answer.

    Rates and times are those since the last look. q ends it. Where output is no terminal, each look is one line.
    """
    watch(choose(control, os.environ, os.geteuid()), interval, count)
    return 0


def watch(client: Client, interval: float, count: int | None) -> None:
    """Looks at the server again and again, until told to stop or it ends."""
    if is_terminal(sys.stdin, sys.stdout):
        with open_screen(sys.stdin, sys.stdout) as screen:
            _on_screen(screen, _looks(client), interval, count)
    else:
        _in_lines(_looks(client), interval, count)


def _looks(client: Client) -> Callable[[], Change]:
    before: Status | None = None

    def look() -> Change:
        nonlocal before
        now = client.get("/status", Status)
        change, before = Change(now, before), now
        return change

    return look


def _on_screen(screen: Screen, look: Callable[[], Change], interval: float, count: int | None) -> None:
    looked = 0
    while count is None or looked < count:
        change = look()
        looked += 1
        due = time.monotonic() + interval
        _paint(screen, change)
        while (left := due - time.monotonic()) > 0:
            keys = screen.keys(left)
            if keys is not None and is_quit(keys):
                return
            if keys == "":
                _paint(screen, change)


def _paint(screen: Screen, change: Change) -> None:
    width, height = screen.size()
    shown = picture(change, width, height - 1)
    lines = [*shown.lines, *[""] * (height - 1 - len(shown.lines)), cut(FOOT, width)]
    for number in shown.headings:
        lines[number] = lines[number].ljust(width)
    screen.paint(lines, Style(bold=frozenset({0}), reversed=shown.headings))


def _in_lines(look: Callable[[], Change], interval: float, count: int | None) -> None:
    width = shutil.get_terminal_size((1000, 24)).columns if sys.stdout.isatty() else 1000
    looked = 0
    while True:
        click.echo(cut(f"{time.strftime('%H:%M:%S')} {line(look())}", width))
        looked += 1
        if count is not None and looked >= count:
            return
        time.sleep(interval)
