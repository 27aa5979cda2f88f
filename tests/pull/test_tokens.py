"""The tokens file, and what a request with a token may do."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawbar.pull.problem import Problem
from drawbar.pull.tokens import EVERYTHING, MOST_TOKENS, Grant, Tokens, parse, read

ONE = "0123456789abcdef"
TWO = "fedcba9876543210=="
FILE = f"""
# Workers of the shop.
{ONE} shop,blog   # both
{TWO}
"""


def test_each_token_has_its_apps() -> None:
    tokens = parse(FILE, "tokens")
    assert tokens.grant(f"Bearer {ONE}") == Grant(frozenset({"shop", "blog"}))
    assert tokens.grant(f"bearer  {TWO}") == EVERYTHING
    assert tokens.apps == {"shop", "blog"}
    assert len(tokens) == 2


def test_a_grant_is_for_its_apps_alone() -> None:
    grant = parse(FILE, "tokens").grant(f"Bearer {ONE}")
    assert [grant.allows(app) for app in ("shop", "blog", "other")] == [True, True, False]
    assert grant.among(["other", "shop"]) == ["shop"]
    assert EVERYTHING.among(["other"]) == ["other"]


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Basic {ONE}",
        f"Bearer {ONE[:-1]}",
        f"Bearer {ONE}0",
        f"Bearer {ONE} {TWO}",
        "Bearer " + "x" * 10_000,
        "Bearer \udcff\xff",
    ],
)
def test_anything_else_is_refused_with_a_challenge(authorization: str | None) -> None:
    with pytest.raises(Problem) as caught:
        parse(FILE, "tokens").grant(authorization)
    assert caught.value.status == 401
    assert (b"WWW-Authenticate", b'Bearer realm="drawbar"') in caught.value.head()
    assert ONE.encode() not in caught.value.body()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("short shop", "a token of 5 characters"),
        ("x" * 513, "a token of 513 characters"),
        ("0123456789abcdef! shop", "a token is made of letters"),
        ("0123=456789abcdef shop", "a token is made of letters"),
        (f"{ONE} shop, ,blog", "'' is no app's name"),
        (f"{ONE} shop blog", "'shop blog' is no app's name"),
        (f"{ONE} *,blog", "'*' is no app's name"),
        (f"{ONE} shop\n{ONE} blog", "twice"),
    ],
)
def test_a_line_that_is_wrong_is_named_without_its_token(line: str, why: str) -> None:
    with pytest.raises(ValueError, match=r"api\.tokens, line") as caught:
        parse(line, "api.tokens")
    assert why in str(caught.value)
    assert ONE not in str(caught.value)


def test_a_file_without_tokens_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no token in it"):
        parse("# none\n", "tokens")


def test_there_are_no_more_tokens_than_can_be_compared() -> None:
    lines = [f"{number:016}" for number in range(MOST_TOKENS + 1)]
    assert len(parse("\n".join(lines[:-1]), "tokens")) == MOST_TOKENS
    with pytest.raises(ValueError, match="too many"):
        parse("\n".join(lines), "tokens")


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text(FILE)
    assert len(read(tmp_path / "tokens")) == 2
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none")


@given(st.text())
def test_no_text_is_mistaken_for_a_token(text: str) -> None:
    with pytest.raises(Problem):
        Tokens([(ONE, EVERYTHING)]).grant(text)
