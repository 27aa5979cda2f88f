"""Dates of messages."""

import email.utils

import pytest

from drawbar.wire.dates import http_date


def test_the_example_of_the_standard() -> None:
    assert http_date(784111777) == "Sun, 06 Nov 1994 08:49:37 GMT"


@pytest.mark.parametrize("seconds", [0, 951782400, 1709164800, 1735689599, 1735689600, 4102444799, 2**31])
def test_every_date_is_as_the_standard_library_writes_it(seconds: int) -> None:
    assert http_date(seconds) == email.utils.formatdate(seconds, usegmt=True)
