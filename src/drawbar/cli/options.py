"""Options made from settings, and help that groups them as the tree does.

No option of a setting is written by hand: each `Setting` gives one. Values stay raw text here; parsing is the
configuration's, so that a mistake reads the same whatever source it came from.
"""

from collections.abc import Sequence
from typing import Any

import click
from click.core import ParameterSource

from drawbar.cli.serving import DEFAULTS
from drawbar.cli.usage import parse
from drawbar.config.kinds import COMMAS
from drawbar.config.settings import SETTINGS, Setting, sections

# The target is an argument; an option beside it would be a second way to say the same.
ARGUMENTS = ("app.target",)
# Readable beside an editor; click's own 80 would wrap most descriptions.
HELP_COLUMNS = 100


class SettingOption(click.Option):
    """The option of one setting."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        name = setting.key.replace(".", "__")
        if setting.is_flag:
            super().__init__([name, f"--{setting.option}/--no-{setting.option}"], default=None)
        else:
            super().__init__(
                [name, f"--{setting.option}"],
                multiple=setting.many,
                type=click.UNPROCESSED,
                metavar=setting.kind.metavar,
            )

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        """Its two columns of help: how to write it; what it does, its bounds and its default."""
        setting = self.setting
        left = "/".join(self.opts + self.secondary_opts)
        if not setting.is_flag:
            left = f"{left} {setting.kind.metavar}"
        return left, describe(setting, default_of(setting, ctx.command.name))

    def given(self, ctx: click.Context) -> Any:
        """What the command line says as the configuration takes it, None when it does not mention the option."""
        if self.name is None or ctx.get_parameter_source(self.name) is not ParameterSource.COMMANDLINE:
            return None
        value = ctx.params[self.name]
        if not self.setting.many:
            return value
        # Where commas do not part values, what was said once is one.
        return ",".join(value) if self.setting.kind.listing is COMMAS else [text for text in value if text]


def default_of(setting: Setting, command: str | None) -> Any:
    """What it is when nobody says otherwise to that command."""
    raw = DEFAULTS.get(f"drawbar {command}", {}).get(setting.key)
    return setting.default if raw is None else setting.parse(raw)


def describe(setting: Setting, default: Any) -> str:
    """One setting in plain text: what it is, what else to know, its default."""
    text = setting.description
    if setting.kind.metavar == "NAME":
        text += f" Takes {setting.kind.form}."
    if setting.past:
        text += f" Past it: {setting.past}."
    if setting.many:
        text += " May be repeated."
    facts = [setting.bounds] if setting.bounds else []
    if default not in (None, (), ""):
        facts.append(f"default: {setting.show(default)}")
    return f"{text.replace('`', '')} [{'; '.join(facts)}]" if facts else text.replace("`", "")


class ConfigCommand(click.Command):
    """A command that takes as an option every setting that is of use to it."""

    def __init__(self, name: str | None, params: Sequence[click.Parameter] = (), **kwargs: Any) -> None:
        self.sections = {
            section: its for section, its in sections().items() if not its.COMMANDS or name in its.COMMANDS
        }
        options = [
            SettingOption(setting)
            for setting in SETTINGS
            if setting.key not in ARGUMENTS and setting.section in self.sections
        ]
        super().__init__(name, params=[*params, *options], **kwargs)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Reads the command line. Raises click.UsageError."""
        return parse(ctx, args, super().parse_args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the command's own options, then a group for each section under the section's docstring."""
        params = self.get_params(ctx)
        # An argument stands in the usage line; commands describe theirs in prose.
        own = [param.get_help_record(ctx) for param in params if not isinstance(param, SettingOption | click.Argument)]
        groups = {"Options": [record for record in own if record is not None]}
        for name, section in self.sections.items():
            title = f"[{name}] {(section.__doc__ or '').strip().removesuffix('.')}"
            options = [param for param in params if isinstance(param, SettingOption) and param.setting.section == name]
            groups[title] = [option.get_help_record(ctx) for option in options]
        for title, records in groups.items():
            if not records:
                continue
            with formatter.section(title):
                formatter.write_dl(records, col_max=34)


def given_options(ctx: click.Context) -> dict[str, Any]:
    """What the command line says, by the settings' keys."""
    options = (param for param in ctx.command.params if isinstance(param, SettingOption))
    said = {option.setting.key: option.given(ctx) for option in options}
    return {key: value for key, value in said.items() if value is not None}
