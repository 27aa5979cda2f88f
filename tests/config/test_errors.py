"""Operator errors in one line."""

from drawbar.config.errors import OperatorError, nearest


def test_an_operator_error_is_one_line() -> None:
    error = OperatorError("is not\nvalid", where="drawbar.toml", right="write TOML")
    assert str(error) == "drawbar.toml: is not valid; write TOML"
    assert str(OperatorError("no application")) == "no application"


def test_the_nearest_name_or_none() -> None:
    assert nearest("keepalve", ["head", "keepalive"]) == "keepalive"
    assert nearest("zzz", ["head", "keepalive"]) == ""
