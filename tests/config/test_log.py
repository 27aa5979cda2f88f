"""Log destinations."""

import pytest

from drawbar.config.log import parse_destination


@pytest.mark.parametrize(("raw", "place"), [("off", "off"), ("OFF", "off"), (False, "off"), ("-", "-"), ("/a", "/a")])
def test_log_destinations(raw: object, place: str) -> None:
    assert parse_destination(raw) == place


@pytest.mark.parametrize("raw", ["", True, 3])
def test_what_is_no_log_destination(raw: object) -> None:
    with pytest.raises(ValueError, match=r"write a path|put it in quotes"):
        parse_destination(raw)
