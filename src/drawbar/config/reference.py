"""The manual's page of settings, written from the tree: `python -m drawbar.config.reference > PAGE`.

The page in docs/ is this module's output; a test holds the two together.
"""

from collections.abc import Iterator

from drawbar.config.app_table import AppTable
from drawbar.config.settings import APPS, SETTINGS, Setting, sections, settings_of_app

HEAD = """\
# Configuration

<!-- Written by `python -m drawbar.config.reference`. Do not edit. -->

Every setting can be given in three places. The first of these that has it wins:

1. an option of the command: `--head-timeout 10`
2. an environment variable, named like the option: `DRAWBAR_HEAD_TIMEOUT=10`
3. a TOML file, `drawbar.toml` in the current directory or what `--config` or `DRAWBAR_CONFIG` names:

```toml
[timeouts]
head = 10
```

`drawbar dev` sets a few itself; these go before the environment and the file, options go before them. `drawbar check`
prints every setting that is not left to its default, with where it comes from.

Lists are arrays in TOML, comma-separated in the environment, and repeated or comma-separated options. Sizes are bytes,
or take `k`, `m`, `g` and `t` (powers of 1024); durations are seconds, or take `ms`, `s`, `m` and `h`. On/off options
have an opposite: `--reload`, `--no-reload`. A key, a section or a value that is not known is an error; so are settings
that contradict each other.
"""


def page() -> str:
    """The whole page as Markdown."""
    return "\n".join([HEAD, *(line for name in sections() for line in section_lines(name)), *app_lines()])


def app_lines() -> Iterator[str]:
    """The table that an application has of its own."""
    yield f"## [{APPS}.NAME]"
    yield ""
    yield (AppTable.__doc__ or "").strip()
    yield "There may be any number of these, each in the file only:"
    yield ""
    yield "```toml"
    yield f"[{APPS}.blog]"
    yield 'host = ["blog.example.org"]'
    yield ""
    yield f"[{APPS}.shop]"
    yield 'prefix = "/shop"'
    yield "```"
    yield ""
    for setting in settings_of_app("NAME"):
        yield f"### {setting.key}"
        yield ""
        yield setting.description
        yield ""
        yield from value_lines(setting)


def section_lines(name: str) -> Iterator[str]:
    """A section: its docstring, then its settings."""
    yield f"## [{name}]"
    yield ""
    yield (sections()[name].__doc__ or "").strip()
    commands = sections()[name].COMMANDS
    if commands:
        yield f"For {' and '.join(f'`drawbar {command}`' for command in commands)}."
    yield ""
    for setting in SETTINGS:
        if setting.section == name:
            yield from setting_lines(setting)


def setting_lines(setting: Setting) -> Iterator[str]:
    """A setting: its names, what it does, and the facts about its values."""
    yield f"### {setting.key}"
    yield ""
    yield setting.description
    yield ""
    option = f"--{setting.option}` / `--no-{setting.option}" if setting.is_flag else f"--{setting.option}"
    # The target is an argument of the commands.
    names = "TARGET" if setting.key == "app.target" else option
    yield f"- Names: `{names}`, `{setting.env}`"
    yield from value_lines(setting)


def value_lines(setting: Setting) -> Iterator[str]:
    """What it may be, and what it is when nobody says so."""
    form = ("a list; each " if setting.many else "") + setting.kind.form
    yield f"- Value: {form}" + (f"; {setting.bounds}" if setting.bounds else "")
    yield f"- Default: {default_of(setting)}"
    if setting.past:
        yield f"- Past it: {setting.past}"
    yield ""


def default_of(setting: Setting) -> str:
    """The default as the page shows it."""
    if setting.default is None:
        text = "not set"
    elif setting.default in ((), ""):
        text = "empty"
    else:
        text = f"`{setting.show(setting.default)}`"
    return f"{text}, or what `{setting.fallback}` says" if setting.fallback else text


if __name__ == "__main__":
    print(page(), end="")
