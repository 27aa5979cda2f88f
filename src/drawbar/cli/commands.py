"""The commands: `run`, `dev`, `serve`, `work` and `check`.

A command gathers what the operator said into a configuration and hands it on; it decides nothing else. What a command
needs beyond that is imported inside it, so that none pays for another.
"""

import sys
from collections.abc import Callable
from typing import Any

import click

import drawbar
from drawbar.cli.mistakes import Debug
from drawbar.cli.options import HELP_COLUMNS, ConfigCommand, given_options
from drawbar.cli.program import Program
from drawbar.cli.serving import Serving, load_settings


def said_by(ctx: click.Context) -> Serving:
    """What the command line of this command says about the server."""
    options = given_options(ctx)
    if ctx.params.get("target") is not None:
        options["app.target"] = ctx.params["target"]
    return Serving(ctx.command_path, options, ctx.params["config"])


def show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    """The callback of `--version`."""
    if value:
        click.echo(f"drawbar {drawbar.__version__} (Python {'.'.join(map(str, sys.version_info[:3]))})")
        ctx.exit()


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": HELP_COLUMNS})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=show_version, help="Show the version."
)
def program() -> None:
    """Serve Python web applications.

    A TARGET is module:app, a module that has app or application, or path/to/file.py:app. Settings come from options,
    DRAWBAR_* variables (--head-timeout is DRAWBAR_HEAD_TIMEOUT) and drawbar.toml, the first of these that has one.
    """


def command(short_help: str, *, target: bool = True) -> Callable[[Callable[..., Any]], click.Command]:
    """Makes a command that takes settings, and the application they are for unless it has none."""
    config = click.Option(["--config"], metavar="PATH", help="TOML file to read.  [default: drawbar.toml if it exists]")
    params = [*([click.Argument(["target"], required=False)] if target else []), config]
    return program.command(cls=ConfigCommand, params=params, short_help=short_help)


@command("Serve an application.")
@click.pass_context
def run(ctx: click.Context, /, **_: Any) -> Serving:
    """Serve the application TARGET."""
    return said_by(ctx)


@command("Serve an application that is being written.")
@click.pass_context
def dev(ctx: click.Context, /, **_: Any) -> Serving:
    """Serve the application TARGET while it is being written.

    One worker that restarts when a file changes, an access log on standard output, a page that shows exceptions, and
    three seconds to stop in: these go before environment and file, options go before them.
    """
    return said_by(ctx)


@command("Serve what workers elsewhere answer.", target=False)
@click.pass_context
def serve(ctx: click.Context, /, **_: Any) -> Serving:
    """Serve a site without an application: requests wait in a queue until a worker pulls them.

    Clients connect to --bind, by default 0.0.0.0:8080; workers pull from --api.
    """
    return said_by(ctx)


@command("Serve an application behind a front.")
@click.pass_context
def work(ctx: click.Context, /, **_: Any) -> Serving:
    """Serve the application TARGET to fronts that workers dial (`--from`), wherever they are.

    Opens no port: a worker connects to the front as often as it has slots, and serves the requests that the front sends
    on these connections.
    """
    return said_by(ctx)


@command("Check settings and application without serving.")
@click.pass_context
def check(ctx: click.Context, /, **_: Any) -> int:
    """Check the settings and import the application TARGET without serving.

    Prints what would be served and every setting that is not left to its default, with where it comes from.
    """
    from drawbar.cli.check import report

    debug: Debug = ctx.obj
    # A mistake is all there is to say, so nothing is printed before all is known.
    click.echo("\n".join(report(load_settings(said_by(ctx), debug))))
    return 0
