"""What the servers with Ruby files have in common: calls become settings, and what was not read is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from drawbar.cli.importing.draft import Draft, Missing, Needless, Rule, Said, Verdict
from drawbar.cli.importing.ruby import Call, FromEnvironment, calls
from drawbar.cli.importing.text_file import read_text

RUBY: Final = Missing("Drawbar runs Python: name its application, app.target")
ALWAYS: Final = Needless("it is always so")
BUNDLER: Final = Needless("there is no bundler to prune")


class Doubt(NamedTuple):
    """A line of a file that was not read, and why."""

    text: str
    why: str

    def __str__(self) -> str:
        return self.text


def plain(value: object) -> object:
    """What a variable of the environment is by default."""
    while isinstance(value, FromEnvironment):
        value = value.default
    return value


def variables_of(call: Call) -> list[str]:
    found = []
    for value in [*call.values, *call.options.values()]:
        while isinstance(value, FromEnvironment):
            found.append(value.variable)
            value = value.default
    return found


class Arguments(NamedTuple):
    """Several values of one call, and its options."""

    values: tuple[object, ...]
    options: Mapping[str, object]

    def __str__(self) -> str:
        return ", ".join([*map(str, self.values), *(f"{name}: {value}" for name, value in self.options.items())])


def value_of(call: Call) -> object:
    """One value as it is, several with their options as Arguments, none as true."""
    if call.doubt:
        return Doubt(call.text.removeprefix(call.name).strip(), call.doubt)
    arguments = Arguments(tuple(map(plain, call.values)), {name: plain(value) for name, value in call.options.items()})
    if len(arguments.values) > 1 or arguments.options:
        return arguments
    return arguments.values[0] if arguments.values else True


def reader(server: str, many: frozenset[str]) -> Callable[[str], list[Said]]:
    """Reads a file of that server's; settings in `many` are lists of what was said."""

    def read(path: str) -> list[Said]:
        said: list[Said] = []
        lists: dict[str, list[object]] = {}
        for call in calls(read_text(path), path):
            value = value_of(call)
            if call.name in many and not isinstance(value, Doubt):
                lists.setdefault(call.name, []).append(value)
                value = lists[call.name]
            said.append(Said(server, call.name, value))
            said += [Said(server, f"${name}", call.name) for name in variables_of(call)]
        return said

    return read


def translator(rules: dict[str, Rule]) -> dict[str, Rule]:
    """The rules, each telling a value that was not read instead of using it."""

    def guarded(name: str, rule: Rule) -> Rule:
        def apply(draft: Draft, said: Said) -> None:
            if isinstance(said.value, Doubt):
                draft.remark(Verdict.UNKNOWN, said, said.value.why)
            else:
                draft.apply({name: rule}, name, said)

        return apply

    return {name: guarded(name, rule) for name, rule in rules.items()}


def first(value: Any) -> Any:
    """A call's first value."""
    return value.values[0] if isinstance(value, Arguments) and value.values else value


def options_of(value: Any) -> Mapping[str, Any]:
    return value.options if isinstance(value, Arguments) else {}


def _variable(draft: Draft, said: Said) -> None:
    """A variable of the environment that a setting came from."""
    if said.name == "$WEB_CONCURRENCY":
        draft.values.pop("server.workers", None)
        draft.remark(Verdict.DIFFERENT, said.name, "it says the number of workers here too, as long as no setting does")
        return
    why = f"{said.value} came from it: what stands here is its default, and DRAWBAR_ variables change settings"
    draft.remark(Verdict.DIFFERENT, said.name, why)


class RubyRules(dict[str, Rule]):
    """Rules, with one for every variable of the environment."""

    def get(self, name: str, default: Any = None) -> Any:
        """The rule for a setting."""
        return _variable if name.startswith("$") else super().get(name, default)


def ruby_argument(draft: Draft, said: Said) -> None:
    draft.remark(Verdict.MISSING, said, RUBY.instead)
