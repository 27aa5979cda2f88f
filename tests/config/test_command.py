"""A program and its arguments."""

import pytest

from drawbar.config.command import COMMAND, parse_command


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (["ruby", "worker.rb"], ("ruby", "worker.rb")),
        ("ruby worker.rb", ("ruby", "worker.rb")),
        ("sh -c 'echo \"a b\"'", ("sh", "-c", 'echo "a b"')),
        (["a", ""], ("a", "")),
    ],
)
def test_a_list_or_one_text(raw: object, words: tuple[str, ...]) -> None:
    assert parse_command(raw) == words
    assert COMMAND.parse(COMMAND.show(words)) == words


@pytest.mark.parametrize("raw", ["", "  ", [], [""], ["ruby", 1], ["a\0b"], 7, "ruby 'worker"])
def test_what_is_no_command_is_refused_with_the_form(raw: object) -> None:
    with pytest.raises(ValueError, match=r"is no command.*; write a list such as"):
        parse_command(raw)
