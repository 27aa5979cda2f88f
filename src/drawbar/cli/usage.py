"""What a command line that cannot be read is told: what is wrong with it, and what to type instead.

Only what the parser of command lines finds: a word too many, an option of another command, a name that nothing has,
something that is missing. What a value must be is the configuration's. How a mistake is told is that of `mistakes`.
"""

from collections.abc import Callable, Sequence
from typing import Final

import click

from drawbar.cli.serving import FRONT, WORK
from drawbar.config.errors import nearest
from drawbar.config.settings import SETTINGS, Setting, sections

APP: Final = "APP is the NAME of [apps.NAME] or of --app NAME=HOST/PREFIX, or app where one TARGET is served"


class Group(click.Group):
    """A group that says which of its commands somebody may have meant."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first of `args` names. Raises click.UsageError."""
        word = args[0]
        if self.get_command(ctx, word) is None and not word.startswith("-") and not ctx.resilient_parsing:
            raise click.UsageError(no_such_command(ctx.command_path, word, self.list_commands(ctx)), ctx)
        return super().resolve_command(ctx, args)


def no_such_command(path: str, word: str, names: list[str]) -> str:
    """Nothing is called `word`; `path` is of the group that has commands called `names`."""
    wrong = f"there is no command {word!r}"
    if path == "drawbar" and looks_like_target(word):
        return f"{wrong}; write drawbar run {word}"
    near = nearest(word, names)
    return f"{wrong}; did you mean {path} {near}?" if near else f"{wrong}; commands are {', '.join(names)}"


def looks_like_target(word: str) -> bool:
    """It may name an application, and is no slip in a command's name."""
    return ":" in word or "." in word


def too_much(path: str, target: str | None, rest: Sequence[str]) -> str:
    """Words that the command `path` has no use for. target: what it took for the application."""
    first = rest[0]
    if path == FRONT:
        right = f"write drawbar run {first}, drawbar run {first} --split for a front with workers of its own, or"
        return (
            f"{first}: {path} is a front without an application and takes no TARGET; "
            f"{right} {WORK} {first} --from URL beside this front"
        )
    if target is None:
        return f"{first}: {path} takes nothing but options"
    return f"{first}: the TARGET is {target}, and there is only one; write a table [apps.NAME] for each of several"


def option_of_others(path: str, option: str) -> str | None:
    """Why the command `path` has no `option`, when other commands have it."""
    command = path.rpartition(" ")[2]
    found = [sections()[setting.section] for setting in SETTINGS if option in options_of(setting)]
    others = [f"drawbar {name}" for section in found for name in section.COMMANDS if name != command]
    if not others:
        return None
    why = ", which calls no application" if path == FRONT else ""
    return f"{option} is no option of {path}{why}; {', '.join(others)} {'has' if len(others) == 1 else 'have'} it"


def options_of(setting: Setting) -> tuple[str, ...]:
    """How it is written on a command line."""
    return (f"--{setting.option}", f"--no-{setting.option}") if setting.is_flag else (f"--{setting.option}",)


def parse(ctx: click.Context, args: list[str], read: Callable[[click.Context, list[str]], list[str]]) -> list[str]:
    """What `read` makes of `args`, for a command with settings; its mistakes in our words. Raises click.UsageError."""
    path = ctx.command_path
    # The parser would only say that they are unexpected.
    ctx.allow_extra_args = True
    try:
        rest = read(ctx, args)
    except click.BadOptionUsage as error:
        # The parser does not say whose option it is.
        error.ctx = error.ctx or ctx
        raise
    except click.NoSuchOption as error:
        why = option_of_others(path, error.option_name)
        if why is None:
            raise
        raise click.UsageError(why, ctx) from error
    if rest and not ctx.resilient_parsing:
        raise click.UsageError(too_much(path, ctx.params.get("target"), rest), ctx)
    return rest


def in_words(error: click.UsageError) -> str:
    """The mistake as one line."""
    path = error.ctx.command_path if error.ctx else "drawbar"
    said = error.format_message().rstrip(".")
    if isinstance(error, click.MissingParameter) and error.ctx is not None:
        said = f"{said}; write {' '.join(least(error.ctx))}"
        if error.param is not None and error.param.name == "app":
            said = f"{said}, where {APP}"
    return said if said.endswith("?") else f"{said}; see {path} --help"


def least(ctx: click.Context) -> list[str]:
    """The words of a command that has all it needs and nothing else: what was said, and what stands for the rest."""
    words: list[str] = [ctx.command_path]
    for param in ctx.command.params:
        if param.required:
            words += [] if isinstance(param, click.Argument) else [param.opts[0]]
            said = ctx.params.get(param.name or "")
            words.append(said if isinstance(said, str) else param.make_metavar(ctx))
    return words
