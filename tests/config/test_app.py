"""The application's own kinds of value."""

import pytest

from drawbar.config.app import parse_root_path


@pytest.mark.parametrize(
    ("raw", "path"), [("", ""), ("/", ""), ("/shop", "/shop"), ("/shop/", "/shop"), ("/a/b", "/a/b")]
)
def test_root_paths(raw: str, path: str) -> None:
    assert parse_root_path(raw) == path


@pytest.mark.parametrize("raw", ["shop", "/shop?x", "/#a", "/a\n"])
def test_what_is_no_root_path(raw: str) -> None:
    with pytest.raises(ValueError, match="write"):
        parse_root_path(raw)
