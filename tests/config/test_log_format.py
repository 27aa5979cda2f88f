"""Formats of the access log: what may be written, and what is said of the rest."""

import pytest

from drawbar.config.log import LogConfig, parse_form
from drawbar.config.log_format import Piece, read_format


def test_a_format_is_letters_names_and_text() -> None:
    assert read_format('%h "%r" %{X-Id}i%{queue_ms}x %%') == (
        Piece("h", ""),
        Piece("", ' "'),
        Piece("r", ""),
        Piece("", '" '),
        Piece("i", "x-id"),
        Piece("x", "queue_ms"),
        Piece("", " "),
        Piece("", "%"),
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("%Z", "letters are B, D"),
        ("%{queue}x", "names are time, remote"),
        ("%{a b}i", "write %{Name}i"),
        ("%{format}t", "write %{Name}i"),
        ("50%", "write %% for"),
        ("%{queue_ms", "write %% for"),
    ],
)
def test_a_mistake_is_told_with_what_is_right(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why.replace("{", r"\{")):
        parse_form(text)


def test_names_of_forms_are_taken_in_any_case() -> None:
    assert [parse_form(text) for text in ("JSON", "Combined", "%h %s")] == ["json", "combined", "%h %s"]
    with pytest.raises(ValueError, match="combined, json, or a format"):
        parse_form("common")


def test_a_form_is_a_name_or_pieces() -> None:
    assert LogConfig().form == "combined"
    assert LogConfig(access_format="json").form == "json"
    assert LogConfig(access_format="%s").form == (Piece("s", ""),)
