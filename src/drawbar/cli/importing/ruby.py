"""Ruby configuration files as far as they are a list of settings: `name value, key: value`, with simple expressions.

This is no Ruby. Read are calls on a line of their own, local variables, literals and what puma's and unicorn's own
examples use beside them: ENV with a default, strings with variables in them, File.expand_path. A block is a value of
its own kind; whatever depends on a condition, or is no simple expression, is told instead of guessed at.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Final, NamedTuple

TOKEN: Final = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<string>"(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*')
    | (?P<number>-?\d[\d_]*(?:\.\d+)?)
    | (?P<key>[A-Za-z_]\w*:(?!:))
    | (?P<symbol>:(?:[A-Za-z_]\w*[?!]?|"[^"]*"))
    | (?P<name>[A-Za-z_]\w*[?!]?(?:(?:\.|::)[A-Za-z_]\w*[?!]?)*)
    | (?P<sign>=>|\|\||&&|==|!=|[-+*/%(){}\[\],=|.?:&<>!])
    """,
    re.VERBOSE,
)
OPENERS: Final = frozenset({"if", "unless", "case", "while", "until", "begin", "def", "class", "module", "for"})
TRANSPARENT: Final = frozenset({"Rainbows!"})
"""Calls whose block is a list of settings too."""
CONDITIONS: Final = frozenset({"if", "unless", "while", "until", "rescue"})


class Block:
    """`do ... end` or `{ ... }` behind a call: code, which nothing here has a use for."""

    def __str__(self) -> str:
        return "a block"


class Token(NamedTuple):
    """A piece of a line; `kind` is the name of a group of TOKEN."""

    kind: str
    text: str


class Call(NamedTuple):
    """`name values...` on a line. `options` are its `key: value`, `doubt` why it could not be read, or ""."""

    name: str
    values: list[object]
    options: dict[str, object]
    doubt: str
    text: str


class NotSimple(Exception):
    """An expression that is not read; its text says why."""


def calls(source: str, path: str = "") -> list[Call]:
    """The settings of the file at `path`, in order."""
    return list(_Reader(source, path).read())


def tokens(line: str) -> list[Token]:
    """A line's pieces without blanks and comment; raises NotSimple at anything else."""
    found: list[Token] = []
    at = 0
    while at < len(line):
        if line[at] == "#":
            break
        match = TOKEN.match(line, at)
        if match is None or match.lastgroup is None:
            raise NotSimple(f"{line[at]!r} is not read here")
        if match.lastgroup != "space":
            found.append(Token(match.lastgroup, match.group()))
        at = match.end()
    return found


class _Reader:
    """Goes through the lines; what stands inside a block or a condition is not at the top."""

    def __init__(self, source: str, path: str) -> None:
        self._lines = source.split("__END__")[0].splitlines()
        self._variables: dict[str, object] = {}
        self._places = {"Dir.pwd": ".", "__FILE__": path, "__dir__": os.path.dirname(path) or "."}

    def read(self) -> Iterator[Call]:
        """All of it."""
        yield from self._read(self._lines)

    def _read(self, source: list[str]) -> Iterator[Call]:
        lines = iter(_joined(source))
        for line in lines:
            text = line.strip()
            try:
                pieces = tokens(text)
            except NotSimple as error:
                yield Call(text.split()[0], [], {}, str(error), text)
                continue
            if not pieces:
                continue
            opened = _depth(pieces)
            inside: list[str] = []
            while opened > 0 and (body := next(lines, None)) is not None:
                inside.append(body.strip())
                opened += _depth_of(body)
            if pieces[0].text in OPENERS:
                yield from self._conditional(inside)
            elif pieces[0].text in TRANSPARENT:
                yield from self._read(inside[:-1])
            else:
                yield from self._statement(pieces, text)

    def _conditional(self, inside: list[str]) -> Iterator[Call]:
        """What a condition or a definition holds: named, for whether it counts is not known."""
        for line in inside:
            name = re.match(r"[a-z_]\w*[?!]?", line)
            if name and name[0] not in {"end", "else", "elsif", "when", "ensure", "rescue", *OPENERS}:
                yield Call(name[0], [], {}, "it depends on a condition", line)

    def _statement(self, pieces: list[Token], text: str) -> Iterator[Call]:
        name = pieces[0].text
        if len(pieces) > 2 and pieces[0].kind == "name" and pieces[1].text == "=":
            try:
                self._variables[name] = self._expression(pieces[2:])
            except NotSimple:
                # Told where it is used.
                self._variables.pop(name, None)
            return
        if name in ("require", "require_relative", "end"):
            return
        condition = next((piece.text for piece in pieces if piece.kind == "name" and piece.text in CONDITIONS), "")
        if condition:
            yield Call(name, [], {}, "it depends on a condition", text)
            return
        try:
            values, options = self._arguments(_without_parentheses(pieces[1:]))
        except NotSimple as error:
            yield Call(name, [], {}, str(error), text)
            return
        yield Call(name, values, options, "", text)

    def _arguments(self, pieces: list[Token]) -> tuple[list[object], dict[str, object]]:
        values: list[object] = []
        options: dict[str, object] = {}
        behind = next((at for at, piece in enumerate(pieces) if piece.text == "do"), len(pieces))
        for part in _split(pieces[:behind]):
            if part[0].kind == "key":
                options[part[0].text[:-1]] = self._expression(part[1:])
            elif len(part) > 2 and part[1].text == "=>":
                options[part[0].text.strip(":\"'")] = self._expression(part[2:])
            elif (
                part[0].text == "{"
                and part[-1].text == "}"
                and len(part) > 2
                and (part[1].kind == "key" or part[2].text == "=>")
            ):
                options |= self._arguments(part[1:-1])[1]
            else:
                values.append(self._expression(part))
        if behind < len(pieces):
            values.append(Block())
        return values, options

    def _expression(self, pieces: list[Token]) -> object:
        """The value of a simple expression; raises NotSimple."""
        if not pieces:
            raise NotSimple("a value is missing")
        head, rest = pieces[0], pieces[1:]
        if head.text in ("do", "{", "lambda", "proc", "->"):
            return Block()
        if rest and rest[0].text in ("do", "{") and not head.text.startswith("ENV"):
            value = self._expression([head])
            return value if rest[0].text == "{" else Block()
        if head.text == "ENV" or head.text.startswith("ENV."):
            return self._environment(pieces)
        if head.text in ("Integer", "Float", "String") and rest and rest[0].text == "(":
            return self._expression(_without_parentheses(rest))
        if head.text == "File.expand_path":
            parts = [str(self._expression(part)) for part in _split(_without_parentheses(rest))]
            return os.path.normpath(os.path.join(*parts[::-1]))
        if [piece.text for piece in rest] == [".", "to_i"]:
            return self._expression([head])
        if rest:
            raise NotSimple("its value is no simple expression")
        return self._value(head)

    def _value(self, piece: Token) -> object:
        text = piece.text
        if piece.kind == "string":
            return self._string(text)
        if piece.kind == "number":
            return float(text) if "." in text else int(text.replace("_", ""))
        if piece.kind == "symbol":
            return text.strip(':"')
        literal = {"true": True, "false": False, "nil": None}
        if text in literal:
            return literal[text]
        name = text.removesuffix(".to_i").removesuffix(".to_s")
        if name in self._variables:
            return self._variables[name]
        if text in self._places:
            return self._places[text]
        raise NotSimple(f"{text} is not known here")

    def _string(self, text: str) -> str:
        body = text[1:-1]
        if text[0] == "'":
            return body.replace("\\'", "'").replace("\\\\", "\\")

        def fill(found: re.Match[str]) -> str:
            return str(self._expression(tokens(found[1])))

        return re.sub(r"#\{([^}]*)\}", fill, body).replace('\\"', '"').replace("\\\\", "\\")

    def _environment(self, pieces: list[Token]) -> object:
        """ENV["X"], ENV.fetch("X", default), ENV.fetch("X") { default }, each with `|| default` behind it."""
        if pieces[-1].text == ".to_i" or (len(pieces) > 1 and pieces[-2].text == "." and pieces[-1].text == "to_i"):
            pieces = pieces[:-2]
        texts = [piece.text for piece in pieces]
        name = next((piece.text.strip("\"'") for piece in pieces if piece.kind == "string"), "?")
        if "||" in texts:
            default = pieces[texts.index("||") + 1 :]
        elif "{" in texts:
            default = pieces[texts.index("{") + 1 : len(texts) - 1 - texts[::-1].index("}")]
        else:
            inner = list(_split(_without_parentheses(pieces[1:])))
            default = inner[1] if texts[0] == "ENV.fetch" and len(inner) > 1 else []
        if not default:
            raise NotSimple(f"it is what ${name} says")
        return FromEnvironment(name, self._expression(default))


class FromEnvironment(NamedTuple):
    """The value of a variable, or `default` where it is not set."""

    variable: str
    default: object

    def __str__(self) -> str:
        return str(self.default)


def _joined(lines: list[str]) -> Iterator[str]:
    """Lines of code; those that end with a comma or a backslash go on with the next."""
    begun = ""
    for line in lines:
        text = line.rstrip()
        if text.lstrip().startswith("#") and not begun:
            continue
        if text.endswith((",", "\\")):
            begun += text.removesuffix("\\") + " "
            continue
        yield begun + text
        begun = ""
    if begun:
        yield begun


def _depth(pieces: list[Token]) -> int:
    """How many blocks a line opens beyond those it closes."""
    words = [piece.text for piece in pieces if piece.kind == "name"]
    opened = (1 if words and pieces[0].text in OPENERS else 0) + words.count("do") - words.count("end")
    braces = sum((piece.text == "{") - (piece.text == "}") for piece in pieces)
    return opened + braces


def _depth_of(line: str) -> int:
    try:
        return _depth(tokens(line.strip()))
    except NotSimple:
        words = re.findall(r"\b\w+\b", re.sub(r"#.*|\"[^\"]*\"|'[^']*'", "", line))
        opener = 1 if words and words[0] in OPENERS else 0
        return opener + words.count("do") - words.count("end")


def _split(pieces: list[Token]) -> Iterator[list[Token]]:
    """The parts between commas, not those inside of brackets."""
    part: list[Token] = []
    depth = 0
    for piece in pieces:
        depth += (piece.text in "([{") - (piece.text in ")]}") if piece.kind == "sign" else 0
        if piece.text == "," and depth == 0:
            yield part
            part = []
        else:
            part.append(piece)
    if part:
        yield part


def _without_parentheses(pieces: list[Token]) -> list[Token]:
    """What stands in the brackets around all of it."""
    if len(pieces) > 1 and (pieces[0].text, pieces[-1].text) in (("(", ")"), ("[", "]")):
        return pieces[1:-1]
    return pieces
