"""Where settings come from, and which source wins.

Command line over a command's presets over environment over file over variables of common use (WEB_CONCURRENCY) over
what the service manager passed (LISTEN_FDS) over a command's defaults over those of the tree. Each source first yields
values as they were given; one function then parses all of them, so a mistake is reported in the same words from
everywhere, even where a stronger source overrides it. Beside the tree goes an `Effective` for each setting, which says
where its value comes from.
"""

import enum
import os
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from drawbar.config.app_table import AppTable
from drawbar.config.binds import BIND
from drawbar.config.errors import OperatorError, nearest
from drawbar.config.names import parse_app
from drawbar.config.passed import Passed, left_over, passed_sockets, with_numbers
from drawbar.config.section import Section
from drawbar.config.settings import APPS, SETTINGS, Setting, sections, settings_of_app
from drawbar.config.tree import Config

DEFAULT_FILE = "drawbar.toml"
FILE_VARIABLE = "DRAWBAR_CONFIG"
PREFIX = "DRAWBAR_"


class Origin(enum.IntEnum):
    """The sources, the weakest first."""

    DEFAULT = 0
    DEFAULT_OF_COMMAND = 1
    PASSED = 2
    FALLBACK = 3
    FILE = 4
    ENVIRONMENT = 5
    COMMAND = 6
    OPTION = 7


class Given(msgspec.Struct, frozen=True):
    """A value as a source gave it. `place` is what an operator changes: a file, a variable, an option."""

    setting: Setting
    raw: Any
    origin: Origin
    place: str

    @property
    def where(self) -> str:
        """The place with the key where the place alone does not name the setting."""
        return f"{self.place}: {self.setting.key}" if self.origin is Origin.FILE else self.place


class Effective(msgspec.Struct, frozen=True):
    """A setting's value in force and where it came from; `place` is "" for a default.

    `waits`: the text of another value that is wanted, and has to wait for the next process.
    """

    setting: Setting
    value: Any
    origin: Origin
    place: str
    waits: str | None = None

    def __str__(self) -> str:
        source = f"from {self.place}" if self.place else "default"
        return f"{self.setting.key} = {self.setting.show(self.value)} ({source})"


class Loaded(msgspec.Struct, frozen=True):
    """The tree, every setting's origin in the tree's order, the file that was read, and notes on what was ignored."""

    config: Config
    effective: tuple[Effective, ...]
    file: str | None
    notes: tuple[str, ...]

    def changed(self) -> tuple[Effective, ...]:
        """The settings that some source set, whether or not to another value than the default."""
        return tuple(item for item in self.effective if item.origin is not Origin.DEFAULT)


def load(
    options: Mapping[str, object],
    environ: Mapping[str, str],
    *,
    file: str | None = None,
    presets: Mapping[str, object] | None = None,
    defaults: Mapping[str, object] | None = None,
    command: str = "",
    pid: int | None = None,
) -> Loaded:
    """All sources together.

    `environ` is that of process `pid`, by default this one. `options` and `presets` hold raw values by key
    ("server.bind"), the latter set by the command named `command`, as are `defaults`, before which everything else
    goes. `file` is what `--config` said; without it DRAWBAR_CONFIG says it, else drawbar.toml is read where there is
    one. Raises OperatorError.
    """
    path = find_file(file, environ)
    passed = passed_sockets(environ, os.getpid() if pid is None else pid)
    given = [*from_environment(environ), *from_fallbacks(environ), *from_passed(passed)]
    if path is not None:
        given += from_file(path)
    for setting in SETTINGS:
        if setting.key in options:
            place = "TARGET" if setting.key == "app.target" else f"--{setting.option}"
            given.append(Given(setting, options[setting.key], Origin.OPTION, place))
        for values, origin in ((presets, Origin.COMMAND), (defaults, Origin.DEFAULT_OF_COMMAND)):
            if values and setting.key in values:
                given.append(Given(setting, values[setting.key], origin, command))
    effective = tuple(name_no_sockets(item, passed) for item in choose(given))
    config = build(effective)
    report_conflicts(config, effective)
    return Loaded(config, effective, path, tuple(notes(config, environ, passed)))


def find_file(explicit: str | None, environ: Mapping[str, str]) -> str | None:
    """The file to read: the named one, which must exist, or drawbar.toml in the current directory if it does."""
    for path, where in ((explicit, "--config"), (environ.get(FILE_VARIABLE), FILE_VARIABLE)):
        if path:
            if not os.path.isfile(path):
                raise OperatorError(f"there is no file {path!r}", where=where, right="name a TOML file that exists")
            return path
    return DEFAULT_FILE if os.path.isfile(DEFAULT_FILE) else None


def from_environment(environ: Mapping[str, str]) -> Iterator[Given]:
    """What DRAWBAR_* variables say."""
    for setting in SETTINGS:
        if setting.env in environ:
            yield Given(setting, environ[setting.env], Origin.ENVIRONMENT, setting.env)


def from_fallbacks(environ: Mapping[str, str]) -> Iterator[Given]:
    """What variables of common use say. An empty one says nothing: it was not written for us."""
    for setting in SETTINGS:
        if setting.fallback and environ.get(setting.fallback):
            yield Given(setting, environ[setting.fallback], Origin.FALLBACK, setting.fallback)


def from_passed(passed: tuple[Passed, ...]) -> Iterator[Given]:
    """Sockets the service manager opened for us are what to listen on when nobody says otherwise."""
    if passed:
        (setting,) = (setting for setting in SETTINGS if setting.key == "server.bind")
        yield Given(setting, [f"fd://{socket.fd}" for socket in passed], Origin.PASSED, "LISTEN_FDS")


def name_no_sockets(item: Effective, passed: tuple[Passed, ...]) -> Effective:
    """The same with descriptors for sockets that are named; raises OperatorError for a name that none has."""
    if item.setting.kind is not BIND:
        return item
    place = f"{item.place}: {item.setting.key}" if item.origin is Origin.FILE else item.place
    value = tuple(with_numbers(item.value, passed, place))
    return msgspec.structs.replace(item, value=value)


def notes(config: Config, environ: Mapping[str, str], passed: tuple[Passed, ...]) -> Iterator[str]:
    """What was said and has no effect."""
    yield from strange_variables(environ)
    # For one connection there is nothing to listen on: whatever is passed is that connection.
    binds = (*config.server.bind, *config.control.metrics_bind, *config.api.bind)
    unused = left_over(passed, binds) if not config.process.inetd else ""
    if unused:
        yield unused


def strange_variables(environ: Mapping[str, str]) -> Iterator[str]:
    """Notes on DRAWBAR_* variables that look like misspelt settings.

    They are no errors: Kubernetes sets DRAWBAR_PORT and the like beside a service of that name.
    """
    known = [variable.removeprefix(PREFIX) for variable in (FILE_VARIABLE, *(setting.env for setting in SETTINGS))]
    for name, value in sorted(environ.items()):
        if name.startswith(PREFIX) and name.removeprefix(PREFIX) not in known and not value.startswith("tcp://"):
            near = nearest(name.removeprefix(PREFIX), known)
            if near:
                yield f"{name}: no such setting, ignored; did you mean {PREFIX}{near}?"


def from_file(path: str) -> list[Given]:
    """What a TOML file says; raises OperatorError for anything in it that is no setting."""
    return list(walk(read_toml(path), path))


def read_toml(path: str) -> dict[str, Any]:
    """The file as plain data."""
    import tomllib  # most servers are started without a file, and a serving process needs no parser

    try:
        with open(path, "rb") as stream:
            return tomllib.load(stream)
    except OSError as error:
        raise OperatorError(f"cannot be read: {error.strerror}", where=path) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OperatorError(f"is not valid TOML: {error}", where=path) from error


def walk(table: Mapping[str, Any], path: str) -> Iterator[Given]:
    """The settings in a file's data."""
    known = {setting.key: setting for setting in SETTINGS}
    for section, content in table.items():
        if section != APPS and section not in sections():
            raise unknown_section(section, path)
        require_table(content, section, path)
        if section == APPS:
            for name, app in content.items():
                yield from walk_app(name, app, path)
            continue
        for field, raw in content.items():
            setting = known.get(f"{section}.{field}")
            if setting is None:
                raise unknown_key(section, field, path, raw)
            yield Given(setting, raw, Origin.FILE, path)


def walk_app(name: str, content: object, path: str) -> Iterator[Given]:
    """The settings in a file's data about one application."""
    section = f"{APPS}.{name}"
    try:
        parse_app(name)
    except ValueError as error:
        raise OperatorError(str(error), where=f"{path}: {section}") from error
    if not isinstance(content, dict):
        raise no_table(name, path)
    known = {setting.field: setting for setting in settings_of_app(name)}
    for field, raw in content.items():
        if field not in known:
            near = nearest(field, list(known))
            hint = f"did you mean {near}? " if near else ""
            right = f"{hint}[{section}] takes {', '.join(known)}"
            raise OperatorError("no such key", where=f"{path}: {section}.{field}", right=right)
        yield Given(known[field], raw, Origin.FILE, path)


def require_table(content: object, section: str, path: str) -> None:
    """Raises OperatorError when it is a value."""
    if not isinstance(content, dict):
        raise OperatorError("is not a table", where=f"{path}: {section}", right=f"write [{section}] above its keys")


def unknown_section(section: str, path: str) -> OperatorError:
    """The error for a top-level key that is no section; it may be a key whose section's header was forgotten."""
    option = section.replace("_", "-")
    homes = [setting.key for setting in SETTINGS if section == setting.field or option == setting.option]
    near = nearest(section, list(sections()))
    hint = f"did you mean {homes[0]}? " if homes else f"did you mean [{near}]? " if near else ""
    right = f"{hint}sections are {', '.join(sections())}, {APPS}.NAME"
    return OperatorError("no such section", where=f"{path}: {section}", right=right)


def unknown_key(section: str, field: str, path: str, raw: object) -> OperatorError:
    """The error for a key its section does not have; another section may have it, or it is an option's name, or the
    table of an application."""
    names = [setting.field for setting in SETTINGS if setting.section == section]
    option = field.replace("_", "-")
    same = [setting.key for setting in SETTINGS if field == setting.field or option == setting.option]
    near = same[0] if same else nearest(field, names)
    if isinstance(raw, dict) and section == "app":
        near = f"[{APPS}.{field}]"
    hint = f"did you mean {near}? " if near else ""
    right = f"{hint}[{section}] takes {', '.join(names)}"
    return OperatorError("no such key", where=f"{path}: {section}.{field}", right=right)


def no_table(name: str, path: str) -> OperatorError:
    """The error for a value where [apps] has one table for each application."""
    is_key = any(setting.field == name for setting in settings_of_app(name))
    table = f"[{APPS}.NAME], a table for each application," if is_key else f"[{APPS}.{name}]"
    return OperatorError("is not a table", where=f"{path}: {APPS}.{name}", right=f"write {table} above its keys")


def choose(given: list[Given]) -> tuple[Effective, ...]:
    """For each setting the value of its strongest source. All values are parsed, so that none is wrong unseen."""
    apps = dict.fromkeys(app_of(item.setting) for item in given)
    settings = [*SETTINGS, *(setting for name in apps if name for setting in settings_of_app(name))]
    chosen = {setting.key: Effective(setting, setting.default, Origin.DEFAULT, "") for setting in settings}
    for item in sorted(given, key=lambda item: item.origin):
        try:
            value = item.setting.parse(item.raw)
        except ValueError as error:
            raise OperatorError(str(error), where=item.where) from error
        chosen[item.setting.key] = Effective(item.setting, value, item.origin, item.place)
    return tuple(chosen.values())


def app_of(setting: Setting) -> str:
    """The application whose table has the setting, "" for those of the tree's sections."""
    table, _, name = setting.section.partition(".")
    return name if table == APPS else ""


def build(effective: tuple[Effective, ...]) -> Config:
    """The tree with these values."""
    content: dict[str, dict[str, Any]] = {name: {} for name in sections()}
    apps: dict[str, dict[str, Any]] = {}
    for item in effective:
        name = app_of(item.setting)
        values = apps.setdefault(name, {}) if name else content[item.setting.section]
        values[item.setting.field] = item.value
    tree: dict[str, Any] = {name: section(**content[name]) for name, section in sections().items()}
    return Config(**tree, apps={name: AppTable(**values) for name, values in apps.items()})


def report_conflicts(config: Config, effective: tuple[Effective, ...]) -> None:
    """Raises OperatorError for the first settings that contradict each other, naming where each comes from."""
    by_key = {item.setting.key: item for item in effective}
    for keys, why in all_conflicts(config):
        # A table as a whole has no line of its own.
        raise OperatorError(why, where=" and ".join(str(by_key.get(key, f"[{key}]")) for key in keys))


def all_conflicts(config: Config) -> Iterator[tuple[tuple[str, ...], str]]:
    """What contradicts itself, within a section or across: the keys, and why."""
    for name in sections():
        section: Section = getattr(config, name)
        for conflict in section.conflicts():
            yield tuple(f"{name}.{field}" for field in conflict.fields), conflict.why
    for name, app in config.apps.items():
        for conflict in app.conflicts():
            yield tuple(f"{APPS}.{name}.{field}" for field in conflict.fields), conflict.why
    for conflict in config.conflicts():
        yield conflict.fields, conflict.why
