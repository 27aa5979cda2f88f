"""`drawbar ctl`: asks and tells a running server. One command for each verb of the control API.

Exit codes: 0 done; 1 the server did not do it, and why; 2 there is no such server, or the command makes no sense.
"""

import os
import select
import shutil
import sys
import time
from collections.abc import Callable
from typing import Any, TypeVar

import click
import msgspec

from drawbar.cli.control.apps import deploy, rollback, split
from drawbar.cli.control.asking import client_of, say
from drawbar.cli.control.client import CONTROL_HELP, Client, Refused, choose
from drawbar.cli.control.show import settings_lines, stacks_lines, status_lines
from drawbar.cli.control.terminal import Style, is_quit, is_terminal, open_screen
from drawbar.cli.control.text import plain
from drawbar.cli.control.text import time as in_words
from drawbar.cli.mistakes import complain
from drawbar.cli.usage import Group
from drawbar.config import OperatorError
from drawbar.supervisor.control.api import MOST_WORKERS
from drawbar.supervisor.control.status import Status

EXIT_REFUSED = 1
WIDE = 1000
"""Columns of output that is no terminal: nothing is cut there."""

F = TypeVar("F", bound=Callable[..., Any])

WAIT = click.option("--wait/--no-wait", default=True, help="Return when the new workers serve.  [default: wait]")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="The answer as the server gives it.")


class Commands(Group):
    """The verbs. A server's refusal is told in one line."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Refused as refused:
            complain(plain(str(refused)))
            return EXIT_REFUSED


@click.group(cls=Commands, short_help="Ask and tell a running server.")
@click.option("--control", metavar="PATH|PID", help=CONTROL_HELP)
@click.pass_context
def ctl(ctx: click.Context, control: str | None) -> None:
    """Ask and tell a running server, over its control socket.

    Without --control it is the socket that DRAWBAR_CONTROL_SOCKET or drawbar.toml names, or else that of your only
    running server, or of the only one that was started in this directory; for
    an order about an application, of the only one that is a front for it.
    """
    ctx.meta["client"] = lambda app: choose(control, os.environ, os.geteuid(), app)


@ctl.command(short_help="What it does, and how its workers are.")
@click.option("--watch", is_flag=True, help="Again every two seconds.")
@AS_JSON
@click.pass_context
def status(ctx: click.Context, watch: bool, as_json: bool) -> int:
    """What the server does, how its workers are, and what they have done."""
    client = client_of(ctx)
    if not watch:
        show_status(client, as_json)
    elif not as_json and is_terminal(sys.stdin, sys.stdout):
        watch_status(client)
    else:
        while True:
            show_status(client, as_json)
            time.sleep(WATCH_S)
    return 0


WATCH_S = 2.0


def show_status(client: Client, as_json: bool) -> None:
    """The status once, in as many lines as it takes; as JSON in one."""
    if as_json:
        emit(client.get("/status", dict[str, Any]))
    else:
        columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDE
        click.echo("\n".join(status_lines(client.get("/status", Status), columns)))


def watch_status(client: Client) -> None:
    """The status on a screen of its own, until q."""
    with open_screen(sys.stdin, sys.stdout) as screen:
        while True:
            found = client.get("/status", Status)
            due = time.monotonic() + WATCH_S
            keys: str | None = ""
            while keys is not None:
                if keys == "":
                    width, height = screen.size()
                    screen.paint(status_lines(found, width)[:height], Style(bold=frozenset({0})))
                elif is_quit(keys):
                    return
                keys = screen.keys(due - time.monotonic())


def replacing(verb: str, short_help: str, text: str) -> None:
    """Makes one of the three commands that put new workers, or a new server, in the place of old ones."""

    @ctl.command(verb, short_help=short_help, help=text)
    @WAIT
    @click.pass_context
    def command(ctx: click.Context, wait: bool) -> int:
        began = time.monotonic()
        result = client_of(ctx).post(f"/{verb}", {"wait": wait}, wait=wait)
        for warning in result.get("warnings", []):
            complain(plain(str(warning)), "warning")
        took = f" in {in_words(time.monotonic() - began)}" if wait else ""
        say(result, f"{verb} {'done' if wait else 'begun'}{took}")
        return 0


replacing(
    "reload",
    "Read the settings again, and replace the workers.",
    "Read the settings and the application again, and replace the workers as --reload-strategy says (SIGHUP). "
    "A mistake in the settings changes nothing.",
)
replacing(
    "restart",
    "Replace all workers at once.",
    "Replace all workers at once, whatever --reload-strategy says. No request is lost; it takes memory for twice as "
    "many.",
)
replacing(
    "upgrade",
    "Replace the whole server, master included.",
    "Start a new master, of the Drawbar and Python that are installed now, on the same sockets; the old one leaves "
    "when the new one serves (SIGUSR2).",
)


@ctl.command(short_help="Stop the server, or an application's requests.")
@click.argument("app", required=False)
@click.option("--message", metavar="TEXT", help="What the clients of APP are told.")
@click.option("--now", is_flag=True, help="Without waiting for requests in progress.")
@click.option("--wait/--no-wait", default=True, help="Return when it has ended.  [default: wait]")
@click.pass_context
def stop(ctx: click.Context, app: str | None, message: str | None, now: bool, wait: bool) -> int:
    """Stop the server gracefully: requests in progress are answered (SIGTERM).

    With APP, refuse new requests of that application behind a front, with 503, until `resume APP`; those that wait are
    served.
    """
    if app is not None:
        if now:
            raise OperatorError("--now is for the whole server", right="`kill PID` ends a worker")
        say(client_of(ctx, app).post("/stop", {"app": app, "message": message or ""}), "done")
        return 0
    if message is not None:
        raise OperatorError("a message is for the clients of an application", right='write stop APP --message "..."')
    client = client_of(ctx)
    master = open_process(client.get("/status", Status).pid) if wait else None
    result = client.post("/stop", {"now": now})
    if master is not None:
        select.select([master], [], [])
        os.close(master)
    say(result, "stopped" if wait else "stopping")
    return 0


@ctl.command(
    short_help="More or fewer workers.",
    # -1 is a number here.
    context_settings={"ignore_unknown_options": True},
)
@click.argument("number", metavar="+N|-N|N")
@click.option("--app", metavar="NAME", help="Whose, where several applications have workers.")
@click.pass_context
def workers(ctx: click.Context, number: str, app: str | None) -> int:
    """More or fewer workers: +1, -1, or how many there shall be. It stays so over a reload (SIGTTIN, SIGTTOU)."""
    digits = number.removeprefix("+").removeprefix("-")
    if not digits.isdecimal() or len(number) - len(digits) > 1 or len(digits) > 4:
        right = f"write +1, -1, or a number such as 4 ({MOST_WORKERS} at most)"
        raise OperatorError(f"{number!r} is no number of workers", right=right)
    body: dict[str, Any] = {"count": int(number)} if number == digits else {"change": int(number)}
    if app is not None:
        body["app"] = app
    say(client_of(ctx, app).post("/workers", body), "done")
    return 0


@ctl.command(short_help="Write where every thread and task is.")
@click.argument("pid", required=False, type=click.IntRange(1))
@AS_JSON
@click.pass_context
def stacks(ctx: click.Context, pid: int | None, as_json: bool) -> int:
    """Have the workers, or the worker PID, write where each of their threads and tasks is to the error log."""
    answer = client_of(ctx).get(f"/stacks?pid={pid}" if pid else "/stacks", dict[str, Any])
    if as_json:
        emit(answer)
    else:
        click.echo("\n".join(stacks_lines(answer)))
    return 0


@ctl.group(cls=Group, short_help="The logs' files.")
def logs() -> None:
    """The logs' files."""


@logs.command(short_help="Open them anew.")
@click.pass_context
def reopen(ctx: click.Context) -> int:
    """Open the logs' files anew after they were moved away (SIGUSR1)."""
    say(client_of(ctx).post("/logs/reopen"), "reopened")
    return 0


@ctl.command(short_help="The settings in force.")
@click.option("--all", "every", is_flag=True, help="Also those left to their defaults.")
@AS_JSON
@click.pass_context
def config(ctx: click.Context, every: bool, as_json: bool) -> int:
    """The settings in force that somebody set, as drawbar.toml has them, and where each comes from."""
    answer = client_of(ctx).get("/config", dict[str, Any])
    if as_json:
        emit(answer)
    else:
        click.echo("\n".join(settings_lines(answer, every)))
    return 0


@ctl.command(short_help="Replace one worker.")
@click.argument("pid", type=click.IntRange(1))
@click.pass_context
def kill(ctx: click.Context, pid: int) -> int:
    """Replace the worker PID: a new one starts, then this one finishes what it has and goes.

    One that does not go within --graceful-timeout is killed. `stacks` before tells what it hangs in.
    """
    say(client_of(ctx).post("/kill", {"pid": pid}), f"worker {pid} is to go")
    return 0


@ctl.command(short_help="Hold connections, or an application's requests.")
@click.argument("app", required=False)
@click.pass_context
def pause(ctx: click.Context, app: str | None) -> int:
    """Accept no connections for now: they wait in the listen queue. /readyz fails; requests in progress go on.

    With APP, have new requests of that application behind a front wait in its queue, for --queue-pause at most.
    """
    say(client_of(ctx, app).post("/pause", {} if app is None else {"app": app}), "paused")
    return 0


@ctl.command(short_help="Go on after pause, or after stop APP.")
@click.argument("app", required=False)
@click.pass_context
def resume(ctx: click.Context, app: str | None) -> int:
    """Accept connections again after `pause`. With APP, serve its requests again after `pause APP` or `stop APP`."""
    say(client_of(ctx, app).post("/resume", {} if app is None else {"app": app}), "resumed")
    return 0


def emit(value: Any) -> None:
    """As JSON on one line."""
    click.echo(msgspec.json.encode(value).decode())


def open_process(pid: int) -> int | None:
    """A descriptor that is readable once the process ends; None when it has, or is in another name space."""
    try:
        return os.pidfd_open(pid)
    except OSError:
        return None


for verb in (split, deploy, rollback):
    ctl.add_command(verb)
