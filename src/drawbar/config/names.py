"""Names of applications and of their versions, as they stand in URLs, metrics, log lines and commands."""

from drawbar.config.kinds import Kind, parse_text

NAME_CHARACTERS = 64
FRONT = "front"
"""The process that has the clients, among those of applications: in the status, and in the directory of its sockets."""


def parse_name(raw: object) -> str:
    """A name of an app or a version: what can stand in a URL, a metric and a log line as it is."""
    text = parse_text(raw).strip()
    if not 1 <= len(text) <= NAME_CHARACTERS or not all(
        character.isascii() and (character.isalnum() or character in "._-") for character in text
    ):
        raise ValueError(f"{raw!r} is not a name; write letters, digits and ._- ({NAME_CHARACTERS} at most)")
    return text


def parse_app(raw: object) -> str:
    """A name of an application at a front: not that of the front itself."""
    name = parse_name(raw)
    if name == FRONT:
        raise ValueError(f"the front itself is called {FRONT}; call the application something else")
    return name


NAME = Kind("TEXT", "letters, digits, `.`, `_` and `-`", parse_name)
