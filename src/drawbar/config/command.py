"""A program and its arguments, as `[apps.NAME]` starts it: a list in TOML, or one text as a shell would split it."""

from drawbar.config.kinds import Kind

RIGHT = 'write a list such as ["ruby", "worker.rb"]'


def parse_command(raw: object) -> tuple[str, ...]:
    """The words of a command; raises ValueError saying what is wrong and what would be right. No shell is asked."""
    words = raw if isinstance(raw, list) else words_of(raw) if isinstance(raw, str) else []
    texts = tuple(word for word in words if isinstance(word, str) and "\0" not in word)
    if len(texts) != len(words) or not texts or not texts[0]:
        raise ValueError(f"{raw!r} is no command; {RIGHT}")
    return texts


def words_of(text: str) -> list[str]:
    """The text split as a shell splits it."""
    import shlex  # Few servers have a command.

    try:
        return shlex.split(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no command ({error}); {RIGHT}") from None


def show_command(words: tuple[str, ...]) -> str:
    """One text that is split into these words."""
    import shlex

    return shlex.join(words)


COMMAND = Kind("COMMAND", 'a list such as `["ruby", "worker.rb"]`', parse_command, show_command)
