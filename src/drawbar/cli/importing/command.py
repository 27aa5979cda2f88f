"""`drawbar import`: prints the drawbar.toml for another server's settings."""

import click

from drawbar.cli.importing import KINDS, translate


class ImportCommand(click.Command):
    """Takes a command line behind `--` as it is: its options are another server's."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keeps what stands behind `--` from click."""
        if "--" in args:
            at = args.index("--")
            args, ctx.meta["line"] = args[:at], args[at + 1 :]
        return super().parse_args(ctx, args)


@click.command(
    "import",
    cls=ImportCommand,
    options_metavar="[--from KIND]",
    short_help="Turn another server's settings into a drawbar.toml.",
)
@click.argument("files", nargs=-1, metavar="[FILE]... [-- COMMAND LINE]")
@click.option("--from", "kind", type=click.Choice(KINDS), help="Whose settings they are.  [default: found out]")
@click.pass_context
def import_settings(ctx: click.Context, files: tuple[str, ...], kind: str | None) -> int:
    """Print a drawbar.toml for the settings of another server, and what of them has no counterpart.

    A FILE is gunicorn.conf.py, uwsgi.ini, a Procfile, or a file of hypercorn, puma, unicorn or thin. Behind -- may
    stand a command line: drawbar import -- gunicorn -w 4 app:app. Files in Python are run to read them.
    """
    line: list[str] | None = ctx.meta.get("line")
    if not files and not line:
        raise click.UsageError("Nothing to import: name a file, or a command line behind --", ctx)
    click.echo(translate(files, line, kind), nl=False)
    return 0
