"""The verbs of `drawbar ctl` that are about an application's requests: whose they are, and from when on."""

import os
import shlex
from typing import Any, Final

import click

from drawbar.cli.control.asking import client_of, say
from drawbar.config import OperatorError
from drawbar.config.kinds import parse_duration

EVEN: Final = "off"
"""In place of shares: none."""
SHARES: Final = "LABEL=N%... | off"
RIGHT: Final = f"write LABEL=N% such as v8=10%, =N% for workers without a label, or {EVEN}"


def read_wait(ctx: click.Context, param: click.Parameter, text: str | None) -> float | None:
    """A time to wait for something, as settings have it: `30`, `500ms`, `2m`. Raises click.BadParameter."""
    if text is None:
        return None
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from error
    if not seconds:
        raise click.BadParameter("there is nothing to wait for in no time; write 1s or more", ctx, param)
    return seconds


TIMEOUT = click.option("--timeout", callback=read_wait, metavar="SECONDS", help="For the workers to be there.")
WAIT = click.option("--wait/--no-wait", default=True, help="Return when the queue has moved.  [default: wait]")


@click.command(short_help="Share an application's requests out to versions.")
@click.argument("app")
@click.argument("shares", nargs=-1, required=True, metavar=SHARES)
@click.pass_context
def split(ctx: click.Context, app: str, shares: tuple[str, ...]) -> int:
    """Give each label its share of APP's requests, in percent.

    What is left of a hundred goes to the one label that is not named; a label without a share gets nothing. `=N%` is
    for workers without a label. `off`: all workers alike, whatever their label.
    """
    body = {"app": app, "shares": None if shares == (EVEN,) else dict(map(read_share, shares))}
    say(client_of(ctx, app).post("/split", body), "done")
    return 0


def read_share(text: str) -> tuple[str, float]:
    """LABEL=N%. Raises OperatorError."""
    label, equals, percent = text.rpartition("=")
    try:
        share = float(percent.removesuffix("%"))
    except ValueError:
        share = -1.0
    if not equals or not 0 <= share <= 100:
        raise OperatorError(f"{text!r} is no share", right=RIGHT)
    return label, share


@click.command(short_help="Move an application's requests to a new version.")
@click.argument("app")
@click.option("--label", required=True, metavar="TEXT", help="Of the new version's workers.")
@click.option("--target", metavar="TARGET", help="The application, where it is another than before.")
@click.option("--chdir", metavar="PATH", type=click.Path(), help="Its directory, where it is another than before.")
@click.option("--command", metavar="COMMAND", help="A program that serves it, instead of --target.")
@click.option("--workers", metavar="N", type=click.IntRange(1), help="How many.  [default: as many as there are]")
@TIMEOUT
@click.option("--judge/--no-judge", default=True, help="Go back when its first answers are worse.  [default: judge]")
@click.option("--judged", is_flag=True, help="Return when it has been judged.")
@WAIT
@click.pass_context
def deploy(ctx: click.Context, /, app: str, label: str, judge: bool, judged: bool, wait: bool, **said: Any) -> int:
    """Move APP's requests to the workers labelled --label, as soon as they are there.

    Where the server has workers for APP, it starts new ones beside them, and stops the old ones in the end. Otherwise
    they are workers elsewhere (`drawbar work --label`), and may be started before or after. The first 50 answers are
    judged: when they are worse than those of the version before, it has everything again.
    """
    if judged and not (judge and wait):
        raise OperatorError("--judged waits for the verdict, and --no-judge and --no-wait do without")
    if said["target"] is not None and said["command"] is not None:
        raise OperatorError("--target is imported, --command is started", right="give one of the two")
    body = {"app": app, "label": label, "judge": judge, "judged": judged, "wait": wait}
    body |= {name: value for name, value in said.items() if value is not None}
    if "chdir" in body:
        # The server is in another directory.
        body["chdir"] = os.path.abspath(said["chdir"])
    if "command" in body:
        body["command"] = words(said["command"])
    say(client_of(ctx, app).post("/deploy", body, wait=wait), f"{app}: deploying {label}")
    return 0


def words(command: str) -> list[str]:
    """As a shell takes them apart. Raises OperatorError."""
    try:
        found = shlex.split(command)
    except ValueError as error:
        raise OperatorError(f"--command: {str(error).lower()}", right="write it as for a shell") from error
    if not found:
        raise OperatorError("--command is empty", right="write a program and its arguments")
    return found


@click.command(short_help="Move them back to the version before.")
@click.argument("app")
@TIMEOUT
@WAIT
@click.pass_context
def rollback(ctx: click.Context, app: str, timeout: float | None, wait: bool) -> int:
    """Move APP's requests back to the version before the last deploy; take back a deploy that is under way."""
    body = {"app": app, "wait": wait} | ({} if timeout is None else {"timeout": timeout})
    say(client_of(ctx, app).post("/rollback", body, wait=wait), f"{app}: moving back")
    return 0
