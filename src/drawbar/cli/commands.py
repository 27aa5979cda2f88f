"""The commands: `run`, `dev` and `check`.

A command gathers what the operator said into a configuration and hands it on; it decides nothing else. What a command
needs beyond that is imported inside it, so that none pays for another.
"""

import os
import sys
from typing import Any

import click

import drawbar
from drawbar.cli.options import HELP_COLUMNS, ConfigCommand, given_options
from drawbar.cli.program import Program, complain, wants_debug
from drawbar.config import OperatorError
from drawbar.config.sources import Loaded, load

DEV_PRESETS = {
    "server.workers": "1",
    "server.reload": True,
    "log.access": "-",
    "app.debug": True,
    # A page that listens to events in some browser tab must not hold up Ctrl-C or a reload.
    "timeouts.graceful": "3",
}


def load_settings(ctx: click.Context, presets: dict[str, Any] | None = None) -> Loaded:
    """The configuration that this command line, the environment and the file make together."""
    options = given_options(ctx)
    if ctx.params["target"] is not None:
        options["app.target"] = ctx.params["target"]
    debug: list[bool] = ctx.obj
    if wants_debug(options, os.environ):
        debug.append(True)
    loaded = load(options, os.environ, file=ctx.params["config"], presets=presets, command=ctx.command_path)
    if loaded.config.log.level == "debug":
        debug.append(True)
    for note in loaded.notes:
        complain(note, "warning")
    if not loaded.config.app.target:
        right = f"write {ctx.command_path} module:app, or set app.target in drawbar.toml"
        raise OperatorError("no application to serve", right=right)
    return loaded


def serve(ctx: click.Context, presets: dict[str, Any] | None = None) -> int:
    """Runs the server to its end. On SIGHUP it reads again what it is read from now."""
    from drawbar import supervisor

    return supervisor.run(load_settings(ctx, presets), reread=lambda: load_settings(ctx, presets))


def show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    """The callback of `--version`."""
    if value:
        click.echo(f"drawbar {drawbar.__version__} (Python {'.'.join(map(str, sys.version_info[:3]))})")
        ctx.exit()


def parameters() -> list[click.Parameter]:
    """What each command takes besides the settings."""
    config = click.Option(["--config"], metavar="PATH", help="TOML file to read.  [default: drawbar.toml if it exists]")
    return [click.Argument(["target"], required=False), config]


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": HELP_COLUMNS})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=show_version, help="Show the version."
)
def program() -> None:
    """Serve Python web applications.

    A TARGET is module:app, a module that has app or application, or path/to/file.py:app. Settings come from options,
    DRAWBAR_* variables (--head-timeout is DRAWBAR_HEAD_TIMEOUT) and drawbar.toml, the first of these that has one.
    """


@program.command(cls=ConfigCommand, params=parameters(), short_help="Serve an application.")
@click.pass_context
def run(ctx: click.Context, /, **_: Any) -> int:
    """Serve the application TARGET."""
    return serve(ctx)


@program.command(cls=ConfigCommand, params=parameters(), short_help="Serve an application that is being written.")
@click.pass_context
def dev(ctx: click.Context, /, **_: Any) -> int:
    """Serve the application TARGET while it is being written.

    One worker that restarts when a file changes, an access log on standard output, a page that shows exceptions, and
    three seconds to stop in: these go before environment and file, options go before them.
    """
    return serve(ctx, DEV_PRESETS)


@program.command(cls=ConfigCommand, params=parameters(), short_help="Check settings and application without serving.")
@click.pass_context
def check(ctx: click.Context, /, **_: Any) -> int:
    """Check the settings and import the application TARGET without serving.

    Prints what would be served and every setting that is not left to its default, with where it comes from.
    """
    from drawbar.cli.check import report

    # A mistake is all there is to say, so nothing is printed before all is known.
    click.echo("\n".join(report(load_settings(ctx))))
    return 0


def main() -> None:
    """The console script `drawbar`."""
    program()
